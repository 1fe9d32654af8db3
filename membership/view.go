package membership

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred/ring"
)

const (
	// ResendEvery is the time after which a document is sent again to a peer that still
	// seems to lack it; twice that after the next time, and so on up to ResendMax.
	ResendEvery = 2 * time.Second
	ResendMax   = time.Minute
	// DifferEvery is the least time between two documents for a peer of which requests
	// say that it goes by another layout.
	DifferEvery = 100 * time.Millisecond
	// EnterPatience is how long a node without a layout waits to hear of it from every
	// member that is there, once it has heard from one.
	EnterPatience = 5 * time.Second
)

// Config is what a View is told about its node and the cluster to be.
type Config struct {
	Self Node
	// Expect is the number of nodes, this one included, that make a cluster by
	// themselves. Zero waits for Init.
	Expect int
	// Partitions and Replicas are those of the first layout; see ring.New.
	Partitions, Replicas int
	// Rates are those for predictions of how long a change takes, until changes have shown
	// others; zero predicts nothing.
	Rates ring.Rates
}

// View is one node's view of its cluster. It is not safe for concurrent use.
type View struct {
	cfg Config
	now time.Time

	// doc is the first layout while it is a proposal, then that by which the node works.
	doc document
	// rec is all that the node holds of layouts, nil before there is one.
	rec *record
	// unsaved: doc or rec have changed since the last effects; voiced: by what this node
	// has done itself, so that the others are told at once.
	unsaved, voiced bool
	// busy: the layout changes, and this node has heard of that at since.
	busy  bool
	since time.Time
	// entry is what was told to a node without a layout.
	entry *entry
	// answers are the peers whose documents are still to be answered: whatever they hold, or
	// only if it is something else than what is held here.
	answers map[string]bool
	// planned is the last plan that was made here, for the history, and mostRate what
	// predictions take no rate to be above, 0 for nothing.
	planned  plannedChange
	mostRate uint64

	members map[string]*member
	// needed are the nodes that have a part in the layouts that are in use.
	needed map[string]bool
	// owned caches how many partitions each node is a home of.
	owned map[string]int
	// waiting says what the first layout waits for, empty when nothing.
	waiting string
	// trouble are problems that are not visible in the state, by the name of
	// the node that caused them; bounded as members are.
	trouble map[string]string
	// conflicts are by the contested name.
	conflicts map[string]conflict

	// What was last told, to tell changes only.
	told struct {
		phase phaseName
		meta  []byte
		peers []byte
		dial  map[string]string
	}
	notes []Note
	sends []Outgoing
}

// gossipState is the latest word of gossip on a member.
type gossipState byte

const (
	unheard gossipState = iota
	alive
	dead
	left
)

// member is all that is known of another node.
type member struct {
	Peer
	gossip gossipState
	linked bool
	// replicaID and holds are from its latest meta or document.
	replicaID [16]byte
	holds     Held
	// unreadable is why its meta could not be read.
	unreadable string
	// sent is the document last sent to it, at sentAt, when it held sentTo; it is sent
	// again after resend. Differs is since when it has held another one. Met: something was
	// or could have been sent since its link is up.
	met             bool
	sent, sentTo    Held
	sentAt, differs time.Time
	resend          time.Duration
}

// largestVersion is used to size metas.
var largestVersion = ring.Version{Counter: 1<<64 - 1, Hash: 1<<64 - 1}

// New makes a view from what an earlier life saved; nil means nothing. Errors
// are *[FormatError] and complaints about cfg.
func New(cfg Config, savedLayout, savedPeers []byte) (*View, error) {
	if err := checkNode(cfg.Self); err != nil {
		return nil, err
	}
	v := &View{
		cfg: cfg, members: map[string]*member{}, trouble: map[string]string{}, conflicts: map[string]conflict{},
		answers: map[string]bool{}, needed: map[string]bool{},
	}
	if savedLayout != nil {
		if err := v.restore(savedLayout); err != nil {
			return nil, err
		}
	}
	if savedPeers != nil {
		peers, err := decodePeers(savedPeers)
		if err != nil {
			return nil, err
		}
		for _, p := range peers {
			if p.Name != cfg.Self.Name {
				v.members[p.Name] = &member{Peer: p}
			}
		}
		v.told.peers = savedPeers
	}
	return v, nil
}

// restore takes what an earlier life saved of layouts.
func (v *View) restore(saved []byte) error {
	if len(saved) > 0 && saved[0] == savedVersion {
		rec, err := decodeRecord(v.cfg.Self.Name, saved)
		if err != nil {
			return err
		}
		v.rec = rec
		v.refresh()
		return nil
	}
	doc, err := decodeFirst(saved)
	if err != nil {
		return err
	}
	if v.doc = doc; doc.formed {
		v.begin()
	}
	v.recount()
	return nil
}

// Start returns the first effects: whom to dial and what to announce.
func (v *View) Start(now time.Time) Effects {
	v.now = now
	if v.doc.formed {
		v.noteMembership()
	}
	return v.settle()
}

// LinkUp says that messages can be sent to a peer now.
func (v *View) LinkUp(now time.Time, peer string) Effects { return v.link(now, peer, true) }

// LinkDown says that they cannot any more.
func (v *View) LinkDown(now time.Time, peer string) Effects { return v.link(now, peer, false) }

func (v *View) link(now time.Time, peer string, up bool) Effects {
	v.now = now
	if m := v.members[peer]; m != nil {
		m.linked, m.met, m.sent, m.sentAt, m.resend = up, false, Held{}, time.Time{}, 0
	}
	return v.settle()
}

// Tick lets time pass. Call it about once a second.
func (v *View) Tick(now time.Time) Effects {
	v.now = now
	return v.settle()
}

// settle draws the conclusions of an event.
func (v *View) settle() Effects {
	v.endConflicts()
	v.makeFirst()
	v.form()
	v.enter()
	v.turn()
	v.dropIdle()
	v.spread()
	return v.effects()
}

// effects collects what has changed since the last call.
func (v *View) effects() Effects {
	var e Effects
	if v.unsaved && v.rec != nil {
		e.SaveLayout = v.rec.encode()
	} else if v.unsaved {
		e.SaveLayout = v.doc.encode()
	}
	v.unsaved, v.voiced = false, false
	if phase := v.phaseName(); phase != v.told.phase {
		e.LayoutChanged, v.told.phase = true, phase
	}
	if peers := encodePeers(v.remembered()); !bytes.Equal(peers, v.told.peers) {
		e.SavePeers, v.told.peers = peers, peers
	}
	if meta := metaOf(v.cfg.Self, v.held()).Append(nil); !bytes.Equal(meta, v.told.meta) {
		e.Announce, v.told.meta = meta, meta
	}
	if dial := v.dial(); v.told.dial == nil || !maps.Equal(dial, v.told.dial) {
		e.Dial, v.told.dial = dial, dial
	}
	e.Send, v.sends = v.sends, nil
	e.Notes, v.notes = v.notes, nil
	return e
}

// held names what this node holds.
func (v *View) held() Held {
	held := v.doc.held()
	if v.rec != nil {
		held.Version, held.Hash = v.rec.course.Tip().Version(), v.rec.hash
	}
	return held
}

// phaseName tells one phase from another.
type phaseName struct {
	cluster          [16]byte
	tip, base        ring.Version
	step             ring.Step
	settled, removed bool
}

func (v *View) phaseName() phaseName {
	if v.rec == nil {
		return phaseName{}
	}
	p, c := v.rec.course.Phase(), v.rec.course
	return phaseName{
		cluster: v.doc.layout.ClusterID(), tip: c.Tip().Version(), base: c.Base().Version(),
		step: p.Progress().Step, settled: p.Settled(), removed: p.Removed(),
	}
}

// remembered returns the peers worth saving, by name.
func (v *View) remembered() []Peer {
	var peers []Peer
	for _, name := range slices.Sorted(maps.Keys(v.members)) {
		if m := v.members[name]; v.wanted(m) {
			peers = append(peers, m.Peer)
		}
	}
	return peers
}

// dial returns whom to keep dialled.
func (v *View) dial() map[string]string {
	set := map[string]string{}
	for name, m := range v.members {
		if m.PeerAddr != "" && v.wanted(m) {
			set[name] = m.PeerAddr
		}
	}
	return set
}

// wanted reports whether a member is to be dialled and remembered (M4).
func (v *View) wanted(m *member) bool {
	switch {
	case v.foreign(m):
		return false
	case v.needed[m.Name] || m.gossip == alive:
		return true // also one that was removed and is there, so that it is told
	}
	return m.gossip != left
}

// dropIdle forgets who is not there and has no part in a layout that is in use: it calls
// the others when it is back, since it remembers them.
func (v *View) dropIdle() {
	for name, m := range v.members {
		if v.doc.formed && m.gossip != alive && !m.linked && !v.needed[name] {
			v.forget(name)
		}
	}
}

// foreign reports whether a member belongs to another cluster (M2).
func (v *View) foreign(m *member) bool {
	return v.doc.formed && m.holds.Formed && m.holds.Cluster != v.doc.layout.ClusterID()
}

func (v *View) note(format string, args ...any) {
	v.notes = append(v.notes, Note{Text: fmt.Sprintf(format, args...)})
}

func (v *View) loud(format string, args ...any) {
	v.notes = append(v.notes, Note{Loud: true, Text: fmt.Sprintf(format, args...)})
}

func metaOf(n Node, h Held) Meta {
	return Meta{
		Zone: n.Zone, Capacity: n.Capacity, ReplicaID: n.ReplicaID,
		ClientAddr: n.ClientAddr, PeerAddr: n.PeerAddr, HTTPAddr: n.HTTPAddr,
		Holds: h,
	}
}
