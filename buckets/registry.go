package buckets

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
)

// Version orders the entries of one bucket.
type Version struct {
	Counter uint64
	Node    string
}

// Compare orders versions, by counter and then by node.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Counter, w.Counter), strings.Compare(v.Node, w.Node))
}

// Entry is one bucket. It never changes; a change makes another one.
type Entry struct {
	Bucket  string
	Options kindred.BucketOptions
	Version Version
	// At is when the change was made, by the clock of its node, in milliseconds
	// since 1970; it informs and decides nothing.
	At int64
	// Past is, for each node, the latest of its changes that this one was made
	// from, by node, at most [PastMax]: it tells concurrent changes from
	// consecutive ones, for the log alone.
	Past []Version
}

// PastMax is the number of nodes whose changes an entry remembers. Beyond it, a
// change that was seen may be called concurrent.
const PastMax = 64

// from reports whether e was made from the entry with that version, or is it.
func (e *Entry) from(v Version) bool {
	return e.Version == v || slices.ContainsFunc(e.Past, func(p Version) bool { return p.Node == v.Node && p.Counter >= v.Counter })
}

// next is the entry that a node makes from e, which may be none.
func (e *Entry) next(bucket string, options kindred.BucketOptions, node string, at time.Time) Entry {
	made := Entry{Bucket: bucket, Options: options, Version: Version{e.Version.Counter + 1, node}, At: at.UnixMilli()}
	if e.Version.Counter == 0 {
		return made
	}
	made.Past = append(made.Past, e.Version)
	for _, p := range e.Past {
		if p.Node != e.Version.Node {
			made.Past = append(made.Past, p)
		}
	}
	// The oldest go first.
	slices.SortFunc(made.Past, func(a, b Version) int { return b.Compare(a) })
	made.Past = slices.Clip(made.Past[:min(len(made.Past), PastMax)])
	return made
}

// compare orders the entries of one bucket (B1). Two with one version that say
// different things come from a node that has lost its disk.
func (e *Entry) compare(f *Entry) int {
	return cmp.Or(e.Version.Compare(f.Version), slices.Compare(e.appendTo(nil), f.appendTo(nil)))
}

// Bucket is the entry in the words of the public contract.
func (e *Entry) public() kindred.Bucket {
	return kindred.Bucket{
		Name: e.Bucket, Created: true, Options: e.Options,
		Version: e.Version.Counter, By: e.Version.Node, At: time.UnixMilli(e.At).UTC(),
	}
}

// Registry is a set of entries. The nil registry is empty.
type Registry struct {
	entries map[string]*Entry
	encoded []byte
	hash    uint64
}

func newRegistry(entries map[string]*Entry) *Registry {
	r := &Registry{entries: entries}
	r.encoded = r.encode()
	sum := sha256.Sum256(r.encoded)
	r.hash = binary.BigEndian.Uint64(sum[:])
	return r
}

// Len is the number of buckets that were created.
func (r *Registry) Len() int {
	if r == nil {
		return 0
	}
	return len(r.entries)
}

// Hash tells registries apart; that of the empty one is 0.
func (r *Registry) Hash() uint64 {
	if r.Len() == 0 {
		return 0
	}
	return r.hash
}

// Bytes is the binary form; it must not be changed.
func (r *Registry) Bytes() []byte {
	if r == nil {
		return (&Registry{}).encode()
	}
	return r.encoded
}

// Options are those of a bucket that was created.
func (r *Registry) Options(bucket string) (*kindred.BucketOptions, bool) {
	if r == nil {
		return nil, false
	}
	e, ok := r.entries[bucket]
	if !ok {
		return nil, false
	}
	return &e.Options, true
}

// Bucket is what is known of a bucket, in a cluster with that many replicas: also
// one that nobody has created has options.
func (r *Registry) Bucket(name string, replicas int) kindred.Bucket {
	if e := r.entry(name); e.Version.Counter > 0 {
		return e.public()
	}
	return kindred.Bucket{Name: name, Options: kindred.BucketOptions{}.Complete(replicas)}
}

// Buckets lists those that were created, by name.
func (r *Registry) Buckets() []kindred.Bucket {
	if r.Len() == 0 {
		return nil
	}
	all := make([]kindred.Bucket, 0, len(r.entries))
	for _, name := range slices.Sorted(maps.Keys(r.entries)) {
		all = append(all, r.entries[name].public())
	}
	return all
}

func (r *Registry) entry(bucket string) *Entry {
	if r != nil && r.entries[bucket] != nil {
		return r.entries[bucket]
	}
	return &Entry{}
}

func (r *Registry) with(e *Entry) *Registry {
	entries := map[string]*Entry{}
	if r != nil {
		maps.Copy(entries, r.entries)
	}
	entries[e.Bucket] = e
	return newRegistry(entries)
}

// Change gives a bucket complete options, which have been checked, and creates it
// if need be. Options that it has already change nothing.
func (r *Registry) Change(bucket string, options kindred.BucketOptions, node string, at time.Time) (*Registry, *kindred.Error) {
	old := r.entry(bucket)
	switch {
	case old.Version.Counter > 0 && old.Options == options:
		return r, nil
	case old.Version.Counter == 0 && r.Len() >= kindred.BucketsMax:
		return nil, &kindred.Error{
			Code: kindred.CodeInvalid, Field: "bucket", Limit: kindred.BucketsMax, Outcome: kindred.NotApplied,
			Message: fmt.Sprintf("the cluster has its limit of %d buckets with options of their own: use one of them, or a bucket with the defaults, which needs no creation", kindred.BucketsMax),
		}
	}
	e := old.next(bucket, options, node, at)
	return r.with(&e), nil
}

// Rivalry is two entries of one bucket of which neither was made from the other.
type Rivalry struct{ Winner, Loser Entry }

// String is a sentence for the log.
func (x Rivalry) String() string {
	return fmt.Sprintf("bucket %q was changed on two sides of a cut: %s goes on (by %s), %s is dropped (by %s); if that is not what you want, set its options again",
		x.Winner.Bucket, Words(x.Winner.Options), x.Winner.Version.Node, Words(x.Loser.Options), x.Loser.Version.Node)
}

// Words are options as people write them.
func Words(o kindred.BucketOptions) string {
	ttl := "none"
	if o.TTL > 0 {
		ttl = o.TTL.String()
	}
	return fmt.Sprintf("n=%d r=%s w=%s sloppy=%t siblings=%s durability=%s max-value-bytes=%d ttl=%s",
		o.N, o.R, o.W, o.Sloppy.IsSloppy(), o.Siblings, o.Durability, o.ValueBytesMax, ttl)
}

// Merge joins two registries (B1) and lists the rivals among their entries whose
// options differ (B3).
func (r *Registry) Merge(other *Registry) (*Registry, []Rivalry) {
	if other.Len() == 0 || other.Hash() == r.Hash() {
		return r, nil
	}
	entries := map[string]*Entry{}
	if r != nil {
		maps.Copy(entries, r.entries)
	}
	var rivals []Rivalry
	for _, name := range slices.Sorted(maps.Keys(other.entries)) {
		mine, theirs := entries[name], other.entries[name]
		if mine == nil {
			entries[name] = theirs
			continue
		}
		winner, loser := mine, theirs
		if mine.compare(theirs) < 0 {
			winner, loser = theirs, mine
		}
		if winner.Options != loser.Options && !(winner.from(loser.Version) && winner.Version != loser.Version) {
			rivals = append(rivals, Rivalry{*winner, *loser})
		}
		entries[name] = winner
	}
	return newRegistry(entries), rivals
}
