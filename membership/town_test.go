package membership

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
)

// town is some nodes of one cluster; all that they tell arrives at once, but where a link
// is cut. What they save is kept.
type town struct {
	t     *testing.T
	now   time.Time
	views map[string]*View
	saved map[string][]byte
	notes map[string][]Note
	mail  []mail
	cut   map[[2]string]bool
	// gossips: metas arrive too, unless it is false.
	gossips bool
}

type mail struct {
	from, to string
	document []byte
}

// newTown is a cluster of n1, n2 and so on.
func newTown(t *testing.T, count int) *town {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprint("n", i+1))
	}
	w := &town{
		t: t, now: epoch, gossips: true, views: map[string]*View{}, saved: map[string][]byte{},
		notes: map[string][]Note{}, cut: map[[2]string]bool{},
	}
	first := formed(proposal(t, 5, names...))
	for _, name := range names {
		w.saved[name] = first.encode()
		w.start(name)
	}
	return w
}

func (w *town) names() []string {
	var names []string
	for name := range w.views {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// start starts a node from what it has saved, and links it to all others.
func (w *town) start(name string) {
	v, err := New(config(name, 0), w.saved[name], nil)
	require.NoError(w.t, err)
	w.views[name] = v
	w.carry(name, v.Start(w.now))
	for _, other := range w.names() {
		if other != name {
			w.carry(other, w.views[other].Gossip(w.now, joined(name, v.held())))
			w.carry(name, v.Gossip(w.now, joined(other, w.views[other].held())))
			w.carry(name, v.LinkUp(w.now, other))
			w.carry(other, w.views[other].LinkUp(w.now, name))
		}
	}
	w.deliver()
}

// stop ends a node, and all see that.
func (w *town) stop(name string) {
	delete(w.views, name)
	for _, other := range w.names() {
		w.carry(other, w.views[other].LinkDown(w.now, name))
		w.carry(other, w.views[other].Gossip(w.now, Event{Kind: Died, Name: name}))
	}
}

// sever cuts the links between two groups of nodes, mend brings all links back.
func (w *town) sever(some, others []string) {
	for _, a := range some {
		for _, b := range others {
			w.cut[[2]string{a, b}], w.cut[[2]string{b, a}] = true, true
			w.carry(a, w.views[a].LinkDown(w.now, b))
			w.carry(b, w.views[b].LinkDown(w.now, a))
		}
	}
}

func (w *town) mend() {
	for link := range w.cut {
		delete(w.cut, link)
		w.carry(link[0], w.views[link[0]].LinkUp(w.now, link[1]))
	}
	w.deliver()
}

// carry does what a shell does: it saves, then tells.
func (w *town) carry(name string, e Effects) Effects {
	if e.SaveLayout != nil {
		w.saved[name] = e.SaveLayout
	}
	for _, s := range e.Send {
		w.mail = append(w.mail, mail{name, s.To, s.Document})
	}
	w.notes[name] = append(w.notes[name], e.Notes...)
	if e.Announce != nil && w.gossips {
		for _, other := range w.names() {
			if other != name && !w.cut[[2]string{name, other}] {
				w.carry(other, w.views[other].Gossip(w.now, Event{Kind: Updated, Name: name, Addr: name + ":7402", Meta: e.Announce}))
			}
		}
	}
	return e
}

func (w *town) deliver() {
	for len(w.mail) > 0 {
		m := w.mail[0]
		w.mail = w.mail[1:]
		if v := w.views[m.to]; v != nil && !w.cut[[2]string{m.from, m.to}] {
			w.carry(m.to, v.LayoutReceived(w.now, m.from, m.document))
		}
	}
}

func (w *town) stage(at string, n ring.Node, intent ring.Intent) {
	e, err := w.views[at].Stage(w.now, n, intent)
	require.NoError(w.t, err)
	w.carry(at, e)
	w.deliver()
}

// commit commits what is staged, as an operator does who has seen the plan.
func (w *town) commit(at string) ring.Version {
	_, d, err := w.views[at].Plan(w.now, false, nil)
	require.NoError(w.t, err)
	e, err := w.views[at].Commit(w.now, d.Version(), false)
	require.NoError(w.t, err)
	w.carry(at, e)
	w.deliver()
	return d.Version()
}

// complete lets nodes have all that they are to own.
func (w *town) complete(names ...string) {
	for _, name := range names {
		v := w.views[name]
		w.carry(name, v.Complete(w.now, v.rec.course.Tip().Version()))
	}
	w.deliver()
}

// tick lets time pass, second after second.
func (w *town) tick(seconds int) (sent int) {
	for range seconds {
		w.now = w.now.Add(time.Second)
		for _, name := range w.names() {
			w.carry(name, w.views[name].Tick(w.now))
		}
		sent += len(w.mail)
		w.deliver()
	}
	return sent
}

// settledOn demands that all nodes go by one layout alone.
func (w *town) settledOn(version ring.Version) {
	for _, name := range w.names() {
		c := w.views[name].rec.course
		require.Equal(w.t, version, c.Tip().Version(), name)
		require.True(w.t, c.Settled(), "%s waits for %v", name, w.views[name].Changes().Progress.Waits)
	}
}
