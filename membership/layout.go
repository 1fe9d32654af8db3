package membership

import (
	"bytes"
	"time"

	"github.com/kindredkv/kindred/ring"
)

// LayoutReceived takes a document that a peer sent.
func (v *View) LayoutReceived(now time.Time, from string, encoded []byte) Effects {
	v.now = now
	doc, err := decodeDocument(encoded)
	m := v.members[from]
	switch {
	case m == nil:
		// A link without a member: its peer was removed in between.
	case err != nil:
		if text := err.Error(); v.trouble[from] != text {
			v.trouble[from] = text
			v.loud("ignoring what %s sent: %v", from, err)
		}
	default:
		v.holds(m, doc.held())
		v.consider(from, doc)
		v.confirm(m)
	}
	return v.settle()
}

// consider decides what becomes of the held document in the light of another.
func (v *View) consider(from string, doc document) {
	mine, theirs := v.doc.held(), doc.held()
	switch {
	case mine.None():
		v.considerFirst(doc)
	case mine.Cluster == theirs.Cluster:
		v.merge(from, doc)
	case mine.Formed:
		// Foreign, or a proposal that comes too late: ours goes out in return.
	case theirs.Formed:
		if v.memberHolds(func(h Held) bool { return h.Formed && h.Cluster == theirs.Cluster }) {
			v.hold(doc)
		}
	case less(theirs.Cluster, mine.Cluster) && doc.has(v.cfg.Self.Name):
		if v.memberHolds(func(h Held) bool { return !h.None() && less(h.Cluster, mine.Cluster) }) {
			v.hold(doc)
		}
	}
}

// considerFirst is for a node that holds nothing.
func (v *View) considerFirst(doc document) {
	switch {
	case !doc.formed && doc.has(v.cfg.Self.Name):
		v.hold(doc)
	case doc.formed:
		// Never join one of several clusters by accident.
		visible := v.clusters()
		visible[doc.layout.ClusterID()] = true
		if len(visible) == 1 {
			v.hold(doc)
		}
	}
}

// clusters are the formed clusters that living members belong to.
func (v *View) clusters() map[[16]byte]bool {
	found := map[[16]byte]bool{}
	for _, m := range v.members {
		if m.holds.Formed && (m.gossip == alive || m.linked) {
			found[m.holds.Cluster] = true
		}
	}
	return found
}

// memberHolds reports whether a member of the held layout holds a document of
// which ok is true.
func (v *View) memberHolds(ok func(Held) bool) bool {
	for _, n := range v.doc.layout.Nodes() {
		if m := v.members[n.Name]; m != nil && ok(m.holds) {
			return true
		}
	}
	return false
}

// merge joins a document of the own cluster.
func (v *View) merge(from string, doc document) {
	merged, err := ring.Merge(v.doc.layout, doc.layout)
	if err != nil {
		v.trouble[from] = "the layout that " + from + " sent cannot be merged: " + err.Error()
		v.loud("%s", v.trouble[from])
		return
	}
	if v.doc.layout.Version().Rivals(doc.layout.Version()) {
		v.loud("two layouts with the number %d were made, on two sides of a cut: %v goes on, the other is dropped; check that the plan is what you want",
			merged.Version().Counter, merged.Version())
	}
	v.hold(document{layout: merged, formed: v.doc.formed || doc.formed})
}

// hold replaces the held document.
func (v *View) hold(doc document) {
	before := v.doc
	if before.held() == doc.held() {
		return
	}
	v.doc = doc
	v.waiting = ""
	v.recount()
	switch {
	case !doc.formed:
		v.note("accepted the first layout of cluster %x; it is used once all of its %d members hold it", doc.layout.ClusterID(), len(doc.layout.Nodes()))
	case !before.formed:
		v.note("joined cluster %x, layout %v", doc.layout.ClusterID(), doc.layout.Version())
		v.noteMembership()
	default:
		v.note("layout %v replaces %v", doc.layout.Version(), before.layout.Version())
	}
}

func (v *View) noteMembership() {
	if !v.doc.has(v.cfg.Self.Name) {
		v.note("this node is a member without partitions until a plan gives it some")
	}
}

func (v *View) recount() {
	v.owned = map[string]int{}
	for _, s := range v.doc.layout.Shares(v.doc.layout.Replicas()) {
		v.owned[s.Node] = s.Owned
	}
}

// spread sends the held document to the linked members that lack it.
func (v *View) spread() {
	if v.doc.layout == nil {
		return
	}
	for _, name := range v.names() {
		if m := v.members[name]; m.linked && v.lacks(m) {
			v.send(m)
		}
	}
}

// lacks reports whether a member should be sent the held document.
func (v *View) lacks(m *member) bool {
	mine := v.doc.held()
	switch {
	case !mine.Formed:
		return v.doc.has(m.Name) && m.holds.Cluster != mine.Cluster
	case m.holds.Cluster == mine.Cluster:
		return !m.holds.Formed || m.holds.Version.Compare(mine.Version) < 0
	default:
		return !m.holds.Formed
	}
}

// confirm answers a document with the held one, so that its sender learns the
// outcome even where gossip does not get through. Two peers that confirm to
// one another stop at once: nothing is sent twice within ResendEvery.
func (v *View) confirm(m *member) {
	if v.doc.layout != nil && m.linked && !v.foreign(m) {
		v.send(m)
	}
}

// send queues the held document, unless the member was sent it just now.
func (v *View) send(m *member) {
	held := v.doc.held()
	if m.sent == held && v.now.Sub(m.sentAt) < ResendEvery {
		return
	}
	m.sent, m.sentAt = held, v.now
	v.sends = append(v.sends, Outgoing{To: m.Name, Document: v.doc.encode()})
}

func less(a, b [16]byte) bool { return bytes.Compare(a[:], b[:]) < 0 }
