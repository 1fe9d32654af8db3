package buckets

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
)

const (
	// Format is the version of the binary form of a registry.
	Format = 1
	// EntriesMax is the number of entries that a registry may have after it was
	// merged with others: so many sides of a cut may each create as many buckets
	// as there may be.
	EntriesMax = 16 * kindred.BucketsMax
	// nodeBytesMax bounds the name of a node.
	nodeBytesMax = 255
)

// FormatError is bytes that are no registry, from a peer or a disk.
type FormatError struct{ Reason string }

func (e *FormatError) Error() string { return "unreadable bucket registry: " + e.Reason }

// encode writes a registry: format 1 byte, number of entries uvarint, entries by
// name. Equal registries have equal bytes.
func (r *Registry) encode() []byte {
	b := binary.AppendUvarint([]byte{Format}, uint64(len(r.entries)))
	for _, name := range slices.Sorted(maps.Keys(r.entries)) {
		b = r.entries[name].appendTo(b)
	}
	return b
}

// appendTo writes an entry:
//
//	bucket · counter uvarint · node · at varint ·
//	n, r, w varint · sloppy, siblings, durability 1 byte each ·
//	value bytes uvarint · ttl in ns uvarint ·
//	length of the past uvarint, each: counter uvarint · node
//
// Texts are a uvarint length and bytes.
func (e *Entry) appendTo(b []byte) []byte {
	b = appendText(b, e.Bucket)
	b = e.Version.appendTo(b)
	b = binary.AppendVarint(b, e.At)
	o := &e.Options
	for _, n := range [...]int{o.N, int(o.R), int(o.W)} {
		b = binary.AppendVarint(b, int64(n))
	}
	b = append(b, byte(o.Sloppy), byte(o.Siblings), byte(o.Durability))
	b = binary.AppendUvarint(b, uint64(o.ValueBytesMax))
	b = binary.AppendUvarint(b, uint64(o.TTL))
	b = binary.AppendUvarint(b, uint64(len(e.Past)))
	for _, p := range e.Past {
		b = p.appendTo(b)
	}
	return b
}

func (v Version) appendTo(b []byte) []byte {
	return appendText(binary.AppendUvarint(b, v.Counter), v.Node)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Decode reads a registry and checks every field of it. Its error is a
// *[FormatError].
func Decode(b []byte) (*Registry, error) {
	r := &reader{b: b}
	if format := r.byte(); r.err == nil && format != Format {
		r.fail("format version %d, this program knows %d: upgrade the older node", format, Format)
	}
	n := r.uvarint()
	if n > EntriesMax {
		r.fail("%d buckets, the limit is %d", n, EntriesMax)
	}
	entries := map[string]*Entry{}
	last := ""
	for i := uint64(0); i < n && r.err == nil; i++ {
		e := r.entry()
		if i > 0 && e.Bucket <= last && r.err == nil {
			r.fail("bucket %q is out of order", e.Bucket)
		}
		last = e.Bucket
		entries[e.Bucket] = e
	}
	if len(r.b) > 0 {
		r.fail("%d bytes left over", len(r.b))
	}
	if r.err != nil {
		return nil, r.err
	}
	return newRegistry(entries), nil
}

// reader takes fields off the front of b. The first failure sticks.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err, r.b = &FormatError{fmt.Sprintf(format, args...)}, nil
	}
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("the bytes end too early")
		return 0
	}
	first := r.b[0]
	r.b = r.b[1:]
	return first
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("a number is cut off or too long")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("a number is cut off or too long")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number that is small in everything honest.
func (r *reader) count() int {
	v := r.varint()
	if v < -kindred.ReplicasMax || v > kindred.ReplicasMax {
		r.fail("%d is no number of replicas", v)
		return 0
	}
	return int(v)
}

func (r *reader) text(what string, limit int) string {
	n := r.uvarint()
	switch {
	case n > uint64(limit):
		r.fail("a %s has %d bytes, the limit is %d", what, n, limit)
		return ""
	case n > uint64(len(r.b)):
		r.fail("the bytes end too early")
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) version() Version {
	return Version{Counter: r.uvarint(), Node: r.text("node name", nodeBytesMax)}
}

func (r *reader) entry() *Entry {
	e := &Entry{Bucket: r.text("bucket name", kindred.BucketBytesMax), Version: r.version(), At: r.varint()}
	o := &e.Options
	o.N, o.R, o.W = r.count(), kindred.Count(r.count()), kindred.Count(r.count())
	o.Sloppy, o.Siblings, o.Durability = kindred.Sloppiness(r.byte()), kindred.Siblings(r.byte()), kindred.Durability(r.byte())
	if size := r.uvarint(); size <= kindred.ValueBytesMax {
		o.ValueBytesMax = int(size)
	} else {
		r.fail("values of %d bytes, the limit is %d", size, kindred.ValueBytesMax)
	}
	if ttl := r.uvarint(); ttl <= uint64(kindred.BucketTTLMax) {
		o.TTL = time.Duration(ttl)
	} else {
		r.fail("a time to live of %d ns, the limit is %d", ttl, kindred.BucketTTLMax)
	}
	n := r.uvarint()
	if n > PastMax {
		r.fail("a past of %d nodes, the limit is %d", n, PastMax)
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		e.Past = append(e.Past, r.version())
	}
	r.check(e)
	return e
}

// check refuses what no node writes: entries hold complete options.
func (r *reader) check(e *Entry) {
	if r.err != nil {
		return
	}
	o := e.Options
	switch err := kindred.CheckBucket(e.Bucket); {
	case err != nil:
		r.fail("%v", err)
	case e.Version.Counter == 0 || e.Version.Counter > counterMax || e.Version.Node == "":
		r.fail("bucket %q has the version %d of %q", e.Bucket, e.Version.Counter, e.Version.Node)
	case o.N < 1 || o != o.Complete(o.N):
		r.fail("bucket %q has incomplete options: %s", e.Bucket, Words(o))
	default:
		if err := kindred.CheckBucketOptions(&o, o.N); err != nil {
			r.fail("bucket %q: %v", e.Bucket, err)
		}
	}
}

// counterMax leaves room for honest changes above whatever a peer may claim.
const counterMax = 1 << 62
