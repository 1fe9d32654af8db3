package membership

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred/ring"
)

// LayoutReceived takes a document that a peer sent.
func (v *View) LayoutReceived(now time.Time, from string, encoded []byte) Effects {
	v.now = now
	doc, told, err := decodeReceived(encoded)
	m := v.members[from]
	switch {
	case m == nil:
		// A link without a member: its peer was removed in between.
	case err != nil:
		if text := err.Error(); v.trouble[from] != text {
			v.trouble[from] = text
			v.loud("ignoring what %s sent: %v", from, err)
		}
	case told != nil:
		v.holds(m, told.held())
		v.considerTold(from, *told)
	default:
		v.holds(m, doc.held())
		v.consider(doc)
		v.answers[from] = true
	}
	return v.settle()
}

// consider decides what becomes of the held document in the light of a proposal.
func (v *View) consider(doc document) {
	mine, theirs := v.doc.held(), doc.held()
	switch {
	case mine.None():
		// A node whose disk is new does not begin where the cluster did.
		if doc.has(v.cfg.Self.Name) && !v.clusters()[theirs.Cluster] {
			v.hold(doc)
		}
	case mine.Formed || mine.Cluster == theirs.Cluster:
		// It comes too late, or says what is known: ours goes out in return.
	case less(theirs.Cluster, mine.Cluster) && doc.has(v.cfg.Self.Name):
		if v.memberHolds(func(h Held) bool { return !h.None() && less(h.Cluster, mine.Cluster) }) {
			v.hold(doc)
		}
	}
}

// considerTold decides what becomes of the held document in the light of a formed one.
func (v *View) considerTold(from string, t told) {
	mine, theirs := v.doc.held(), t.held()
	switch {
	case mine.None():
		// Never join one of several clusters by accident.
		visible := v.clusters()
		visible[theirs.Cluster] = true
		if len(visible) == 1 {
			v.meetCluster(from, t)
		}
	case mine.Cluster == theirs.Cluster && !mine.Formed:
		v.hold(document{layout: v.doc.layout, formed: true})
		v.hear(from, t)
	case mine.Cluster == theirs.Cluster:
		v.hear(from, t)
	case mine.Formed:
		// Foreign.
	case v.memberHolds(func(h Held) bool { return h.Formed && h.Cluster == theirs.Cluster }):
		v.meetCluster(from, t)
	default:
		v.answers[from] = true
	}
}

// hear takes what a peer of the own cluster tells.
func (v *View) hear(from string, t told) {
	if names := ring.Clashes(v.rec.staging, t.staging); len(names) > 0 {
		v.loud("different changes were staged on two sides of a cut for %s, and one of them is dropped: check what is staged", strings.Join(names, ", "))
	}
	news := v.rec.hear(t)
	v.unsaved = v.unsaved || news
	// Who tells the same again does not know that it has arrived.
	v.answers[from] = v.answers[from] || !news
}

// entry is what was told of a cluster to a node without a layout.
type entry struct {
	since   time.Time
	cluster [16]byte
	told    told
	from    map[string]bool
}

// meetCluster takes what a node without a layout was told. It is not used yet: another
// member may know of later layouts, perhaps with the vote of an earlier life of this node.
func (v *View) meetCluster(from string, t told) {
	cluster := t.held().Cluster
	if v.entry == nil || v.entry.cluster != cluster {
		v.entry = &entry{since: v.now, cluster: cluster, told: t, from: map[string]bool{}}
	}
	v.entry.told = v.entry.told.join(t)
	v.entry.from[from] = true
}

// enter begins with what was told, once all members that are there have told, or long
// enough was waited for them.
func (v *View) enter() {
	e := v.entry
	if e == nil {
		return
	}
	if v.rec != nil {
		v.entry = nil
		return
	}
	if v.doc.layout == nil && len(v.clusters()) > 1 {
		return
	}
	for name, m := range v.members {
		there := m.holds.Formed && m.holds.Cluster == e.cluster && (m.gossip == alive || m.linked)
		if there && !e.from[name] && v.now.Sub(e.since) < EnterPatience {
			return
		}
	}
	v.entry = nil
	course, err := ring.Enter(v.cfg.Self.Name, e.told.files)
	if err != nil {
		v.loud("what was told of the layout cannot be used: %v", err)
		return
	}
	v.waiting = ""
	v.rec = &record{course: course, staging: e.told.staging, history: e.told.history}
	v.unsaved, v.voiced = true, true
	v.refresh()
	v.noteJoined()
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

// hold replaces the held document by another proposal, or takes it into use.
func (v *View) hold(doc document) {
	if v.doc.held() == doc.held() {
		return
	}
	v.doc = doc
	v.waiting = ""
	v.unsaved, v.voiced = true, true
	v.recount()
	if doc.formed {
		v.begin()
		v.noteJoined()
		return
	}
	v.note("accepted the first layout of cluster %x; it is used once all of its %d members hold it", doc.layout.ClusterID(), len(doc.layout.Nodes()))
}

// begin works by the held document, which was formed.
func (v *View) begin() {
	v.rec = &record{course: ring.NewCourse(v.cfg.Self.Name, ring.First(v.doc.layout))}
	v.refresh()
}

func (v *View) noteJoined() {
	v.note("joined cluster %x, layout %v", v.doc.layout.ClusterID(), v.rec.course.Tip().Version())
	v.noteMembership()
}

func (v *View) noteMembership() {
	if !v.doc.has(v.cfg.Self.Name) && !v.Left() && v.rec.course.Removed() == nil {
		v.note("this node is a member without partitions until a plan gives it some")
	}
}

// turn does all that the rules allow now.
func (v *View) turn() {
	r := v.rec
	if r == nil {
		return
	}
	before := r.standing(v.cfg.Self.Name)
	rivals := v.successors()
	for r.course.Turn() {
		v.unsaved = true
	}
	if staging := r.trim(r.staging); !staging.Equal(r.staging) {
		r.staging, v.unsaved = staging, true
	}
	if r.note(v.cfg.Self.Name, v.now.UnixMilli()) {
		v.unsaved, v.voiced = true, true
	}
	after := r.standing(v.cfg.Self.Name)
	if v.unsaved {
		v.voiced = v.voiced || before != after
		v.refresh()
	}
	v.noteTurn(before, after, rivals)
}

// successors are the decisions that follow on the tip.
func (v *View) successors() (all []*ring.Decision) {
	for _, f := range v.rec.course.Files() {
		if f.Decision.Parent() == v.rec.course.Tip().Version() {
			all = append(all, f.Decision)
		}
	}
	return all
}

// noteTurn tells people what a turn has brought.
func (v *View) noteTurn(before, after standing, rivals []*ring.Decision) {
	c := v.rec.course
	switch {
	case after.tip != before.tip:
		v.note("layout %v is in use, in the place of %v", after.tip, before.tip)
		for _, d := range rivals {
			if lost := d.Version(); lost != after.tip && c.Tip().Parent() == d.Parent() {
				v.note("layout %v was committed as well and is not used; of what it was to change is staged again what %v does not", lost, after.tip)
			}
		}
	case after.vote != before.vote && after.vote != ring.Version{}:
		v.note("layout %v is held as the next one; it is used once all its voters hold it", after.vote)
	}
	if step := after.onTip.Step; step != 0 && (step != before.onTip.Step || after.tip != before.tip) {
		v.note("layout %v: this node is at step %v", after.tip, step)
	}
	if after.removed && !before.removed {
		v.loud("%s", v.removedText())
	}
}

// refresh draws what follows from the record, which has changed.
func (v *View) refresh() {
	v.rec.seal()
	c := v.rec.course
	if l := c.Tip().Layout(); v.doc.layout != l || v.owned == nil {
		v.doc = document{layout: l, formed: true}
		v.recount()
	}
	switch busy := v.changing(); {
	case !busy:
		v.busy, v.since = false, time.Time{}
	case !v.busy:
		v.busy, v.since = true, v.now
	}
	clear(v.needed)
	for _, name := range c.Phase().Members() {
		v.needed[name] = true
	}
	if d := c.Holds(); d != nil {
		for _, n := range d.Layout().Nodes() {
			v.needed[n.Name] = v.needed[n.Name] || !slices.Contains(c.Tip().Gone(), n.Name)
		}
	}
}

func (v *View) recount() {
	v.owned = map[string]int{}
	for _, s := range v.doc.layout.Shares(v.doc.layout.Replicas()) {
		v.owned[s.Node] = s.Owned
	}
	if v.rec == nil {
		clear(v.needed)
		for _, n := range v.doc.layout.Nodes() {
			v.needed[n.Name] = true
		}
	}
}

func less(a, b [16]byte) bool { return bytes.Compare(a[:], b[:]) < 0 }
