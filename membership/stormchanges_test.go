package membership

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
)

// happened counts what storms have brought about, so that a storm which does nothing does
// not pass for one that does no harm.
type happened struct {
	rivals    int // proposals of first layouts that were left for another
	commits   int
	changes   int // layouts that came into use
	settled   int // of them, those that settled while the storm went on
	removed   int // nodes that learned that they are gone
	disksLost int
	waived    int // layouts of which one replaced another before that was used
}

func (h *happened) add(more happened) {
	h.rivals += more.rivals
	h.commits += more.commits
	h.changes += more.changes
	h.settled += more.settled
	h.removed += more.removed
	h.disksLost += more.disksLost
	h.waived += more.waived
}

// require demands that everything happened.
func (h happened) require(t require.TestingT) {
	require.Positive(t, h.rivals, "no node ever left a proposal for another one")
	require.Positive(t, h.commits, "nothing was committed")
	require.Positive(t, h.changes, "no committed layout came into use")
	require.Positive(t, h.settled, "no change settled")
	require.Positive(t, h.removed, "nobody was removed and told so")
	require.Positive(t, h.disksLost, "no disk was lost")
	require.Positive(t, h.waived, "no layout lost against another")
}

// operate lets an operator, or a shard, do something at a node.
func (w *world) operate(at string) {
	n := w.nodes[at]
	if n.view == nil || n.view.rec == nil {
		return
	}
	switch w.rng.IntN(8) {
	case 0:
		e, err := n.view.Clear(w.now)
		w.obey(at, e, err)
	case 1, 2, 3:
		intent := []ring.Intent{ring.Own, ring.Own, ring.Leave, ring.Remove, ring.Keep}[w.rng.IntN(5)]
		whom := ring.Node{Name: w.pick(), Zone: fmt.Sprint("z", w.rng.IntN(3)), Capacity: uint32(w.rng.IntN(3))}
		e, err := n.view.Stage(w.now, whom, intent)
		w.obey(at, e, err)
	case 4, 5, 6:
		loss := w.rng.IntN(2) == 0
		_, d, err := n.view.Plan(w.now, loss, nil)
		if err != nil {
			return
		}
		e, err := n.view.Commit(w.now, d.Version(), loss)
		if err == nil {
			w.happened.commits++
		}
		w.obey(at, e, err)
	case 7:
		w.carryOut(at, n.view.Differ(w.now, w.pick()))
	}
}

// obey carries out what an operator has asked for, unless it was refused.
func (w *world) obey(at string, e Effects, err error) {
	if err != nil {
		require.True(w.t, e.Empty(), "refused, and done all the same")
		return
	}
	w.carryOut(at, e)
}

// complete lets a node have all that it is to own, as its shards would find.
func (w *world) complete(at string) {
	if n := w.nodes[at]; n.view != nil && n.view.rec != nil {
		tip := n.view.rec.course.Tip().Version()
		w.carryOut(at, n.view.Complete(w.now, tip))
		if n.view != nil && !w.calmed && w.rng.IntN(10) == 0 {
			w.carryOut(at, n.view.Report(w.now, tip, w.rng.Uint64N(1000), time.Duration(w.rng.Uint64N(1000))*time.Millisecond))
		}
	}
}

// loseDisk takes the disk of a node, if it is in a cluster that all know of, and has no
// vote on it for a layout which may yet be formed: to lose that is beyond what is promised.
func (w *world) loseDisk(name string) {
	n := w.nodes[name]
	if n.record == nil || w.inits {
		return
	}
	formed := map[ring.Version]bool{}
	for _, other := range w.nodes {
		if other.record == nil {
			return // new disks must not make a cluster of their own
		}
		for _, f := range other.record.course.Files() {
			formed[f.Decision.Version()] = formed[f.Decision.Version()] || f.Formed
		}
	}
	for _, f := range n.record.course.Files() {
		if f.Mark(name).Held && !formed[f.Decision.Version()] {
			return
		}
	}
	if n.view != nil {
		w.crash(name)
	}
	n.layout, n.peers, n.record, n.cluster = nil, nil, nil, [16]byte{}
	n.moves++
	n.cfg.Self.ReplicaID[15] = byte(n.moves)
	w.happened.disksLost++
	w.start(name)
}

// checkTold demands that a node tells only what it would tell after a crash (M1).
func (w *world) checkTold(name string, e Effects) {
	n := w.nodes[name]
	w.look(name)
	for _, s := range e.Send {
		if n.record != nil {
			require.True(w.t, bytes.Equal(n.record.told, s.Document), "%s tells what it has not saved", name)
		} else {
			require.True(w.t, bytes.Equal(n.layout, s.Document), "%s tells what it has not saved", name)
		}
	}
	if n.record != nil && e.Announce != nil {
		meta, err := DecodeMeta(e.Announce)
		require.NoError(w.t, err)
		require.Equal(w.t, n.record.hash, meta.Holds.Hash, "%s announces what it has not saved", name)
	}
	if e.LayoutChanged {
		n.phase = n.view.Phase().AppendTo(nil)
	}
	if n.record != nil {
		require.True(w.t, bytes.Equal(n.record.course.Phase().AppendTo(nil), n.phase), "%s works by another phase than it has saved", name)
	}
}

// look reads what a node has saved, if that has changed.
func (w *world) look(name string) {
	n := w.nodes[name]
	if n.layout == nil || n.layout[0] != savedVersion || n.record != nil && bytes.Equal(n.record.encode(), n.layout) {
		return
	}
	rec, err := decodeRecord(name, n.layout)
	require.NoError(w.t, err)
	if was := n.record; was != nil {
		old, now := was.course.Tip().Version(), rec.course.Tip().Version()
		require.GreaterOrEqual(w.t, now.Compare(old), 0, "%s goes back from %v to %v", name, old, now)
		if old != now {
			w.happened.changes++
		} else if was.course.Removed() == nil && rec.course.Removed() == nil {
			require.GreaterOrEqual(w.t, rec.course.Step(), was.course.Step(), "%s takes a step back", name)
		}
		if was.course.Removed() == nil && rec.course.Removed() != nil {
			w.happened.removed++
		}
		if !was.course.Settled() && rec.course.Settled() && old == now {
			w.happened.settled++
		}
		if a, b := was.course.Holds(), rec.course.Holds(); a != nil && b != nil && a.Parent() == b.Parent() && a.Version() != b.Version() {
			require.Positive(w.t, b.Version().Compare(a.Version()), "%s leaves a layout for a smaller one", name)
			w.happened.waived++
		}
	}
	n.record = rec
}

// checkRivals demands that no two nodes which both had a say work by rivals.
func (w *world) checkRivals() {
	for _, i := range w.names {
		for _, j := range w.names {
			m, n := w.nodes[i].record, w.nodes[j].record
			if m == nil || n == nil || m.course.Removed() != nil || n.course.Removed() != nil {
				continue
			}
			p, _ := m.course.File(m.course.Tip().Version())
			q, _ := n.course.File(n.course.Tip().Version())
			a, b := p.Decision, q.Decision
			if a.Version() == b.Version() {
				require.Equal(w.t, p.Base, q.Base, "%s and %s come from one base", i, j)
				continue
			}
			if a.Layout().ClusterID() != b.Layout().ClusterID() || a.Parent() != b.Parent() || a.Parent() == (ring.Version{}) {
				continue
			}
			both := !slices.Contains(b.Gone(), i) && !slices.Contains(a.Gone(), j) && p.Mark(i).Held && q.Mark(j).Held
			require.False(w.t, both, "%s uses %v, %s uses %v", i, a.Version(), j, b.Version())
		}
	}
}

// checkChanged holds what must be true of layouts in the end, in a cluster of all nodes.
func (w *world) checkChanged() {
	var tip ring.Version
	var first *record
	for _, name := range w.names {
		r := w.nodes[name].view.rec
		if v := r.course.Tip().Version(); r.course.Removed() == nil && v.Compare(tip) > 0 {
			tip = v
		}
	}
	for _, name := range w.names {
		r := w.nodes[name].view.rec
		if r.course.Removed() != nil {
			require.Contains(w.t, w.nodes[name].view.Problems()[0], "was removed from the cluster")
			require.True(w.t, w.nodes[name].view.Phase().Removed())
			continue
		}
		p := w.nodes[name].view.Changes().Progress
		require.Equal(w.t, tip, r.course.Tip().Version(), "%s waits for %v", name, p.Waits)
		require.True(w.t, p.Settled, "%s waits for %v", name, p.Waits)
		if first == nil {
			first = r
		}
		require.True(w.t, first.staging.Equal(r.staging), "%s knows other changes to be staged", name)
		require.True(w.t, bytes.Equal(first.told, r.told), "%s tells something else:\n%x\n%x", name, first.told, r.told)
	}
}
