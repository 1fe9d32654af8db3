package membership

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run the storm of this seed only")
	stormsFor = flag.Int("storms", 100, "how many random storms to run")
)

// TestStorm lets several views live through cuts, lost, repeated and late
// messages, crashes at any effect and moves to other addresses. Throughout, no
// two formed layouts share a member (M3) and no node changes its cluster (M2).
// When it is over, all nodes go by one layout and dial one another (M4).
func TestStorm(t *testing.T) {
	if *seedFlag != 0 {
		storm(t, *seedFlag)
		return
	}
	// Rivals are rare: a run goes on until it has seen some.
	var all happened
	base := rand.Uint64()
	for i := 0; i < *stormsFor || all.rivals == 0 && i < 50**stormsFor; i++ {
		seed := base + uint64(i)
		if !t.Run(fmt.Sprint(i), func(t *testing.T) { all.add(storm(t, seed)) }) {
			t.Fatalf("reproduce with -run TestStorm -seed %d", seed)
		}
	}
	t.Logf("%+v", all)
	all.require(t)
}

// storm runs one storm and returns what has happened.
func storm(t *testing.T, seed uint64) happened {
	w := newWorld(t, seed)
	steps := 50 + w.rng.IntN(400)
	if w.rng.IntN(2) == 0 {
		steps *= 4
	}
	for range steps {
		w.step()
		w.check()
	}
	w.calm()
	w.check()
	w.checkEnd()
	return w.happened
}

// world is all nodes and the network between them.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Time
	names []string
	nodes map[string]*simNode
	cut   map[[2]string]bool
	docs  []simDoc
	// inits: operators run cluster init on several nodes. Otherwise the nodes
	// form by themselves, and more than half of them are expected.
	inits  bool
	calmed bool
	// crashOnce in so many chances a node crashes; it differs between storms.
	crashOnce int
	// formed are the members of each cluster that was ever formed.
	formed   map[[16]byte][]string
	happened happened
}

// simNode is one node: its disk, and its view while it runs.
type simNode struct {
	cfg           Config
	moves         int
	layout, peers []byte
	// record is what layout says, once it is in a cluster; doc what read says, which is what
	// layout was.
	record *record
	read   []byte
	doc    document

	view  *View  // nil while it is down
	phase []byte // that by which it was told to work
	metas [][]byte
	dial  map[string]string
	links map[string]bool
	// heard is the newest meta of each other node that it heard.
	heard map[string]int
	// votes are the clusters whose layouts it held, cluster the formed one.
	votes   map[[16]byte]bool
	cluster [16]byte
}

type simDoc struct {
	from, to string
	doc      []byte
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: epoch,
		nodes: map[string]*simNode{}, cut: map[[2]string]bool{}, formed: map[[16]byte][]string{},
	}
	w.crashOnce = 5 + w.rng.IntN(80)
	count := 2 + w.rng.IntN(5)
	expect := count/2 + 1 + w.rng.IntN(count-count/2)
	if w.inits = w.rng.IntN(3) == 0; w.inits {
		expect = 0
	}
	for i := range count {
		name := fmt.Sprintf("n%d", i+1)
		w.names = append(w.names, name)
		w.nodes[name] = &simNode{cfg: config(name, expect), heard: map[string]int{}, votes: map[[16]byte]bool{}}
		w.start(name)
	}
	return w
}

// start starts a node from its disk.
func (w *world) start(name string) {
	n := w.nodes[name]
	v, err := New(n.cfg, n.layout, n.peers)
	require.NoError(w.t, err)
	n.view, n.phase, n.dial, n.links = v, nil, nil, map[string]bool{}
	w.carryOut(name, v.Start(w.now))
}

// crash stops a node; links to it break.
func (w *world) crash(name string) {
	w.nodes[name].view = nil
	for _, other := range w.names {
		if n := w.nodes[other]; n.view != nil && n.links[name] {
			delete(n.links, name)
			w.carryOut(other, n.view.LinkDown(w.now, name))
		}
	}
}

// carryOut does what a shell does with effects; now and then the node crashes
// in the middle of it.
func (w *world) carryOut(name string, e Effects) {
	n := w.nodes[name]
	crashes := func() bool { return !w.calmed && w.rng.IntN(w.crashOnce) == 0 }
	if e.SaveLayout != nil {
		if crashes() {
			w.crash(name)
			return
		}
		n.layout = e.SaveLayout
	}
	if e.SavePeers != nil && w.rng.IntN(10) > 0 {
		n.peers = e.SavePeers
	}
	if e.Announce != nil {
		n.metas = append(n.metas, e.Announce)
	}
	if e.Dial != nil {
		n.dial = e.Dial
	}
	for _, s := range e.Send {
		w.docs = append(w.docs, simDoc{name, s.To, s.Document})
	}
	w.checkTold(name, e)
	if !e.Empty() && crashes() {
		w.crash(name)
	}
}

func (w *world) pick() string { return w.names[w.rng.IntN(len(w.names))] }

func (w *world) severed(a, b string) bool { return w.cut[[2]string{a, b}] }

// step lets one random thing happen.
func (w *world) step() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(1000)) * time.Millisecond)
	a, b := w.pick(), w.pick()
	switch w.rng.IntN(30) {
	case 20, 21, 22:
		w.operate(a)
	case 23, 24:
		w.complete(a)
	case 25:
		if w.rng.IntN(10) == 0 {
			w.loseDisk(a)
		}
	case 26, 27: // for a moment all goes well
		w.hour()
	case 0:
		w.cut[[2]string{a, b}] = true // one way
	case 1:
		clear(w.cut)
	case 2:
		if w.nodes[a].view != nil {
			w.crash(a)
		} else {
			w.restart(a)
		}
	case 3:
		if n := w.nodes[a]; n.view != nil && w.inits {
			if e, err := n.view.Init(w.now); err == nil {
				w.carryOut(a, e)
			}
		}
	case 4, 5:
		if n := w.nodes[a]; n.view != nil {
			w.carryOut(a, n.view.Tick(w.now))
		}
	case 6, 7, 8, 9, 10:
		w.gossip(a, b)
	case 11, 12, 13, 14:
		w.relink(a, b)
	default:
		w.deliver()
	}
}

// restart starts a node, sometimes at another address.
func (w *world) restart(name string) {
	n := w.nodes[name]
	if w.rng.IntN(3) == 0 {
		n.moves++
		n.cfg.Self.PeerAddr = fmt.Sprintf("%s:%d", name, 8000+n.moves)
	}
	w.start(name)
}

// gossip tells to what is known about about: a meta no older than the last one
// it heard, or that it is dead.
func (w *world) gossip(about, to string) {
	a, n := w.nodes[about], w.nodes[to]
	if n.view == nil || about == to || len(a.metas) == 0 {
		return
	}
	if a.view == nil || w.severed(about, to) {
		w.carryOut(to, n.view.Gossip(w.now, Event{Kind: Died, Name: about}))
		return
	}
	i := n.heard[about]
	i += w.rng.IntN(len(a.metas) - i)
	n.heard[about] = i
	w.carryOut(to, n.view.Gossip(w.now, Event{Kind: Updated, Name: about, Addr: about + ":7402", Meta: a.metas[i]}))
}

// relink makes the link from one node to another what the network allows.
func (w *world) relink(from, to string) {
	n, peer := w.nodes[from], w.nodes[to]
	if n.view == nil || from == to {
		return
	}
	can := peer.view != nil && !w.severed(from, to) && n.dial[to] == peer.cfg.Self.PeerAddr && w.greet(n, peer)
	switch {
	case can && !n.links[to]:
		n.links[to] = true
		w.carryOut(from, n.view.LinkUp(w.now, to))
	case !can && n.links[to]:
		delete(n.links, to)
		w.carryOut(from, n.view.LinkDown(w.now, to))
	}
}

// greet is the hello of package transport.
func (w *world) greet(a, b *simNode) bool {
	x, y := a.view.ClusterID(), b.view.ClusterID()
	return x == y || x == [16]byte{} || y == [16]byte{}
}

// deliver takes a random document; it may be lost or stay for another time.
func (w *world) deliver() {
	if len(w.docs) == 0 {
		return
	}
	i := w.rng.IntN(len(w.docs))
	d := w.docs[i]
	if w.rng.IntN(4) > 0 {
		w.docs = slices.Delete(w.docs, i, i+1)
	}
	if n := w.nodes[d.to]; n.view != nil && !w.severed(d.from, d.to) && w.rng.IntN(5) > 0 {
		w.carryOut(d.to, n.view.LayoutReceived(w.now, d.from, d.doc))
	}
}

// check holds all that must be true at any time.
func (w *world) check() {
	w.checkRivals()
	for _, name := range w.names {
		n := w.nodes[name]
		if n.layout == nil {
			continue
		}
		doc := w.savedDocument(name)
		if id := doc.layout.ClusterID(); !n.votes[id] {
			n.votes[id] = true
			w.happened.rivals += min(1, len(n.votes)-1)
		}
		if !doc.formed {
			require.Zero(w.t, n.cluster, "%s fell back to a proposal", name)
			continue
		}
		id := doc.layout.ClusterID()
		if n.cluster != [16]byte{} {
			require.Equal(w.t, n.cluster, id, "%s changed its cluster", name)
		}
		n.cluster = id
		if w.formed[id] == nil {
			for _, m := range doc.layout.Nodes() {
				w.formed[id] = append(w.formed[id], m.Name)
			}
		}
	}
	for id, members := range w.formed {
		for _, m := range members {
			if c := w.nodes[m].cluster; c != [16]byte{} {
				require.Equal(w.t, id, c, "%s is a first member of cluster %x", m, id)
			}
		}
		for other, others := range w.formed {
			if id != other {
				for _, m := range members {
					require.NotContains(w.t, others, m, "clusters %x and %x are both formed and share %s", id, other, m)
				}
			}
		}
	}
}

// savedDocument is the layout by which a node would go on.
func (w *world) savedDocument(name string) document {
	n := w.nodes[name]
	if !bytes.Equal(n.read, n.layout) {
		v, err := New(config(name, 0), n.layout, nil)
		require.NoError(w.t, err)
		n.read, n.doc = n.layout, v.doc
	}
	return n.doc
}

// calm ends all faults and lets time pass.
func (w *world) calm() {
	clear(w.cut)
	w.calmed = true
	for range 40 {
		w.now = w.now.Add(time.Second)
		for _, a := range w.names {
			if w.nodes[a].view == nil {
				w.start(a)
			}
		}
		w.hour()
	}
}

// hour lets all that can be told be told, and nodes be complete.
func (w *world) hour() {
	for _, a := range w.names {
		for _, b := range w.names {
			w.nodes[b].heard[a] = max(0, len(w.nodes[a].metas)-1)
			w.gossip(a, b)
			w.relink(a, b)
		}
		w.complete(a)
		if n := w.nodes[a]; n.view != nil {
			w.carryOut(a, n.view.Tick(w.now))
		}
	}
	for range 3 * len(w.docs) {
		w.deliver()
	}
}

// checkEnd holds what must be true in the end.
func (w *world) checkEnd() {
	if w.inits && len(w.formed) == 0 {
		return // nobody asked for a cluster in time
	}
	require.NotEmpty(w.t, w.formed, "no cluster was formed")
	if !w.inits {
		require.Len(w.t, w.formed, 1)
	}
	for _, name := range w.names {
		n := w.nodes[name]
		if len(w.formed) > 1 {
			if n.view.Layout() != nil {
				require.NotEmpty(w.t, n.view.Problems(), "%s does not mention the other cluster", name)
			}
			continue
		}
		require.NotNil(w.t, n.view.Layout(), "%s: %v", name, n.view.Problems())
		want := map[string]string{}
		for _, other := range w.names {
			if other != name {
				want[other] = w.nodes[other].cfg.Self.PeerAddr
				require.True(w.t, n.view.Up(other), "%s does not see %s", name, other)
			}
		}
		require.Equal(w.t, want, n.dial)
	}
	if len(w.formed) == 1 {
		w.checkChanged()
	}
}
