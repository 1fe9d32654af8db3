package sim

// Incident is a kind of what happens in a run beside the operations of clients. Those
// of a kind are numbered from 1 in the order in which they are due, whether a run
// keeps them or leaves them out (see Part): what comes at its own times, such as cuts
// and kills, has the same numbers whatever else is left out.
type Incident int

const (
	IncidentCut Incident = iota
	IncidentKill
	IncidentStop
	IncidentPause
	IncidentFull
	IncidentSlow
	IncidentJump
	IncidentWipe
	IncidentImage
	IncidentAway
	IncidentRot
	IncidentVanish
	IncidentExtra
	IncidentAfterRepair
	IncidentAfterHint
	IncidentAfterLeak
	IncidentAfterPage
	IncidentStillborn
	IncidentLost
	IncidentRepeated
	IncidentLate
	IncidentTail
	IncidentReplay
	IncidentUnnoticed
	IncidentStall
	IncidentAudit
	IncidentScan
	IncidentStage
	IncidentSwizzle
	IncidentLame
	IncidentAfterKept
	IncidentAfterPromise
	IncidentBelated
	IncidentForged
	IncidentMangled
	IncidentAfterAudit
	IncidentForeseen
	IncidentChange
	IncidentHarm
	IncidentComeBack
	IncidentReturn
	IncidentTorn
	IncidentFaded
	incidentKinds
)

// incidentNames are for the text of a Part.
var incidentNames = [incidentKinds]string{
	"cut", "kill", "stop", "pause", "full", "slow", "jump", "wipe", "image", "away", "rot", "vanish",
	"extra", "after-repair", "after-hint", "after-leak", "after-page", "stillborn",
	"lost", "repeated", "late", "tail", "replay", "unnoticed", "stall", "audit", "scan", "stage",
	"swizzle", "lame", "after-kept", "after-promise", "belated", "forged", "mangled", "after-audit", "foreseen",
	"change", "harm", "come-back", "return", "torn", "faded",
}

// occurs counts an incident that is due, and reports whether it happens in this run.
func (r *run) occurs(i Incident) bool {
	r.due[i]++
	if !r.cfg.part.keeps(i, r.due[i]) {
		return false
	}
	r.occurred[i].add(r.due[i])
	return true
}

// unless lets a fault happen unless the run leaves it out. What is left out counts as
// broken, or others would be made up for it (keepUp).
func (r *run) unless(i Incident, fault func(draw chance)) func(draw chance) {
	return func(draw chance) {
		if r.occurs(i) {
			fault(draw)
		} else if i != IncidentAudit {
			r.spared++
		}
	}
}
