package wire

import "encoding/binary"

// Buckets tells which registry of buckets a node holds, and brings it along unless
// only its hash is told.
type Buckets struct {
	Cluster  [16]byte
	Hash     uint64
	Registry []byte
}

func (*Buckets) kind() Kind { return KindBuckets }
func (*Buckets) head() Head { return Head{} }

func (m *Buckets) appendBody(b []byte) []byte {
	b = append(b, m.Cluster[:]...)
	b = binary.BigEndian.AppendUint64(b, m.Hash)
	return appendBytes(b, m.Registry)
}

func decodeBuckets(h Head, r *reader) *Buckets {
	if h != (Head{}) {
		r.fail("head", "a message about buckets names no partition")
	}
	m := &Buckets{}
	copy(m.Cluster[:], r.fixed("cluster", len(m.Cluster)))
	if hash := r.fixed("hash", 8); hash != nil {
		m.Hash = binary.BigEndian.Uint64(hash)
	}
	m.Registry = r.bytes("registry")
	return m
}
