package transport

import "fmt"

// QueueFullError is a message that was not taken because the peer's queue is
// at its limit: the peer takes messages more slowly than they are sent, or not
// at all. Treat the peer as unreachable; what it misses is repaired later.
type QueueFullError struct {
	Peer string
	// Limit is the queue's limit in bytes.
	Limit int
}

func (e *QueueFullError) Error() string {
	return fmt.Sprintf("the queue to %s holds its limit of %d bytes: the peer takes messages too slowly", e.Peer, e.Limit)
}

// UnreachableError is a message that was not taken because there is no link to
// the peer now.
type UnreachableError struct {
	Peer string
	// Known reports whether the peer is one that is being dialled.
	Known bool
}

func (e *UnreachableError) Error() string {
	if !e.Known {
		return fmt.Sprintf("%s is not a known peer", e.Peer)
	}
	return fmt.Sprintf("there is no link to %s now", e.Peer)
}

// TooLargeError is a message beyond MessageBytesMax.
type TooLargeError struct {
	Peer        string
	Size, Limit int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("a message of %d bytes to %s is over the limit of %d bytes: send it in pieces", e.Size, e.Peer, e.Limit)
}

// FrameError is a frame that is not what a peer of ours would send.
type FrameError struct{ Reason string }

func (e *FrameError) Error() string { return "bad frame: " + e.Reason }

// RefusedError is a hello that did not fit.
type RefusedError struct {
	// Peer is the name that was dialled, or the name that the caller gave.
	Peer   string
	Reason string
}

func (e *RefusedError) Error() string { return fmt.Sprintf("refused %s: %s", e.Peer, e.Reason) }
