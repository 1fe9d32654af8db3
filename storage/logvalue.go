package storage

import "encoding/binary"

// LogEntry is the value of a dot's row in the log: which object the dot changed,
// and which request asked for it.
type LogEntry struct {
	Bucket, Key []byte
	// RequestID is zero for changes that no client asked for.
	RequestID [16]byte
	// Change is what the dot changed the leaf of its key by, in the hash tree.
	Change uint64
}

const (
	logHasRequestID byte = 1 << iota
	logHasChange

	logFlags = logHasRequestID | logHasChange
)

// AppendLogEntry appends the binary form of e to b: flags (1 byte), the bucket
// with its length (1 byte) before it, the request id (16 bytes, if any), the
// change of the hash tree (8 bytes, if any), the key.
func AppendLogEntry(b []byte, e LogEntry) []byte {
	var flags byte
	if e.RequestID != [16]byte{} {
		flags |= logHasRequestID
	}
	if e.Change != 0 {
		flags |= logHasChange
	}
	b = appendBucket(append(b, flags), string(e.Bucket))
	if flags&logHasRequestID != 0 {
		b = append(b, e.RequestID[:]...)
	}
	if flags&logHasChange != 0 {
		b = binary.BigEndian.AppendUint64(b, e.Change)
	}
	return append(b, e.Key...)
}

// ParseLogEntry is the inverse of AppendLogEntry. Bucket and Key point into
// value. There is one form for each entry: anything else is a *RowError.
func ParseLogEntry(value []byte) (LogEntry, error) {
	refuse := func(reason string) (LogEntry, error) {
		return LogEntry{}, &RowError{Row: "log value", Bytes: value, Reason: reason}
	}
	if len(value) == 0 || value[0]&^logFlags != 0 {
		return refuse("it has unknown flags or none")
	}
	bucket, rest, ok := cutBucket(value[1:])
	if !ok {
		return refuse("the bucket's name is cut off")
	}
	e := LogEntry{Bucket: bucket, Key: rest}
	if value[0]&logHasRequestID != 0 {
		if len(e.Key) < len(e.RequestID) {
			return refuse("the request id is cut off")
		}
		e.RequestID, e.Key = [16]byte(e.Key), e.Key[len(e.RequestID):]
		if e.RequestID == [16]byte{} {
			return refuse("it has a request id of zero, which is written as none")
		}
	}
	if value[0]&logHasChange != 0 {
		if len(e.Key) < 8 {
			return refuse("the change of the hash tree is cut off")
		}
		e.Change, e.Key = binary.BigEndian.Uint64(e.Key), e.Key[8:]
		if e.Change == 0 {
			return refuse("it changes the hash tree by zero, which is written as no change")
		}
	}
	return e, nil
}
