package storage

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("storage: not found")

	// ErrClosed says that the engine or the snapshot was closed.
	ErrClosed = errors.New("storage: closed")
)

// CorruptError says that a row, or some row near it, is on the disk but cannot
// be read: its bytes do not have the checksum they were written with. Rows in
// other blocks stay readable. The row must be repaired from other replicas and
// never be treated as absent.
type CorruptError struct {
	// Key is what was asked for; for a scan, where it stopped: every row below
	// Key was visited.
	Key []byte
	// File is the damaged file, empty where it is unknown.
	File string
	// Low and High bound the rows that the file holds, Low <= key < High. Both
	// are nil where that is unknown.
	Low, High []byte
	// Resume is where a scan that stopped at Key can go on: the rows between the
	// two cannot be read. Nil where that is unknown, and for Get.
	Resume []byte
	Cause  error
}

func (e *CorruptError) Error() string {
	where := "in an unknown file"
	if e.File != "" {
		where = "in " + e.File
	}
	return fmt.Sprintf("storage: row %s %s is damaged (%v): repair it from other replicas; "+
		"if damage grows, replace the disk", printable(e.Key), where, e.Cause)
}

func (e *CorruptError) Unwrap() error { return e.Cause }

// DamagedError says that a store cannot be opened because a file is damaged,
// truncated or gone. Nothing was changed.
type DamagedError struct {
	Dir string
	// File is the damaged file, empty where it is unknown.
	File  string
	Cause error
}

func (e *DamagedError) Error() string {
	file := e.File
	if file == "" {
		file = "a file"
	}
	return fmt.Sprintf("storage: cannot open %s: %s is damaged (%v): move the folder aside, keep it, "+
		"and start with an empty one; the node then rebuilds from its peers", e.Dir, file, e.Cause)
}

func (e *DamagedError) Unwrap() error { return e.Cause }

// FullError says that the disk has less free space than a write, or an Open,
// may begin with. Nothing was applied; reads go on.
type FullError struct {
	Dir string
	// FreeBytes is what the disk has, NeedBytes what this operation demands.
	FreeBytes, NeedBytes uint64
	// Cause is the disk's own error, if it gave one.
	Cause error
}

func (e *FullError) Error() string {
	return fmt.Sprintf("storage: the disk of %s is full: %d MiB free, %d MiB needed: free space on it "+
		"or give it more; writes resume by themselves",
		e.Dir, e.FreeBytes>>20, (e.NeedBytes+1<<20-1)>>20)
}

func (e *FullError) Unwrap() error { return e.Cause }

// LockedError says that another store, in this process or another, has the
// folder open.
type LockedError struct {
	Dir string
	// Holder says who, where known ("process 4711 on host7").
	Holder string
	Cause  error
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another process"
	}
	return fmt.Sprintf("storage: %s is in use by %s: one folder belongs to one node; stop that one "+
		"or give this one a folder of its own", e.Dir, holder)
}

func (e *LockedError) Unwrap() error { return e.Cause }

// FormatError says that a folder was written in a format that this program does
// not know. Nothing was changed.
type FormatError struct {
	Dir string
	// Have is what the folder says, Want what this program reads.
	Have, Want string
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("storage: %s has the format %s, this program reads %s: start it with the version "+
		"that wrote it, or give it another folder", e.Dir, e.Have, e.Want)
}

// FailedError says that the store stopped for good: the disk refused what a
// store cannot go on without, such as a sync. What was not synced may or may not
// be there after the next Open. The node has to stop.
type FailedError struct {
	Dir   string
	Cause error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("storage: the store in %s failed and takes no more writes (%v): check the disk, "+
		"then restart the node", e.Dir, e.Cause)
}

func (e *FailedError) Unwrap() error { return e.Cause }

// LimitError says that a batch is larger than an engine takes. Nothing was
// applied.
type LimitError struct {
	// What is measured: "batch" or "key".
	What              string
	Bytes, LimitBytes int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("storage: a %s of %d bytes is over the limit of %d bytes: split it",
		e.What, e.Bytes, e.LimitBytes)
}

// RowError says that bytes are not the row that they should be: not a key or a
// value that this package wrote.
type RowError struct {
	// Row is the kind of row: "object key", "log value", …
	Row    string
	Bytes  []byte
	Reason string
}

func (e *RowError) Error() string {
	return fmt.Sprintf("storage: %s is not a valid %s: %s", printable(e.Bytes), e.Row, e.Reason)
}

// printable shows the first bytes of a key: names are mostly text, numbers are
// not, and an error message has to stay short.
func printable(key []byte) string {
	const shown = 64
	if len(key) > shown {
		return fmt.Sprintf("%q… (%d bytes)", key[:shown], len(key))
	}
	return fmt.Sprintf("%q", key)
}
