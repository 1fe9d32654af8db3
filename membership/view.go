package membership

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred/ring"
)

// ResendEvery is the time after which a document is sent again to a peer that
// still seems to lack it.
const ResendEvery = 2 * time.Second

// Config is what a View is told about its node and the cluster to be.
type Config struct {
	Self Node
	// Expect is the number of nodes, this one included, that make a cluster by
	// themselves. Zero waits for Init.
	Expect int
	// Partitions and Replicas are those of the first layout; see ring.New.
	Partitions, Replicas int
}

// View is one node's view of its cluster. It is not safe for concurrent use.
type View struct {
	cfg Config
	now time.Time

	doc     document
	members map[string]*member
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
		held  Held
		saved Held
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
	// sent is the document last sent to it, at sentAt.
	sent   Held
	sentAt time.Time
}

// largestVersion is used to size metas.
var largestVersion = ring.Version{Counter: 1<<64 - 1, Hash: 1<<64 - 1}

// New makes a view from what an earlier life saved; nil means nothing. Errors
// are *[FormatError] and complaints about cfg.
func New(cfg Config, savedLayout, savedPeers []byte) (*View, error) {
	if err := checkNode(cfg.Self); err != nil {
		return nil, err
	}
	v := &View{cfg: cfg, members: map[string]*member{}, trouble: map[string]string{}, conflicts: map[string]conflict{}}
	if savedLayout != nil {
		doc, err := decodeDocument(savedLayout)
		if err != nil {
			return nil, err
		}
		v.doc = doc
		v.told.saved = doc.held()
		v.recount()
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
		m.linked, m.sent = up, Held{}
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
	v.spread()
	return v.effects()
}

// effects collects what has changed since the last call.
func (v *View) effects() Effects {
	var e Effects
	held := v.doc.held()
	if held != v.told.saved {
		e.SaveLayout, v.told.saved = v.doc.encode(), held
	}
	if formed := v.formedOnly(held); formed != v.told.held {
		e.LayoutChanged, v.told.held = true, formed
	}
	if peers := encodePeers(v.remembered()); !bytes.Equal(peers, v.told.peers) {
		e.SavePeers, v.told.peers = peers, peers
	}
	if meta := metaOf(v.cfg.Self, held).Append(nil); !bytes.Equal(meta, v.told.meta) {
		e.Announce, v.told.meta = meta, meta
	}
	if dial := v.dial(); v.told.dial == nil || !maps.Equal(dial, v.told.dial) {
		e.Dial, v.told.dial = dial, dial
	}
	e.Send, v.sends = v.sends, nil
	e.Notes, v.notes = v.notes, nil
	return e
}

func (v *View) formedOnly(h Held) Held {
	if !h.Formed {
		return Held{}
	}
	return h
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
	return !v.foreign(m) && (m.gossip != left || v.doc.has(m.Name))
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
