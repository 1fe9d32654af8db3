package storage

// TablePromise holds what the node has promised, and what it has learned, about
// incarnations that are being closed: one row for each actor of a partition.
// The rows are the node's as a member, whether or not it is a home of the
// partition, and outlive the replica: ReplicaRanges leaves them out.
const TablePromise byte = 'p'

// PromiseKey appends the key of the row about one actor to b.
func PromiseKey(b []byte, partition uint32, n uint8, actor [16]byte) []byte {
	return append(appendReplica(b, TablePromise, partition, n), actor[:]...)
}

// ParsePromiseKey is the inverse of PromiseKey.
func ParsePromiseKey(row []byte) (partition uint32, n uint8, actor [16]byte, err error) {
	const kind = "promise key"
	partition, n, rest, err := cutReplica(row, TablePromise, kind)
	if err == nil && len(rest) != actorBytes {
		err = &RowError{Row: kind, Bytes: row, Reason: "it does not end in one actor"}
	}
	if err != nil {
		return 0, 0, actor, err
	}
	return partition, n, [16]byte(rest), nil
}

// PromiseRange returns the range of all promises about one partition.
func PromiseRange(partition uint32, n uint8) (lo, hi []byte) {
	return within(appendReplica(nil, TablePromise, partition, n))
}

// ReplicaObjects returns the range of all objects of one replica.
func ReplicaObjects(partition uint32, n uint8) (r KeyRange) {
	r.Low, r.High = within(appendReplica(nil, TableObject, partition, n))
	return r
}
