package buckets

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
)

// ResendEvery is the shortest time between two sendings of one registry to one
// peer. It doubles with every sending that was not answered, up to ResendMax.
const (
	ResendEvery = time.Second
	ResendMax   = time.Minute
)

// Patience is how long a change waits for the other members when its request
// does not say, WaitersMax how many changes wait at a time: more are answered at
// once, with what is known.
const (
	Patience   = 2 * time.Second
	WaitersMax = 256
)

// Book is one node's registry, and what it knows of those of the peers that it is
// linked to.
type Book struct {
	node     string
	registry *Registry
	peers    map[string]*peer
	waiters  []waiter
	out      Effects
	// changed: the registry is another one than when effects were last taken.
	changed bool
}

// peer is what is known of a linked peer.
type peer struct {
	// told is the hash that it has told; known says whether it has.
	told  uint64
	known bool
	// sent is the hash of what it was last sent, at sentAt; pause is how long not to
	// send it again.
	sent   uint64
	sentAt time.Time
	pause  time.Duration
	// trouble is why its last registry was not taken.
	trouble string
}

// waiter is a change that waits until the linked peers go by it.
type waiter struct {
	token  uint64
	bucket string
	until  time.Time
}

// Letter is what travels between nodes.
type Letter struct {
	Cluster [16]byte
	// Hash is that of the sender's registry, Registry its binary form, empty if
	// only the hash is told.
	Hash     uint64
	Registry []byte
}

// Effects is what the owner of a Book has to do after a call, in this order.
type Effects struct {
	// Save, if not nil, replaces the stored registry. It must be durable before
	// anything below is done (B2).
	Save []byte
	// Registry, if not nil, is what to work by from now on.
	Registry *Registry
	Sends    []Outgoing
	Answers  []Answer
	Notes    []string
}

// Outgoing is a letter for a linked peer. It may be lost.
type Outgoing struct {
	To     string
	Letter Letter
}

// Answer ends a change: the linked peers that go by it, or all that have said so in
// time.
type Answer struct {
	Token   uint64
	Bucket  string
	KnownBy []string
}

// NewBook makes the book of a node from what an earlier life saved; nil means
// nothing. Its error is a *[FormatError].
func NewBook(node string, saved []byte) (*Book, error) {
	b := &Book{node: node, peers: map[string]*peer{}}
	if saved == nil {
		return b, nil
	}
	registry, err := Decode(saved)
	b.registry = registry
	return b, err
}

// Registry is what the node goes by.
func (b *Book) Registry() *Registry { return b.registry }

// Take returns what is to be done and forgets it.
func (b *Book) Take() Effects {
	if b.changed {
		b.changed = false
		b.out.Save, b.out.Registry = b.registry.Bytes(), b.registry
	}
	out := b.out
	b.out = Effects{}
	return out
}

// Change makes a change at this node. The answer carries the token.
func (b *Book) Change(now time.Time, cluster [16]byte, token uint64, c kindred.BucketChange, replicas int) *kindred.Error {
	if err := kindred.CheckBucket(c.Bucket); err != nil {
		return err
	}
	if err := kindred.CheckBucketOptions(&c.Options, replicas); err != nil {
		return err
	}
	options := c.Options.Complete(replicas)
	if old, exists := b.registry.Options(c.Bucket); c.CreateOnly && exists && *old != options {
		return kindred.Invalid("bucket", "the bucket %q exists with other options (%s): change it if you mean to, or use another name", c.Bucket, Words(*old))
	}
	next, err := b.registry.Change(c.Bucket, options, b.node, now)
	if err != nil {
		return err
	}
	b.become(next)
	b.spread(now, cluster)
	w := waiter{token: token, bucket: c.Bucket, until: now.Add(cmp.Or(max(c.Timeout, 0), Patience))}
	if len(b.waiters) >= WaitersMax {
		w.until = now
	}
	b.waiters = append(b.waiters, w)
	b.settle(now)
	return nil
}

func (b *Book) become(r *Registry) {
	if r.Hash() != b.registry.Hash() {
		b.registry, b.changed = r, true
	}
}

// LinkUp says that a peer can be sent to now.
func (b *Book) LinkUp(now time.Time, cluster [16]byte, name string) {
	b.peers[name] = &peer{}
	b.send(now, cluster, name)
}

// LinkDown says that it cannot any more.
func (b *Book) LinkDown(now time.Time, name string) {
	delete(b.peers, name)
	b.settle(now)
}

// Received takes a letter of a peer.
func (b *Book) Received(now time.Time, cluster [16]byte, from string, l Letter) {
	p := b.peers[from]
	if p == nil || cluster == [16]byte{} || l.Cluster != cluster {
		return
	}
	if p.told != l.Hash {
		p.pause = 0
	}
	p.told, p.known = l.Hash, true
	if len(l.Registry) > 0 {
		b.merge(now, cluster, from, l.Registry)
	}
	b.spread(now, cluster)
	b.settle(now)
}

// merge joins the registry of a peer and answers with what is held now.
func (b *Book) merge(now time.Time, cluster [16]byte, from string, encoded []byte) {
	p := b.peers[from]
	theirs, err := Decode(encoded)
	if err != nil {
		if p.trouble != err.Error() {
			p.trouble = err.Error()
			b.note("ignoring the buckets that %s sent: %v", from, err)
		}
		return
	}
	p.trouble, p.told = "", theirs.Hash()
	before := b.registry
	merged, rivals := before.Merge(theirs)
	for _, x := range rivals {
		b.note("%s", x)
	}
	if len(rivals) > 0 && merged.Hash() != before.Hash() {
		// What loses here is shown to the other side as well (B3).
		b.post(from, Letter{Cluster: cluster, Hash: before.Hash(), Registry: before.Bytes()})
	}
	b.become(merged)
	if merged.Hash() == theirs.Hash() {
		b.post(from, Letter{Cluster: cluster, Hash: merged.Hash()})
		return
	}
	b.send(now, cluster, from)
}

// Tick lets time pass: what was lost is sent again.
func (b *Book) Tick(now time.Time, cluster [16]byte) {
	b.spread(now, cluster)
	b.settle(now)
}

// spread sends the registry to the peers that hold another one, as far as is known.
func (b *Book) spread(now time.Time, cluster [16]byte) {
	for _, name := range slices.Sorted(maps.Keys(b.peers)) {
		if p := b.peers[name]; !p.known || p.told != b.registry.Hash() {
			b.send(now, cluster, name)
		}
	}
}

// send sends the registry, unless the peer was sent it just now.
func (b *Book) send(now time.Time, cluster [16]byte, name string) {
	p, hash := b.peers[name], b.registry.Hash()
	again := p.pause > 0 && p.sent == hash
	switch {
	case cluster == [16]byte{} || again && now.Sub(p.sentAt) < p.pause:
		return
	case again:
		p.pause = min(2*p.pause, ResendMax)
	default:
		p.pause = ResendEvery
	}
	p.sent, p.sentAt = hash, now
	b.post(name, Letter{Cluster: cluster, Hash: hash, Registry: b.registry.Bytes()})
}

func (b *Book) post(to string, l Letter) {
	b.out.Sends = append(b.out.Sends, Outgoing{To: to, Letter: l})
}

func (b *Book) note(format string, args ...any) {
	b.out.Notes = append(b.out.Notes, fmt.Sprintf(format, args...))
}

// settle answers the changes that every linked peer goes by, or that have waited
// long enough.
func (b *Book) settle(now time.Time) {
	if len(b.waiters) == 0 {
		return
	}
	var knownBy []string
	for _, name := range slices.Sorted(maps.Keys(b.peers)) {
		if p := b.peers[name]; p.known && p.told == b.registry.Hash() {
			knownBy = append(knownBy, name)
		}
	}
	all := len(knownBy) == len(b.peers)
	b.waiters = slices.DeleteFunc(b.waiters, func(w waiter) bool {
		over := all || !now.Before(w.until)
		if over {
			b.out.Answers = append(b.out.Answers, Answer{Token: w.token, Bucket: w.bucket, KnownBy: knownBy})
		}
		return over
	})
}
