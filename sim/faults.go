package sim

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/core"
)

// startFaults begins a chain of faults of each kind that the run has.
func (r *run) startFaults() {
	f := r.cfg.Fault
	r.chain(1, f.Cut, r.unless(IncidentCut, r.cutSome))
	r.chain(2, f.Kill, r.unless(IncidentKill, r.killSome))
	r.chain(3, f.Stop, r.unless(IncidentStop, r.stopOne))
	r.chain(4, f.Pause, r.unless(IncidentPause, r.pauseOne))
	r.chain(5, f.Full, r.unless(IncidentFull, r.fillOne))
	r.chain(6, f.Jump, r.unless(IncidentJump, r.jumpOne))
	r.chain(21, f.Rot, r.unless(IncidentRot, r.rotOne))
	r.chain(22, f.Audit, r.unless(IncidentAudit, r.auditOne))
	r.chain(23, f.Slow, r.unless(IncidentSlow, r.slowOne))
	r.chain(24, f.Within/2, r.keepUp)
	r.chain(25, f.Swizzle, r.unless(IncidentSwizzle, r.swizzle))
	r.chain(26, f.Lame, r.unless(IncidentLame, r.lameOne))
}

// chain lets a fault happen again and again.
func (r *run) chain(kind uint64, mean time.Duration, fault func(draw chance)) {
	if mean == 0 {
		return
	}
	var next func()
	next = func() {
		if r.calm {
			return
		}
		fault(r.draw(0xFA17, kind))
		r.agenda.after(r.draw(0xC4A1, kind).about(mean), next)
	}
	r.agenda.after(r.draw(0xC4A1, kind).about(mean), next)
}

// keepUp breaks something if too little has gone wrong so far.
func (r *run) keepUp(draw chance) {
	if time.Duration(r.faults.Total()+r.spared)*r.cfg.Fault.Within > r.agenda.now {
		return
	}
	fault := []func(chance){r.cutSome, r.killSome, r.pauseOne, r.stopOne}[draw.with(7).below(4)]
	r.unless(IncidentExtra, fault)(draw)
}

func (r *run) cutSome(draw chance) {
	c := cut{}
	left := make([]bool, len(r.nodes))
	shape := draw.with(1).below(4)
	if draw.with(6).happens(r.cfg.Fault.Special) {
		c, kind := r.specialCut(draw.with(7))
		r.broke(kind)
		r.cutOff(c, faultNames[kind])
		r.agenda.after(draw.with(5).about(r.cfg.Fault.CutFor), func() { r.heal(c) })
		return
	}
	for i := range r.nodes {
		switch shape {
		case 0: // one against the others
			left[i] = i == draw.with(2).below(len(r.nodes))
		default: // two sides
			left[i] = draw.with(3, uint64(i)).happens(0.5)
		}
	}
	for i := range r.nodes {
		for j := range r.nodes {
			switch {
			case shape == 3: // any links, any direction
				c[[2]int{i, j}] = i != j && draw.with(4, uint64(i), uint64(j)).happens(0.3)
			case shape == 2: // one way
				c[[2]int{i, j}] = left[i] && !left[j]
			default:
				c[[2]int{i, j}] = left[i] != left[j]
			}
		}
	}
	kind := []Fault{FaultCut, FaultCut, FaultOneWay, FaultLinks}[shape]
	r.broke(kind)
	r.cutOff(c, faultNames[kind])
	r.agenda.after(draw.with(5).about(r.cfg.Fault.CutFor), func() { r.heal(c) })
}

func (r *run) heal(c cut) {
	r.cuts = slices.DeleteFunc(r.cuts, func(other cut) bool { return sameCut(other, c) })
	r.trace.say("", "heal", "%d cuts left", len(r.cuts))
	r.linksChanged()
}

// sameCut is true for cuts of the same links; healing one heals both.
func sameCut(a, b cut) bool {
	if len(a) != len(b) {
		return false
	}
	for pair, blocked := range a {
		if b[pair] != blocked {
			return false
		}
	}
	return true
}

func (r *run) killSome(draw chance) {
	share := float64(draw.with(1).below(3)) / 2
	if draw.with(2).happens(r.cfg.Fault.Blackout) {
		r.broke(FaultBlackout)
		for _, n := range r.nodes {
			r.fall(n, share, draw.with(3, uint64(n.index)))
		}
		return
	}
	n := r.nodes[draw.with(4).below(len(r.nodes))]
	if draw.with(6).happens(r.cfg.Fault.Zone) {
		r.broke(FaultZone)
		for _, m := range r.zoneMates(n) {
			r.fall(m, share, draw.with(7, uint64(m.index)))
		}
		return
	}
	r.kill(n, share, draw.with(5))
}

// kill ends a process. Its disk keeps that share of what was not durable: all of it
// when only the process ends.
func (r *run) kill(n *node, share float64, draw chance) {
	switch {
	case !n.up:
	case share == 1:
		r.broke(FaultKill)
	default:
		r.broke(FaultPower)
	}
	r.fall(n, share, draw)
}

func (r *run) fall(n *node, share float64, draw chance) {
	if !n.up {
		return
	}
	r.oracle.crashesFull(n)
	r.countStats(n)
	n.crash(share)
	r.restartLater(n, draw)
}

func (r *run) stopOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if !n.up || n.paused {
		return
	}
	r.broke(FaultStop)
	for _, s := range n.shards {
		s.put(func(_ time.Time, shard *core.Shard) { shard.Drain() })
	}
	n.later(draw.with(2).about(100*time.Millisecond), func() {
		n.stop()
		r.countStats(n)
		r.restartLater(n, draw)
	})
}

func (r *run) restartLater(n *node, draw chance) {
	life := n.lives
	r.agenda.after(draw.with(6).about(r.cfg.Fault.KillFor), func() {
		if n.lives == life {
			r.restart(n)
		}
	})
}

func (r *run) restart(n *node) {
	r.vanish(n, r.draw(0x6A15, uint64(n.index)))
	n.keepParts(r.draw(0x01D7, uint64(n.index)))
	n.boot()
	if r.calm {
		n.auditAll()
		r.calmAt = r.agenda.now // it had been stopping
	}
	r.replay(n)
	r.linksChanged()
	// Peers may not have noticed that it was away, but its connections are new.
	for _, peer := range r.nodes {
		if peer != n && peer.up {
			peer.act(func() {
				if peer.noticed[n.name] {
					peer.link(n, false)
					r.notice(peer, n)
				}
			})
		}
	}
}

func (r *run) pauseOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if !n.up || n.paused {
		return
	}
	r.broke(FaultPause)
	n.pause()
	life := n.lives
	r.agenda.after(draw.with(2).about(r.cfg.Fault.PauseFor), func() {
		if n.lives == life && n.paused {
			n.resume()
		}
	})
}

func (r *run) fillOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if !n.up {
		return
	}
	r.broke(FaultFull)
	n.act(func() { n.setFull(true) })
	n.later(draw.with(2).about(r.cfg.Fault.FullFor), func() { n.setFull(false) })
}

// slowness is how many times as long a slow disk takes.
const slowness = 50

func (r *run) slowOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if n.slow {
		return
	}
	r.broke(FaultSlow)
	r.trace.say(n.name, "slow", "")
	n.slow = true
	r.agenda.after(draw.with(2).about(r.cfg.Fault.SlowFor), func() { n.slow = false })
}

// lameness is how much later the rounds of a process come that gets little of its
// processor.
const lameness = 20 * time.Millisecond

func (r *run) lameOne(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if n.lame {
		return
	}
	r.broke(FaultLame)
	r.trace.say(n.name, "lame", "")
	n.lame = true
	r.agenda.after(draw.with(2).about(r.cfg.Fault.LameFor), func() { n.lame = false })
}

// roundTime is how long a shard waits before it takes what has come.
func (n *node) roundTime() time.Duration {
	if n.lame {
		return lameness + slowness*n.run.cfg.Round
	}
	return n.run.cfg.Round
}

// hintKept loses a node's power now and then, just after it has kept something for
// others (F20).
func (r *run) hintKept(n *node) {
	draw := r.draw(0x4E97, uint64(n.index))
	if r.calm || !draw.happens(r.cfg.Fault.AfterKept) || !r.occurs(IncidentAfterKept) {
		return
	}
	life := n.lives
	r.agenda.after(draw.with(1).about(5*time.Millisecond), func() {
		if n.lives == life && n.up && !r.calm {
			r.hits.add(KilledAfterKept)
			r.kill(n, float64(draw.with(2).below(3))/2, draw.with(3))
		}
	})
}
