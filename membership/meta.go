package membership

import (
	"encoding/binary"
	"fmt"

	"github.com/kindredkv/kindred/ring"
)

// MetaBytesMax is the largest encoded meta: what gossip can carry.
const MetaBytesMax = 511

// Node is what a node says of itself for as long as it runs.
type Node struct {
	Name     string
	Zone     string
	Capacity uint32
	// ReplicaID is random and belongs to the disk.
	ReplicaID [16]byte
	// Addresses in host:port form, as others reach them.
	ClientAddr, PeerAddr, HTTPAddr, GossipAddr string
}

// Meta is what a node tells the others through gossip: itself, but for its
// name and gossip address, which gossip knows, and which layout it holds.
type Meta struct {
	Zone                           string
	Capacity                       uint32
	ReplicaID                      [16]byte
	ClientAddr, PeerAddr, HTTPAddr string
	// Holds is zero while the node holds no layout.
	Holds Held
}

// Held names the document that a node holds: of a formed cluster the layout by which the
// node works, and a hash of all that it tells of layouts.
type Held struct {
	Cluster [16]byte
	Version ring.Version
	Formed  bool
	Hash    uint64
}

// None reports whether no document is held.
func (h Held) None() bool { return h.Cluster == [16]byte{} }

const (
	metaVersion  = 2
	flagFormed   = 1 << 0
	flagsUnknown = ^byte(flagFormed)
)

// Append writes a meta:
//
//	version 1 byte · flags 1 byte (1: formed) · replica id 16 bytes ·
//	capacity uvarint · zone · client, peer, HTTP address ·
//	cluster id 16 bytes · layout counter uvarint · layout hash 8 bytes ·
//	hash of what is told 8 bytes
//
// Texts are a uvarint length and bytes; an address that begins with a colon
// has the host of the client address.
func (m Meta) Append(b []byte) []byte {
	b = append(b, metaVersion, flags(m.Holds.Formed))
	b = append(b, m.ReplicaID[:]...)
	b = binary.AppendUvarint(b, uint64(m.Capacity))
	b = appendString(b, m.Zone)
	b = appendAddrs(b, m.ClientAddr, m.PeerAddr, m.HTTPAddr)
	b = append(b, m.Holds.Cluster[:]...)
	b = binary.AppendUvarint(b, m.Holds.Version.Counter)
	b = binary.BigEndian.AppendUint64(b, m.Holds.Version.Hash)
	return binary.BigEndian.AppendUint64(b, m.Holds.Hash)
}

// DecodeMeta reads what Append wrote. Its error is a *[FormatError].
func DecodeMeta(b []byte) (Meta, error) {
	if len(b) > MetaBytesMax {
		return Meta{}, &FormatError{What: "meta", Reason: fmt.Sprintf("%d bytes, the limit is %d", len(b), MetaBytesMax)}
	}
	r := newReader("meta", b, metaVersion)
	var m Meta
	m.Holds.Formed = r.flags()
	m.ReplicaID = r.id()
	m.Capacity = r.uint32()
	m.Zone = r.string()
	r.addrs(&m.ClientAddr, &m.PeerAddr, &m.HTTPAddr)
	m.Holds.Cluster = r.id()
	m.Holds.Version.Counter = r.uvarint()
	m.Holds.Version.Hash, m.Holds.Hash = r.uint64(), r.uint64()
	if err := r.end(); err != nil {
		return Meta{}, err
	}
	return m, nil
}

func flags(formed bool) byte {
	if formed {
		return flagFormed
	}
	return 0
}

func (r *reader) flags() (formed bool) {
	f := r.byte()
	if f&flagsUnknown != 0 {
		r.fail("unknown flags %08b", f)
	}
	return f&flagFormed != 0
}
