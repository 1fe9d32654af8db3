package membership

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// Layout is the layout to go by, nil before there is one.
func (v *View) Layout() *ring.Layout {
	if !v.doc.formed {
		return nil
	}
	return v.doc.layout
}

// Phase is by whose owners to work, nil before there is a layout.
func (v *View) Phase() *ring.Phase {
	if v.rec == nil {
		return nil
	}
	return v.rec.course.Phase()
}

// ClusterID is the cluster this node belongs to, zero before it does.
func (v *View) ClusterID() [16]byte {
	if !v.doc.formed {
		return [16]byte{}
	}
	return v.doc.layout.ClusterID()
}

// Up reports whether messages can be sent to a node now. A node is always up
// for itself.
func (v *View) Up(name string) bool {
	if name == v.cfg.Self.Name {
		return true
	}
	m := v.members[name]
	return m != nil && m.linked && m.gossip != left && !v.foreign(m)
}

// Peers returns what is remembered of the other members, by name: those that
// gossip should find again.
func (v *View) Peers() []Peer { return v.remembered() }

// Members returns all nodes that are known, this one included, by name. Those of another
// cluster are none: a client that was told of one would write there.
func (v *View) Members() []kindred.Member {
	self := v.cfg.Self
	all := []kindred.Member{{
		Name: self.Name, Zone: self.Zone, Capacity: self.Capacity, State: kindred.Alive, Linked: true,
		ClientAddr: self.ClientAddr, PeerAddr: self.PeerAddr, GossipAddr: self.GossipAddr, HTTPAddr: self.HTTPAddr,
		Partitions: v.owned[self.Name],
	}}
	for _, m := range v.members {
		if v.foreign(m) {
			if n, member := v.layoutNode(m.Name); member {
				all = append(all, v.unseen(n))
			}
			continue
		}
		all = append(all, kindred.Member{
			Name: m.Name, Zone: m.Zone, Capacity: m.Capacity, State: m.state(), Linked: m.linked,
			ClientAddr: m.ClientAddr, PeerAddr: m.PeerAddr, GossipAddr: m.GossipAddr, HTTPAddr: m.HTTPAddr,
			Partitions: v.owned[m.Name],
		})
	}
	for _, n := range v.strangers() {
		all = append(all, v.unseen(n))
	}
	slices.SortFunc(all, func(a, b kindred.Member) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// unseen is a member of which nothing is known but what the layout says.
func (v *View) unseen(n ring.Node) kindred.Member {
	return kindred.Member{Name: n.Name, Zone: n.Zone, Capacity: n.Capacity, State: kindred.Dead, Partitions: v.owned[n.Name]}
}

// state joins the words of gossip and link: where they disagree the member is
// suspect.
func (m *member) state() kindred.MemberState {
	switch {
	case m.gossip == left:
		return kindred.Left
	case (m.gossip == alive) != m.linked:
		return kindred.Suspect
	case m.gossip == alive:
		return kindred.Alive
	}
	return kindred.Dead
}

// strangers are nodes of the layout that this node has never heard of.
func (v *View) strangers() []ring.Node {
	if v.doc.layout == nil {
		return nil
	}
	return slices.DeleteFunc(v.doc.layout.Nodes(), func(n ring.Node) bool {
		return n.Name == v.cfg.Self.Name || v.members[n.Name] != nil
	})
}

// Problems says, in sentences, what is not as it should be; nothing when all is
// well.
func (v *View) Problems() []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if v.waiting != "" {
		say("%s", v.waiting)
	}
	if v.rec != nil && v.rec.course.Removed() != nil {
		say("%s", v.removedText())
	}
	if v.rec != nil {
		for _, name := range v.hangsOn() {
			say("the change of the layout waits for %s, which cannot be reached: start it, or remove it if it will never come back (kvcli cluster remove %s)", name, name)
		}
	}
	if n := len(v.clusters()); v.doc.layout == nil && n > 1 {
		say("members of %d clusters were found, so this node joins none: give it the addresses of one cluster only", n)
	}
	for _, n := range v.strangers() {
		say("%s is in the layout, but its address is not known", n.Name)
	}
	for _, name := range v.names() {
		all = append(all, v.problemsOf(v.members[name])...)
	}
	if text := v.trouble[v.cfg.Self.Name]; text != "" {
		say("%s", text)
	}
	for _, name := range slices.Sorted(maps.Keys(v.conflicts)) {
		say("%s", v.conflicts[name].text)
	}
	return all
}

func (v *View) problemsOf(m *member) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	inLayout := v.needed[m.Name]
	switch {
	case v.foreign(m):
		say("%s", v.foreignText(m))
	case m.gossip == left && inLayout:
		say("%s has left, but is still in the layout: start it again, let it leave (kvcli cluster leave %s), or remove it if it will never come back (kvcli cluster remove %s)", m.Name, m.Name, m.Name)
	case !m.linked && inLayout:
		say("%s cannot be reached at %s", m.Name, m.PeerAddr)
	case !m.linked && m.gossip == alive:
		say("%s is alive, but cannot be reached at %s", m.Name, m.PeerAddr)
	case m.linked && m.gossip == dead:
		say("gossip calls %s dead, but its link works: check that UDP reaches %s", m.Name, m.GossipAddr)
	}
	if m.unreadable != "" {
		say("%s: %s", m.Name, m.unreadable)
	}
	if n, member := v.layoutNode(m.Name); member && m.gossip == alive && !v.decided(m.Name) {
		if n.Zone != m.Zone || n.Capacity != m.Capacity {
			say("%s says zone %q and capacity %d, the layout has %q and %d: change the layout (kvcli cluster set-zone, set-capacity) or correct its configuration",
				m.Name, m.Zone, m.Capacity, n.Zone, n.Capacity)
		}
	}
	if text := v.trouble[m.Name]; text != "" {
		say("%s", text)
	}
	return all
}

// decided reports whether an operator has given a node its zone and capacity.
func (v *View) decided(name string) bool { return v.rec != nil && v.rec.course.Tip().Decided(name) }

// hangsOn are the nodes for which a change waits and that cannot be reached.
func (v *View) hangsOn() []string {
	if !v.changing() || v.rec.course.Removed() != nil {
		return nil
	}
	return append(v.silentSources(), slices.DeleteFunc(v.rec.course.Waits(), v.Up)...)
}

// Left reports whether this node was a member once, and was let go.
func (v *View) Left() bool {
	return v.rec != nil && v.rec.course.Removed() == nil && v.rec.course.Tip().Former(v.cfg.Self.Name)
}

func (v *View) layoutNode(name string) (ring.Node, bool) {
	if v.doc.layout == nil {
		return ring.Node{}, false
	}
	return v.doc.layout.Node(name)
}

func (v *View) removedText() string {
	return fmt.Sprintf("%s was removed from the cluster by layout %v: it refuses all requests and keeps what it has; have the others take over what they lack (kvcli cluster return %s) before you empty its data folder, or let it join again",
		v.cfg.Self.Name, v.rec.course.Removed().Version(), v.cfg.Self.Name)
}

func (v *View) foreignText(m *member) string {
	return fmt.Sprintf("%s belongs to the cluster %x, this node to %x: they can never be one; empty the data folder of the one that is wrong",
		m.Name, m.holds.Cluster, v.doc.layout.ClusterID())
}
