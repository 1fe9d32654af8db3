package membership

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred/ring"
)

// InitError says why the first layout cannot be made now.
type InitError struct{ Reason string }

func (e *InitError) Error() string { return "cannot make the first layout: " + e.Reason }

// Init makes the first layout now, of this node and all members that are alive
// and linked, however many are expected. Its error is an *[InitError].
func (v *View) Init(now time.Time) (Effects, error) {
	v.now = now
	if v.doc.layout != nil {
		return Effects{}, &InitError{Reason: v.alreadyText()}
	}
	if holders := v.holders(); len(holders) > 0 {
		return Effects{}, &InitError{Reason: strings.Join(holders, ", ") + " already has one, which will arrive"}
	}
	if err := v.propose(); err != nil {
		return Effects{}, &InitError{Reason: err.Error()}
	}
	return v.settle(), nil
}

func (v *View) alreadyText() string {
	if v.doc.formed {
		return fmt.Sprintf("this node is in cluster %x already", v.doc.layout.ClusterID())
	}
	return fmt.Sprintf("this node holds one already, which waits for %s", strings.Join(v.unconfirmed(), ", "))
}

// makeFirst makes the first layout when it is time and this node's turn.
func (v *View) makeFirst() {
	if v.doc.layout != nil {
		return
	}
	reason := v.firstWaitsFor()
	if reason == "" {
		if err := v.propose(); err != nil {
			reason = "the first layout cannot be made: " + err.Error()
		}
	}
	if reason != v.waiting {
		v.waiting = reason
		if reason != "" {
			v.note("%s", reason)
		}
	}
}

// firstWaitsFor says what keeps this node from making the first layout.
func (v *View) firstWaitsFor() string {
	if holders := v.holders(); len(holders) > 0 {
		return "waiting for the layout from " + strings.Join(holders, ", ")
	}
	if v.cfg.Expect <= 0 {
		return "waiting for a layout: start the nodes of a new cluster with --expect, or name nodes of an existing one with --join"
	}
	if seen := 1 + len(v.seen()); seen < v.cfg.Expect {
		return fmt.Sprintf("waiting: %d of %d expected nodes seen", seen, v.cfg.Expect)
	}
	if first := v.firstName(); first != v.cfg.Self.Name {
		return "waiting for " + first + " to make the first layout"
	}
	return ""
}

// seen are the members that a first layout would have besides this node: those
// that are alive and linked.
func (v *View) seen() []*member {
	var seen []*member
	for _, name := range v.names() {
		if m := v.members[name]; m.gossip == alive && m.linked {
			seen = append(seen, m)
		}
	}
	return seen
}

// holders are the living members that hold a layout.
func (v *View) holders() []string {
	var holders []string
	for _, name := range v.names() {
		if m := v.members[name]; !m.holds.None() && (m.gossip == alive || m.linked) {
			holders = append(holders, name)
		}
	}
	return holders
}

// firstName is the smallest name of all nodes alive, linked or not.
func (v *View) firstName() string {
	first := v.cfg.Self.Name
	for name, m := range v.members {
		if m.gossip == alive && name < first {
			first = name
		}
	}
	return first
}

// propose makes the first layout and votes for it.
func (v *View) propose() error {
	self := v.cfg.Self
	nodes := []ring.Node{{Name: self.Name, Zone: self.Zone, Capacity: self.Capacity}}
	ids := map[string][16]byte{self.Name: self.ReplicaID}
	for _, m := range v.seen() {
		nodes = append(nodes, ring.Node{Name: m.Name, Zone: m.Zone, Capacity: m.Capacity})
		ids[m.Name] = m.replicaID
	}
	id := clusterID(v.cfg.Partitions, v.cfg.Replicas, nodes, ids)
	layout, err := ring.New(id, v.cfg.Partitions, v.cfg.Replicas, nodes)
	if err != nil {
		return err
	}
	v.hold(document{layout: layout})
	return nil
}

// clusterID derives the id of a cluster from all that its first layout is made
// of, and from the disks of its first members.
func clusterID(partitions, replicas int, nodes []ring.Node, ids map[string][16]byte) (id [16]byte) {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b ring.Node) int { return strings.Compare(a.Name, b.Name) })
	b := []byte("kindred cluster 1")
	b = binary.AppendUvarint(b, uint64(partitions))
	b = binary.AppendUvarint(b, uint64(replicas))
	for _, n := range nodes {
		b = appendString(b, n.Name)
		b = appendString(b, n.Zone)
		b = binary.AppendUvarint(b, uint64(n.Capacity))
		disk := ids[n.Name]
		b = append(b, disk[:]...)
	}
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}

// form takes a proposal into use once all its members hold it.
func (v *View) form() {
	if v.doc.layout == nil || v.doc.formed {
		return
	}
	missing := v.unconfirmed()
	if len(missing) == 0 || v.anyFormed() {
		v.hold(document{layout: v.doc.layout, formed: true})
		return
	}
	if text := "the first layout is used once it is held by " + strings.Join(missing, ", ") + " too"; text != v.waiting {
		v.waiting = text
		v.note("%s", text)
	}
}

// unconfirmed are the members of the held layout that were not seen to hold it.
func (v *View) unconfirmed() []string {
	var missing []string
	for _, n := range v.doc.layout.Nodes() {
		if m := v.members[n.Name]; n.Name != v.cfg.Self.Name && (m == nil || m.holds.Cluster != v.doc.layout.ClusterID()) {
			missing = append(missing, n.Name)
		}
	}
	return missing
}

// anyFormed reports whether anyone says that the held layout is formed.
func (v *View) anyFormed() bool {
	for _, m := range v.members {
		if m.holds.Formed && m.holds.Cluster == v.doc.layout.ClusterID() {
			return true
		}
	}
	return false
}

func (v *View) names() []string { return slices.Sorted(maps.Keys(v.members)) }
