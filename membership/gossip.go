package membership

import (
	"maps"
	"slices"
	"time"
)

// Kind is what gossip says about a member.
type Kind byte

const (
	// Joined and Updated: the member is alive and this is its meta.
	Joined Kind = iota + 1
	Updated
	// Died: it does not answer any more.
	Died
	// Left: it said that it goes.
	Left
	// Conflict: another node claims its name.
	Conflict
)

// Event is news from gossip.
type Event struct {
	Kind Kind
	Name string
	// Addr is the member's gossip address, Meta what it tells about itself.
	Addr string
	Meta []byte
	// Other is the second gossip address in a conflict.
	Other string
}

// Gossip takes news from gossip.
func (v *View) Gossip(now time.Time, e Event) Effects {
	v.now = now
	switch {
	case e.Kind == Conflict:
		v.conflict(e)
	case e.Name == v.cfg.Self.Name || e.Name == "":
		// A node knows more about itself than gossip does.
	default:
		if m := v.meet(e.Name); m != nil {
			v.heard(m, e)
		}
	}
	return v.settle()
}

// ConflictFor is how long a conflict is a problem after gossip last told of it;
// gossip repeats one that lasts.
const ConflictFor = 90 * time.Second

// conflict is two nodes with one name.
type conflict struct {
	text string
	at   time.Time
}

func (v *View) conflict(e Event) {
	if v.members[e.Name] == nil && e.Name != v.cfg.Self.Name {
		return
	}
	text := "two nodes are called " + e.Name + ", at " + e.Addr + " and at " + e.Other +
		": give one of them another name; if it is one that moved, this ends by itself"
	if v.conflicts[e.Name].text != text {
		v.loud("%s", text)
	}
	v.conflicts[e.Name] = conflict{text, v.now}
}

// endConflicts forgets conflicts that gossip has not told of for long.
func (v *View) endConflicts() {
	maps.DeleteFunc(v.conflicts, func(_ string, c conflict) bool { return v.now.Sub(c.at) > ConflictFor })
}

// meet returns the record of a member and makes one if there is room (M5).
func (v *View) meet(name string) *member {
	if m := v.members[name]; m != nil {
		return m
	}
	if len(v.members) >= MembersMax && !v.makeRoom() {
		text := "more than the limit of members are alive; newcomers are ignored"
		if v.trouble[v.cfg.Self.Name] != text {
			v.trouble[v.cfg.Self.Name] = text
			v.loud("%s (limit %d, first ignored %s)", text, MembersMax, name)
		}
		return nil
	}
	m := &member{Peer: Peer{Name: name}}
	v.members[name] = m
	return m
}

// makeRoom forgets one member that is of no use now.
func (v *View) makeRoom() bool {
	for _, name := range slices.Sorted(maps.Keys(v.members)) {
		if m := v.members[name]; m.gossip != alive && !m.linked && !v.needed[name] {
			v.forget(name)
			return true
		}
	}
	return false
}

func (v *View) forget(name string) {
	delete(v.members, name)
	delete(v.trouble, name)
	delete(v.conflicts, name)
}

// heard applies an event to a member.
func (v *View) heard(m *member, e Event) {
	switch e.Kind {
	case Joined, Updated:
		v.learn(m, e)
	case Died:
		m.gossip = dead
	case Left:
		m.gossip = left
	}
}

func (v *View) learn(m *member, e Event) {
	meta, err := DecodeMeta(e.Meta)
	if err != nil {
		if m.unreadable != err.Error() {
			m.unreadable = err.Error()
			v.loud("ignoring %s: %v", m.Name, err)
		}
		return
	}
	if e.Kind == Joined {
		delete(v.trouble, m.Name)
	}
	m.unreadable, m.gossip = "", alive
	m.Peer = Peer{
		Name: m.Name, Zone: meta.Zone, Capacity: meta.Capacity,
		ClientAddr: meta.ClientAddr, PeerAddr: meta.PeerAddr, HTTPAddr: meta.HTTPAddr, GossipAddr: e.Addr,
	}
	m.replicaID = meta.ReplicaID
	v.holds(m, meta.Holds)
}

// holds takes note of the document a member holds.
func (v *View) holds(m *member, h Held) {
	was := v.foreign(m)
	m.holds = h
	if !was && v.foreign(m) {
		v.loud("%s", v.foreignText(m))
	}
}
