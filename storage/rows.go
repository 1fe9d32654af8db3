package storage

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// FormatVersion counts the changes of the row layout. An engine writes it into
// the folder and refuses a folder with another one.
const FormatVersion = 1

// The tables, by the first byte of a key.
const (
	TableCheckpoint byte = 'c'
	TableLog        byte = 'd'
	TableExpiry     byte = 'e'
	TableHint       byte = 'h'
	TableMeta       byte = 'm'
	TableObject     byte = 'o'
	TableValue      byte = 'v'
)

// The kinds of checkpoints.
const (
	CheckpointClock    byte = 'c'
	CheckpointHashTree byte = 'h'
	CheckpointRebuild  byte = 'r'
	CheckpointDamage   byte = 'd'
)

const (
	// PartitionMax is the highest partition that a row can name.
	PartitionMax = 1<<16 - 1
	// BucketBytesMax is the longest name of a bucket that a row can hold.
	BucketBytesMax = 255

	replicaBytes = 4 // table, partition, n
	actorBytes   = 16
	dotBytes     = actorBytes + 8
	expiryBytes  = 8
)

// ObjectKey appends the key of an object's row to b. The caller has checked that
// the bucket's name and the partition are within their limits.
func ObjectKey(b []byte, partition uint32, n uint8, bucket, key string) []byte {
	b = slices.Grow(b, replicaBytes+1+len(bucket)+len(key))
	b = appendBucket(appendReplica(b, TableObject, partition, n), bucket)
	return append(b, key...)
}

// ParseObjectKey is the inverse of ObjectKey. Bucket and key point into row.
func ParseObjectKey(row []byte) (partition uint32, n uint8, bucket, key []byte, err error) {
	return parseNamed(row, TableObject, "object key")
}

// ObjectRange returns the range of the objects of one bucket whose keys begin
// with prefix, in one replica.
func ObjectRange(partition uint32, n uint8, bucket, prefix string) (lo, hi []byte) {
	return within(ObjectKey(nil, partition, n, bucket, prefix))
}

// ObjectsRange returns the range of all objects of one replica.
func ObjectsRange(partition uint32, n uint8) (lo, hi []byte) {
	return within(appendReplica(nil, TableObject, partition, n))
}

// LogKey appends the key of a dot's row in the log to b.
func LogKey(b []byte, partition uint32, n uint8, actor [16]byte, counter uint64) []byte {
	return appendDot(b, TableLog, partition, n, actor, counter)
}

// ParseLogKey is the inverse of LogKey.
func ParseLogKey(row []byte) (partition uint32, n uint8, actor [16]byte, counter uint64, err error) {
	return parseDot(row, TableLog, "log key")
}

// LogRange returns the range of all dots in the log of one replica.
func LogRange(partition uint32, n uint8) (lo, hi []byte) {
	return within(appendReplica(nil, TableLog, partition, n))
}

// LogFrom returns the range of the log of one replica from a dot on: the rest of
// that actor and all later actors. A reader that knows the dots of an actor
// skips to the next by LogFrom(…, actor, math.MaxUint64).
func LogFrom(partition uint32, n uint8, actor [16]byte, counter uint64) (lo, hi []byte) {
	_, hi = LogRange(partition, n)
	return LogKey(nil, partition, n, actor, counter), hi
}

// LogActorRange returns the range of the dots first to last, both included, of
// one actor.
func LogActorRange(partition uint32, n uint8, actor [16]byte, first, last uint64) (lo, hi []byte) {
	lo = LogKey(nil, partition, n, actor, first)
	return lo, after(LogKey(nil, partition, n, actor, last))
}

// ValueKey appends the key of the row that holds one large value to b.
func ValueKey(b []byte, partition uint32, n uint8, actor [16]byte, counter uint64) []byte {
	return appendDot(b, TableValue, partition, n, actor, counter)
}

// ParseValueKey is the inverse of ValueKey.
func ParseValueKey(row []byte) (partition uint32, n uint8, actor [16]byte, counter uint64, err error) {
	return parseDot(row, TableValue, "value key")
}

// ExpiryKey appends the key of the row that says: look at this object at that
// time, in milliseconds since 1970. The row has no value.
func ExpiryKey(b []byte, partition uint32, n uint8, at uint64, bucket, key string) []byte {
	b = binary.BigEndian.AppendUint64(appendReplica(b, TableExpiry, partition, n), at)
	return append(appendBucket(b, bucket), key...)
}

// ParseExpiryKey is the inverse of ExpiryKey. Bucket and key point into row.
func ParseExpiryKey(row []byte) (partition uint32, n uint8, at uint64, bucket, key []byte, err error) {
	const kind = "expiry key"
	partition, n, rest, err := cutReplica(row, TableExpiry, kind)
	if err != nil {
		return 0, 0, 0, nil, nil, err
	}
	if len(rest) >= expiryBytes {
		if bucket, key, ok := cutBucket(rest[expiryBytes:]); ok {
			return partition, n, binary.BigEndian.Uint64(rest), bucket, key, nil
		}
	}
	return 0, 0, 0, nil, nil, &RowError{Row: kind, Bytes: row, Reason: "the time or the bucket's name is cut off"}
}

// ExpiryRange returns the range of all expiries of one replica, the earliest first.
func ExpiryRange(partition uint32, n uint8) (lo, hi []byte) {
	return within(appendReplica(nil, TableExpiry, partition, n))
}

// ClockKey appends the key of a replica's clock checkpoint to b.
func ClockKey(b []byte, partition uint32, n uint8) []byte {
	return append(appendReplica(b, TableCheckpoint, partition, n), CheckpointClock)
}

// RebuildKey appends the key of piece index of pass number pass of a replica's
// rebuild to b.
func RebuildKey(b []byte, partition uint32, n uint8, pass, index uint32) []byte {
	b = append(appendReplica(b, TableCheckpoint, partition, n), CheckpointRebuild)
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, pass), index)
}

// ParseRebuildKey is the inverse of RebuildKey.
func ParseRebuildKey(row []byte) (partition uint32, n uint8, pass, index uint32, err error) {
	const name = "rebuild key"
	partition, n, rest, err := cutReplica(row, TableCheckpoint, name)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	if len(rest) != 9 || rest[0] != CheckpointRebuild {
		return 0, 0, 0, 0, &RowError{Row: name, Bytes: row, Reason: "it is not that of a piece of a rebuild"}
	}
	return partition, n, binary.BigEndian.Uint32(rest[1:]), binary.BigEndian.Uint32(rest[5:]), nil
}

// RebuildRange returns the range of all pieces of a replica's rebuild.
func RebuildRange(partition uint32, n uint8) (lo, hi []byte) {
	return within(append(appendReplica(nil, TableCheckpoint, partition, n), CheckpointRebuild))
}

// RebuildPassRange returns the range of the pieces of one pass of it.
func RebuildPassRange(partition uint32, n uint8, pass uint32) (lo, hi []byte) {
	b := append(appendReplica(nil, TableCheckpoint, partition, n), CheckpointRebuild)
	return within(binary.BigEndian.AppendUint32(b, pass))
}

// HashTreeKey appends the key of part index of a replica's hash tree to b.
func HashTreeKey(b []byte, partition uint32, n uint8, index uint32) []byte {
	b = append(appendReplica(b, TableCheckpoint, partition, n), CheckpointHashTree)
	return binary.BigEndian.AppendUint32(b, index)
}

// DamageKey appends the key of the row that marks what a replica has lost to b.
func DamageKey(b []byte, partition uint32, n uint8) []byte {
	return append(appendReplica(b, TableCheckpoint, partition, n), CheckpointDamage)
}

// ParseCheckpointKey is the inverse of ClockKey, HashTreeKey and DamageKey. The
// index of what has one row only is 0.
func ParseCheckpointKey(row []byte) (partition uint32, n uint8, kind byte, index uint32, err error) {
	const name = "checkpoint key"
	partition, n, rest, err := cutReplica(row, TableCheckpoint, name)
	if err != nil {
		return 0, 0, 0, 0, err
	}
	switch {
	case len(rest) == 1 && (rest[0] == CheckpointClock || rest[0] == CheckpointDamage):
		return partition, n, rest[0], 0, nil
	case len(rest) == 5 && rest[0] == CheckpointHashTree:
		return partition, n, CheckpointHashTree, binary.BigEndian.Uint32(rest[1:]), nil
	}
	return 0, 0, 0, 0, &RowError{Row: name, Bytes: row, Reason: "neither a clock nor a part of a hash tree"}
}

// HashTreeRange returns the range of all parts of a replica's hash tree.
func HashTreeRange(partition uint32, n uint8) (lo, hi []byte) {
	return within(append(appendReplica(nil, TableCheckpoint, partition, n), CheckpointHashTree))
}

// HintKey appends the key of the row that holds what a guest owes of one key. The
// partition is one that the node need not be a home of.
func HintKey(b []byte, partition uint32, n uint8, bucket, key string) []byte {
	b = appendBucket(appendReplica(b, TableHint, partition, n), bucket)
	return append(b, key...)
}

// ParseHintKey is the inverse of HintKey. Bucket and key point into row.
func ParseHintKey(row []byte) (partition uint32, n uint8, bucket, key []byte, err error) {
	return parseNamed(row, TableHint, "hint key")
}

// HintRange returns the range of the hints of one partition.
func HintRange(partition uint32, n uint8) (lo, hi []byte) {
	return within(appendReplica(nil, TableHint, partition, n))
}

// HintBucketRange returns the range of the hints for keys of one bucket that begin
// with prefix, in one partition.
func HintBucketRange(partition uint32, n uint8, bucket, prefix string) (lo, hi []byte) {
	return within(HintKey(nil, partition, n, bucket, prefix))
}

// MetaKey appends the key of a row about the node itself to b.
func MetaKey(b []byte, name string) []byte { return append(append(b, TableMeta), name...) }

// ParseMetaKey is the inverse of MetaKey.
func ParseMetaKey(row []byte) (name []byte, err error) {
	if len(row) == 0 || row[0] != TableMeta {
		return nil, &RowError{Row: "meta key", Bytes: row, Reason: "it is in another table"}
	}
	return row[1:], nil
}

// MetaRange returns the range of the meta rows whose names begin with prefix.
func MetaRange(prefix string) (lo, hi []byte) { return within(MetaKey(nil, prefix)) }

// TableRange returns the range of a whole table.
func TableRange(table byte) (lo, hi []byte) { return within([]byte{table}) }

// KeyRange is a range of rows, Low <= key < High.
type KeyRange struct{ Low, High []byte }

// ReplicaRanges returns the ranges that together hold every row of one replica:
// checkpoints, log, objects, large values, expiries. Hints are apart: they belong to the
// guest of a partition, not to a replica of it.
func ReplicaRanges(partition uint32, n uint8) [5]KeyRange {
	var ranges [5]KeyRange
	for i, table := range [5]byte{TableCheckpoint, TableLog, TableObject, TableValue, TableExpiry} {
		ranges[i].Low, ranges[i].High = within(appendReplica(nil, table, partition, n))
	}
	return ranges
}

// ParseReplica says to which table and replica a row belongs, whatever follows.
// Meta rows belong to none: ok is false.
func ParseReplica(row []byte) (table byte, partition uint32, n uint8, ok bool) {
	if len(row) < replicaBytes {
		return 0, 0, 0, false
	}
	switch row[0] {
	case TableCheckpoint, TableLog, TableExpiry, TableHint, TableObject, TablePromise, TableValue:
		return row[0], uint32(binary.BigEndian.Uint16(row[1:])), row[3], true
	}
	return 0, 0, 0, false
}

func appendReplica(b []byte, table byte, partition uint32, n uint8) []byte {
	if partition > PartitionMax {
		panic(fmt.Sprintf("storage: partition %d is over the limit of %d, which layouts keep", partition, PartitionMax))
	}
	return append(b, table, byte(partition>>8), byte(partition), n)
}

func cutReplica(row []byte, table byte, kind string) (partition uint32, n uint8, rest []byte, err error) {
	have, partition, n, ok := ParseReplica(row)
	if !ok || have != table {
		return 0, 0, nil, &RowError{Row: kind, Bytes: row, Reason: "it is too short or in another table"}
	}
	return partition, n, row[replicaBytes:], nil
}

func appendDot(b []byte, table byte, partition uint32, n uint8, actor [16]byte, counter uint64) []byte {
	b = append(appendReplica(b, table, partition, n), actor[:]...)
	return binary.BigEndian.AppendUint64(b, counter)
}

func parseDot(row []byte, table byte, kind string) (partition uint32, n uint8, actor [16]byte, counter uint64, err error) {
	partition, n, rest, err := cutReplica(row, table, kind)
	if err == nil && len(rest) != dotBytes {
		err = &RowError{Row: kind, Bytes: row, Reason: "it does not end in one actor and one counter"}
	}
	if err != nil {
		return 0, 0, actor, 0, err
	}
	return partition, n, [16]byte(rest), binary.BigEndian.Uint64(rest[actorBytes:]), nil
}

// parseNamed reads a key that ends in a bucket and a key of it.
func parseNamed(row []byte, table byte, kind string) (partition uint32, n uint8, bucket, key []byte, err error) {
	partition, n, rest, err := cutReplica(row, table, kind)
	if err != nil {
		return 0, 0, nil, nil, err
	}
	bucket, key, ok := cutBucket(rest)
	if !ok {
		return 0, 0, nil, nil, &RowError{Row: kind, Bytes: row, Reason: "the bucket's name is cut off"}
	}
	return partition, n, bucket, key, nil
}

func appendBucket(b []byte, bucket string) []byte {
	if len(bucket) > BucketBytesMax {
		panic(fmt.Sprintf("storage: a bucket's name has %d bytes, over the limit of %d, which buckets keep",
			len(bucket), BucketBytesMax))
	}
	return append(append(b, byte(len(bucket))), bucket...)
}

func cutBucket(b []byte) (bucket, rest []byte, ok bool) {
	if len(b) == 0 || len(b)-1 < int(b[0]) {
		return nil, nil, false
	}
	end := 1 + int(b[0])
	return b[1:end:end], b[end:], true
}

// within returns the range of all keys that begin with prefix, which it keeps.
func within(prefix []byte) (lo, hi []byte) { return prefix, after(prefix) }

// after returns the least key that is greater than every key beginning with
// prefix. Tables are lower-case letters, so that there always is one.
func after(prefix []byte) []byte {
	for end := len(prefix); end > 0; end-- {
		if last := prefix[end-1]; last < 0xff {
			return append(append(make([]byte, 0, end), prefix[:end-1]...), last+1)
		}
	}
	panic("storage: a range of no table has no end")
}
