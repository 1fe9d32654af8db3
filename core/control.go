package core

import (
	"encoding/hex"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// Control is the node's one core for what concerns all shards: members, links,
// the layout and the buckets. Like a shard it takes events and gives effects; the shell
// passes those for shards on as events of theirs.
type Control struct {
	node string
	view *membership.View
	book *buckets.Book
	out  ControlEffects
	ends map[string]ends
	// layout is what was last found out about the layout of that version.
	layout layoutInfo
}

// ends is the state of the two directions between this node and a peer. In counts
// because a peer that reconnects has two links for a moment.
type ends struct {
	out bool
	in  int
}

func (e ends) both() bool { return e.out && e.in > 0 }

// layoutInfo is what follows from a layout and is dear to find out again.
type layoutInfo struct {
	of       *ring.Layout
	encoded  []byte
	problems []string
}

// ControlEffects is what the control core wants done, in this order.
type ControlEffects struct {
	// SaveLayout is to be durable before anything below is done.
	SaveLayout, SavePeers, SaveBuckets []byte
	// Buckets, if not nil, is for every shard, before the layout.
	Buckets *buckets.Registry
	// Phase, if not nil, is for every shard and for routing.
	Phase *ring.Phase
	// Links are for every shard, in order.
	Links []LinkChange
	// Announce is the new meta for gossip; Dial the whole set of peers.
	Announce []byte
	Dial     map[string]string
	Sends    []Send
	// Changes are answers to ChangeBucket.
	Changes []BucketAnswer
	Notes   []membership.Note
}

// LinkChange says that a peer can, or can no longer, be asked.
type LinkChange struct {
	Peer string
	Up   bool
}

// Saved is what an earlier life of the node has saved; nil means nothing.
type Saved struct{ Layout, Peers, Buckets []byte }

// NewControl makes the control core from what an earlier life saved.
func NewControl(cfg membership.Config, saved Saved) (*Control, error) {
	view, err := membership.New(cfg, saved.Layout, saved.Peers)
	if err != nil {
		return nil, err
	}
	book, err := buckets.NewBook(cfg.Self.Name, saved.Buckets)
	if err != nil {
		return nil, err
	}
	return &Control{node: cfg.Self.Name, view: view, book: book, ends: map[string]ends{}}, nil
}

// Start gives the first effects. A layout from an earlier life is among them.
func (c *Control) Start(now time.Time) {
	c.add(c.view.Start(now))
	if c.out.Phase == nil {
		c.out.Phase = c.view.Phase()
	}
	c.out.Buckets = c.book.Registry()
}

// Gossip takes news of a member.
func (c *Control) Gossip(now time.Time, e membership.Event) { c.add(c.view.Gossip(now, e)) }

// SetOutbound notes whether a peer can be sent to.
func (c *Control) SetOutbound(now time.Time, peer string, up bool) {
	e := c.ends[peer]
	e.out = up
	c.setEnds(now, peer, e)
}

// SetInbound notes that a peer has opened a link to this node or ended one.
func (c *Control) SetInbound(now time.Time, peer string, open bool) {
	e := c.ends[peer]
	if open {
		e.in++
	} else {
		e.in--
	}
	c.setEnds(now, peer, e)
}

// setEnds counts a peer as linked while both directions are: a question that no
// answer can come back from is better not asked.
func (c *Control) setEnds(now time.Time, peer string, e ends) {
	before := c.ends[peer].both()
	if e == (ends{}) {
		delete(c.ends, peer)
	} else {
		c.ends[peer] = e
	}
	up := e.both()
	if up == before {
		return
	}
	c.out.Links = append(c.out.Links, LinkChange{peer, up})
	if up {
		c.add(c.view.LinkUp(now, peer))
		c.book.LinkUp(now, c.ClusterID(), peer)
	} else {
		c.add(c.view.LinkDown(now, peer))
		c.book.LinkDown(now, peer)
	}
}

// Message takes a layout or buckets from a peer; other messages are for shards.
func (c *Control) Message(now time.Time, from string, m wire.Message) {
	switch m := m.(type) {
	case *wire.Layout:
		c.add(c.view.LayoutReceived(now, from, m.Bytes))
	case *wire.Buckets:
		c.book.Received(now, c.ClusterID(), from, buckets.Letter(*m))
	}
}

// Stage notes what is to become of a node with the next commit, here or at any other node.
// Zone and capacity count with ring.Own only; ring.Keep takes back what was staged for the
// node.
//
// Errors: *membership.StageError, *ring.CommitError, *ring.LimitError, *ring.NodeError.
func (c *Control) Stage(now time.Time, n ring.Node, intent ring.Intent) error {
	e, err := c.view.Stage(now, n, intent)
	c.add(e)
	return err
}

// Clear takes back all that is staged.
//
// Error: *ring.CommitError.
func (c *Control) Clear(now time.Time) error {
	e, err := c.view.Clear(now)
	c.add(e)
	return err
}

// StageAll stages several changes, or none if one of them is refused.
//
// Errors: those of Stage.
func (c *Control) StageAll(now time.Time, changes []ring.Staged) error {
	e, err := c.view.StageAll(now, changes)
	c.add(e)
	return err
}

// Plan says what a commit would do now. Bytes is what one copy of a partition holds,
// about; nil predicts no bytes. Loss says that the operator accepts what may be lost. The
// version of the decision is what Commit asks for.
//
// Errors: *ring.CommitError, *ring.LimitError, *ring.NodeError.
func (c *Control) Plan(now time.Time, loss bool, bytes func(ring.Partition) uint64) (*ring.Plan, *ring.Decision, error) {
	return c.view.Plan(now, loss, bytes)
}

// Commit proposes to all what is staged. Version is that of the plan which the operator
// has seen, with that loss or with none: if it would be another one by now, it is refused.
//
// Errors: *ring.CommitError, *ring.LimitError, *ring.NodeError.
func (c *Control) Commit(now time.Time, version ring.Version, loss bool) error {
	e, err := c.view.Commit(now, version, loss)
	c.add(e)
	return err
}

// Changes is how the layout changes, as this node knows it, but for Progress.Transfer.
func (c *Control) Changes() kindred.Changes { return c.view.Changes() }

// Complete says that every shard of this node has all that was acknowledged before the tip
// of that version (R25).
func (c *Control) Complete(now time.Time, tip ring.Version) { c.add(c.view.Complete(now, tip)) }

// Differ says that a request has shown a peer to be at another layout or step: it is told
// at once what this node knows, and answers with what it knows itself.
func (c *Control) Differ(now time.Time, peer string) { c.add(c.view.Differ(now, peer)) }

// Report notes how many bytes this node was sent for the layout of that version, and how
// long that took. Call it rarely, since others are told.
func (c *Control) Report(now time.Time, version ring.Version, bytes uint64, took time.Duration) {
	c.add(c.view.Report(now, version, bytes, took))
}

// SetRates says what changes take as long as no change has shown it, and a rate that no
// copy is sent faster than, zero for none.
func (c *Control) SetRates(usual ring.Rates, most uint64) { c.view.SetRates(usual, most) }

// Phase is by whose owners to work, nil before there is a layout.
func (c *Control) Phase() *ring.Phase { return c.view.Phase() }

// Tick lets time pass; once a second is right.
func (c *Control) Tick(now time.Time) {
	c.add(c.view.Tick(now))
	c.book.Tick(now, c.ClusterID())
}

func (c *Control) add(e membership.Effects) {
	if e.SaveLayout != nil {
		c.out.SaveLayout = e.SaveLayout
	}
	if e.SavePeers != nil {
		c.out.SavePeers = e.SavePeers
	}
	if e.LayoutChanged {
		c.out.Phase = c.view.Phase()
	}
	if e.Announce != nil {
		c.out.Announce = e.Announce
	}
	if e.Dial != nil {
		c.out.Dial = e.Dial
	}
	for _, s := range e.Send {
		c.out.Sends = append(c.out.Sends, Send{To: s.To, Msg: &wire.Layout{Bytes: s.Document}})
	}
	c.out.Notes = append(c.out.Notes, e.Notes...)
}

// Take returns what is to be done and forgets it.
func (c *Control) Take() ControlEffects {
	c.addBuckets(c.book.Take())
	out := c.out
	c.out = ControlEffects{}
	return out
}

// ClusterID is the cluster the node belongs to, zero before it does.
func (c *Control) ClusterID() [16]byte { return c.view.ClusterID() }

// Peers are the other members worth finding again.
func (c *Control) Peers() []membership.Peer { return c.view.Peers() }

// Describe is what the node knows of its cluster.
func (c *Control) Describe() kindred.Cluster {
	info := kindred.Cluster{Node: c.node, Members: c.view.Members(), Problems: c.view.Problems()}
	l := c.view.Layout()
	if l == nil {
		return info
	}
	if c.layout.of != l {
		c.layout = examine(l)
	}
	id := l.ClusterID()
	info.ClusterID = hex.EncodeToString(id[:])
	info.Layout, info.LayoutVersion = c.layout.encoded, c.view.Phase().Progress().Tip.String()
	info.Partitions, info.Replicas = l.Partitions(), l.Replicas()
	info.Problems = append(info.Problems, c.layout.problems...)
	switch own, member := l.Node(c.node); {
	case c.view.Phase().Removed():
		// The view has said so.
	case c.view.Left():
		info.Problems = append(info.Problems, c.node+" has left the layout: stop it once it has no partitions and owes no hints")
	case !member || own.Capacity == 0:
		info.Problems = append(info.Problems, c.node+" is a member without partitions until a plan gives it some")
	}
	return info
}

func examine(l *ring.Layout) layoutInfo {
	info := layoutInfo{of: l, encoded: l.AppendTo(nil)}
	for _, p := range l.Check() {
		info.problems = append(info.problems, p.Text)
	}
	return info
}
