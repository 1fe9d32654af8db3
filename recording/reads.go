package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
)

// What was asked of the store, and what it answered.
const (
	askedGet  byte = 'g'
	askedScan byte = 's'
	foundRow  byte = 'r'
	// scanEnds closes the rows of a scan, with its error.
	scanEnds byte = 'e'
)

// The errors of a store that a shard tells apart.
const (
	noError byte = iota
	notFound
	closed
	corrupt
	otherError
)

func appendError(b []byte, err error) []byte {
	var damage *storage.CorruptError
	switch {
	case err == nil:
		return append(b, noError)
	case err == storage.ErrNotFound:
		return append(b, notFound)
	case errors.Is(err, storage.ErrClosed):
		return append(b, closed)
	case errors.As(err, &damage):
		b = appendOptional(append(b, corrupt), damage.Key)
		b = appendOptional(appendOptional(appendBytes(b, damage.File), damage.Low), damage.High)
		b = appendOptional(b, damage.Resume)
		return appendBytes(b, fmt.Sprint(damage.Cause))
	}
	return appendBytes(append(b, otherError), err.Error())
}

func (d *decoder) error() error {
	switch d.byte("error") {
	case noError:
		return nil
	case notFound:
		return storage.ErrNotFound
	case closed:
		return storage.ErrClosed
	case corrupt:
		return &storage.CorruptError{
			Key: d.optional("key"), File: d.text("file"), Low: d.optional("low"), High: d.optional("high"),
			Resume: d.optional("resume"), Cause: errors.New(d.text("cause")),
		}
	}
	return errors.New(d.text("error"))
}

// Log is what a reading of the store found, in order. A nil one notes nothing.
type Log struct {
	reads []byte
	spill func([]byte)
}

// NewLog is empty. Spill, if there is one, takes what has gathered whenever it is much.
func NewLog(spill func([]byte)) *Log { return &Log{spill: spill} }

// spillBytes is how much of a reading goes into one event.
const spillBytes = 1 << 20

func (l *Log) grown() {
	if l.spill != nil && len(l.reads) >= spillBytes {
		l.spill(l.reads)
		l.reads = nil
	}
}

// Bytes is what is to be recorded; nil for a nil log.
func (l *Log) Bytes() []byte {
	if l == nil {
		return nil
	}
	return l.reads
}

func (l *Log) get(from replica.Reader, key []byte) ([]byte, error) {
	value, err := from.Get(key)
	l.reads = appendError(appendBytes(append(l.reads, askedGet), key), err)
	if err == nil {
		l.reads = appendBytes(l.reads, value)
	}
	l.grown()
	return value, err
}

// Reader is from, noting what it answers.
func (l *Log) Reader(from replica.Reader) replica.Reader {
	if l == nil {
		return from
	}
	return loggedReader{l, from}
}

// Snapshot is from, noting what it answers.
func (l *Log) Snapshot(from storage.Snapshot) storage.Snapshot {
	if l == nil {
		return from
	}
	return logged{from, l}
}

type loggedReader struct {
	log  *Log
	from replica.Reader
}

// Get implements replica.Reader.
func (r loggedReader) Get(key []byte) ([]byte, error) { return r.log.get(r.from, key) }

// logged is a snapshot whose answers are noted.
type logged struct {
	storage.Snapshot
	log *Log
}

// Get implements storage.Snapshot.
func (s logged) Get(key []byte) ([]byte, error) { return s.log.get(s.Snapshot, key) }

// Scan implements storage.Snapshot.
func (s logged) Scan(lo, hi []byte, visit func(key, value []byte) bool) error {
	l := s.log
	l.reads = appendBytes(appendBytes(append(l.reads, askedScan), lo), hi)
	err := s.Snapshot.Scan(lo, hi, func(key, value []byte) bool {
		l.reads = appendBytes(appendBytes(append(l.reads, foundRow), key), value)
		l.grown()
		return visit(key, value)
	})
	l.reads = appendError(append(l.reads, scanEnds), err)
	l.grown()
	return err
}

// ReadError says that a shard asked the store for something else than it did when it
// was recorded.
type ReadError struct{ Asked, Recorded string }

func (e *ReadError) Error() string {
	return fmt.Sprintf("it reads %s, where it read %s when it was recorded", e.Asked, e.Recorded)
}

// found is a store that answers what a recorded one did, to the same questions in
// the same order. What does not fit ends it: the caller looks at err.
type found struct {
	d   decoder
	err error
}

// errNotRecorded is answered to questions that were not asked.
var errNotRecorded = errors.New("recording: this was not read")

func (f *found) differs(asked, recorded string) error {
	if f.err == nil {
		f.err = &ReadError{asked, recorded}
	}
	return errNotRecorded
}

func (f *found) next(kind byte, asked string) error {
	switch {
	case f.err != nil:
		return errNotRecorded
	case len(f.d.b) == 0:
		return f.differs(asked, "nothing more")
	}
	switch got := f.d.byte("question"); {
	case got == kind:
		return nil
	case got == askedGet:
		return f.differs(asked, "a row")
	case got == askedScan:
		return f.differs(asked, "a range")
	default:
		return f.differs(asked, "the rest of a range")
	}
}

// Get implements replica.Reader and storage.Snapshot.
func (f *found) Get(key []byte) ([]byte, error) {
	asked := rowName(key)
	if err := f.next(askedGet, asked); err != nil {
		return nil, err
	}
	if had := f.d.bytes("key"); !bytes.Equal(had, key) {
		return nil, f.differs(asked, rowName(had))
	}
	if err := f.d.error(); err != nil {
		return nil, err
	}
	value := bytes.Clone(f.d.bytes("value"))
	if value == nil {
		value = []byte{}
	}
	return value, f.d.err
}

// Scan implements storage.Snapshot.
func (f *found) Scan(lo, hi []byte, visit func(key, value []byte) bool) error {
	asked := "from " + rowName(lo) + " to " + rowName(hi)
	if err := f.next(askedScan, asked); err != nil {
		return err
	}
	if l, h := f.d.bytes("low"), f.d.bytes("high"); !bytes.Equal(l, lo) || !bytes.Equal(h, hi) {
		return f.differs(asked, "from "+rowName(l)+" to "+rowName(h))
	}
	on := true
	for {
		switch f.d.byte("row of a range") {
		case foundRow:
			key, value := f.d.bytes("key"), f.d.bytes("value")
			if f.d.err != nil {
				return f.d.err
			}
			if !on {
				return f.differs("no further than "+rowName(key), "on")
			}
			on = visit(key, value)
		case scanEnds:
			return f.d.error()
		default:
			return f.differs(asked, "something that cannot be read")
		}
	}
}

// Close implements storage.Snapshot.
func (f *found) Close() error { return nil }

// done is why the reading was not the recorded one, nil if it was.
func (f *found) done() error {
	switch {
	case f.err != nil:
		return f.err
	case f.d.err != nil:
		return f.d.err
	case len(f.d.b) > 0:
		_ = f.differs("nothing more", fmt.Sprintf("on (%d bytes)", len(f.d.b)))
	}
	return f.err
}

func uvarints(b []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	return b
}
