package storage

// LogEntry is the value of a dot's row in the log: which object the dot changed,
// and which request asked for it.
type LogEntry struct {
	Bucket, Key []byte
	// RequestID is zero for changes that no client asked for.
	RequestID [16]byte
}

const logHasRequestID byte = 1

// AppendLogEntry appends the binary form of e to b: flags (1 byte), the bucket
// with its length (1 byte) before it, the request id (16 bytes, if any), the key.
func AppendLogEntry(b []byte, e LogEntry) []byte {
	hasID := e.RequestID != [16]byte{}
	if hasID {
		b = append(b, logHasRequestID)
	} else {
		b = append(b, 0)
	}
	b = appendBucket(b, string(e.Bucket))
	if hasID {
		b = append(b, e.RequestID[:]...)
	}
	return append(b, e.Key...)
}

// ParseLogEntry is the inverse of AppendLogEntry. Bucket and Key point into
// value. There is one form for each entry: anything else is a *RowError.
func ParseLogEntry(value []byte) (LogEntry, error) {
	refuse := func(reason string) (LogEntry, error) {
		return LogEntry{}, &RowError{Row: "log value", Bytes: value, Reason: reason}
	}
	if len(value) == 0 || value[0]&^logHasRequestID != 0 {
		return refuse("it has unknown flags or none")
	}
	bucket, rest, ok := cutBucket(value[1:])
	if !ok {
		return refuse("the bucket's name is cut off")
	}
	e := LogEntry{Bucket: bucket, Key: rest}
	if value[0] == logHasRequestID {
		if len(rest) < len(e.RequestID) {
			return refuse("the request id is cut off")
		}
		e.RequestID, e.Key = [16]byte(rest), rest[len(e.RequestID):]
		if e.RequestID == [16]byte{} {
			return refuse("it has a request id of zero, which is written as none")
		}
	}
	return e, nil
}
