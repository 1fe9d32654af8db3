package ring

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// format is the version of the encoding below.
const format = 1

// AppendTo appends the layout in its one binary form:
//
//	format 1 byte · cluster id 16 bytes · counter uvarint ·
//	log₂ partitions 1 byte · replicas 1 byte · number of nodes uvarint ·
//	per node, by name: name, zone (uvarint length and bytes), capacity uvarint ·
//	per partition, per owner: position of the node uvarint ·
//	hash of all this 8 bytes, big-endian
//
// Equal layouts have equal bytes. Every partition has the same number of
// owners: replicas, or the number of nodes with a capacity if that is smaller.
func (l *Layout) AppendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint64(l.appendContent(b), l.version.Hash)
}

func (l *Layout) appendContent(b []byte) []byte {
	b = append(b, format)
	b = append(b, l.cluster[:]...)
	b = binary.AppendUvarint(b, l.version.Counter)
	b = append(b, byte(l.bits), byte(l.replicas))
	b = binary.AppendUvarint(b, uint64(len(l.members)))
	for _, m := range l.members {
		b = appendString(b, m.Name)
		b = appendString(b, m.Zone)
		b = binary.AppendUvarint(b, uint64(m.Capacity))
	}
	for _, o := range l.owners {
		b = binary.AppendUvarint(b, uint64(o))
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// Decode reads what AppendTo wrote, and nothing else: bytes that AppendTo would
// not have written are refused, so one layout has one encoding. It allocates no
// more than a small multiple of len(b). What it returns keeps rule 1 of the
// package; rules 2 and 3 are for Check.
//
// Errors: *FormatError, *DecodeError, *LimitError, *NodeError.
func Decode(b []byte) (*Layout, error) {
	r := &reader{bytes: b}
	l := r.header()
	nodes := r.nodes()
	if r.err != nil {
		return nil, r.err
	}
	if err := l.adopt(nodes); err != nil {
		return nil, err
	}
	l.owners = r.owners(l)
	hash := r.hash()
	if r.err != nil {
		return nil, r.err
	}
	l.seal()
	if l.version.Hash != hash {
		return nil, &DecodeError{Offset: r.at, Field: "hash", Reason: "does not match the content"}
	}
	return l, nil
}

// adopt takes decoded nodes as the members of l.
func (l *Layout) adopt(nodes []Node) error {
	if err := checkShape(l.Partitions(), l.replicas); err != nil {
		return err
	}
	m, err := newMembers(nodes)
	if err != nil {
		return err
	}
	if err := checkRoom(l.Partitions(), m); err != nil {
		return err
	}
	l.members, l.copies = m, min(l.replicas, m.owning())
	return nil
}

// reader reads one layout. Its first error stays; later reads return zeros.
type reader struct {
	bytes []byte
	at    int
	err   error
}

func (r *reader) fail(field, reason string) {
	if r.err == nil {
		r.err = &DecodeError{Offset: r.at, Field: field, Reason: reason}
	}
}

// take returns the next n bytes, or nil at the end.
func (r *reader) take(field string, n int) []byte {
	if r.err == nil && len(r.bytes)-r.at < n {
		r.fail(field, "the bytes end here")
	}
	if r.err != nil {
		return nil
	}
	r.at += n
	return r.bytes[r.at-n : r.at]
}

func (r *reader) byte(field string) byte {
	b := r.take(field, 1)
	if b == nil {
		return 0
	}
	return b[0]
}

// uvarint reads a number in its shortest form, up to a limit.
func (r *reader) uvarint(field string, limit uint64) uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.bytes[r.at:])
	switch {
	case n <= 0:
		r.fail(field, "no number here")
	case n > 1 && n != (bits.Len64(v)+6)/7:
		r.fail(field, "the number is not in its shortest form")
	case v > limit:
		r.err = &LimitError{Field: field, Got: v, Max: limit, Fix: "ask for the layout again, from another node"}
	default:
		r.at += n
		return v
	}
	return 0
}

func (r *reader) string(field string) string {
	n := r.uvarint(field+" length", NameBytesMax)
	return string(r.take(field, int(n)))
}

func (r *reader) header() *Layout {
	if f := r.byte("format"); r.err == nil && f != format {
		r.err = &FormatError{Format: f}
	}
	l := &Layout{}
	copy(l.cluster[:], r.take("cluster id", len(l.cluster)))
	l.version.Counter = r.uvarint("counter", 1<<64-1)
	if r.err == nil && l.version.Counter == 0 {
		r.fail("counter", "versions start at 1")
	}
	l.bits = int(min(r.byte("partitions"), 32)) // checkShape refuses what is too large
	l.replicas = int(r.byte("replicas"))
	return l
}

func (r *reader) nodes() []Node {
	count := int(r.uvarint("nodes", NodesMax))
	var nodes []Node
	for range count {
		n := Node{Name: r.string("name"), Zone: r.string("zone"), Capacity: uint32(r.uvarint("capacity", 1<<32-1))}
		if r.err == nil && len(nodes) > 0 && nodes[len(nodes)-1].Name >= n.Name {
			r.fail("name", "nodes are not in order")
		}
		if r.err != nil {
			return nil
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// owners reads the owners of all partitions, each taking a byte or more.
func (r *reader) owners(l *Layout) []uint16 {
	count := l.Partitions() * l.copies
	if len(r.bytes)-r.at < count {
		r.fail("owners", "too few bytes for all partitions")
		return nil
	}
	owners := make([]uint16, count)
	for i := range owners {
		o := uint16(r.uvarint("owner", uint64(len(l.members)-1)))
		if r.err == nil && l.members[o].Capacity == 0 {
			r.fail("owner", "the node has no capacity")
		}
		if r.err == nil && slices.Contains(owners[i-i%l.copies:i], o) {
			r.fail("owner", "two copies on one node")
		}
		if r.err != nil {
			return nil
		}
		owners[i] = o
	}
	return owners
}

func (r *reader) hash() uint64 {
	b := r.take("hash", 8)
	if r.err == nil && r.at != len(r.bytes) {
		r.fail("hash", "more bytes follow")
	}
	if r.err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
