package pebblestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/kindredkv/kindred/storage"
)

// Discard throws away every row with low <= key < high, without reading them, and
// returns when that is durable. It is the way out when a table is damaged: writing
// or deleting its rows covers them, but compactions go on meeting the damage. With
// the bounds of a *storage.CorruptError the damaged file goes as a whole, and
// compactions run again.
//
// Unlike DeleteRange it reaches into snapshots, which lose those rows as well, so
// that whoever calls it has first marked the replicas (storage.ParseReplica of the
// bounds and all between) as lost: their clocks claim what is gone (I4). The rows next
// to the range may be written anew, and be missing in snapshots too; nobody may apply
// anything meanwhile.
func (s *Store) Discard(low, high []byte) error {
	if !s.gate.enter() {
		return storage.ErrClosed
	}
	defer s.gate.leave()
	if err := s.health.failed(); err != nil {
		return err
	}
	if err := s.excise(cut{low: low, high: high}); err != nil {
		return fmt.Errorf("storage: discard rows of %s: %w", s.dir, err)
	}
	s.events.cured()
	return s.health.failed()
}

// cut is a range of rows that is to go, and those in it that are to stay.
type cut struct {
	low, high []byte
	kept      []row // in order
}

type row struct{ key, value []byte }

const (
	// keptMax bounds the rows that are written anew. A block has hundreds at most.
	keptMax = 4096
	// edgesTries bounds how often tables are looked for that a compaction has just
	// replaced.
	edgesTries = 10
)

// excise cuts a range out of all tables. Pebble looks for the last row that a table
// keeps before the range and the first behind it, and where it cannot read that it
// takes the rest of the table for empty and says nothing. A look at the store does not
// tell, because a deletion hides what cannot be read. So every table is read at the
// edges, and while one is damaged there the cut grows. What lives there is kept; if
// that cannot be read, somebody has yet to give up what the damage has of his.
func (s *Store) excise(c cut) error {
	for len(c.kept) < keptMax {
		table, side, err := s.damagedEdge(c)
		switch {
		case err != nil:
			return err
		case side == before:
			err = s.growBefore(&c, table)
		case side == behind:
			err = s.growBehind(&c)
		default:
			return s.replace(c)
		}
		if err != nil {
			return fmt.Errorf("the rows %s the range cannot be read: %w", side, err)
		}
	}
	return fmt.Errorf("the tables cannot be read within %d rows of the range", keptMax)
}

// growBefore moves the beginning of a cut to the last row of a table before the damage.
func (s *Store) growBefore(c *cut, table pebble.SSTableInfo) error {
	low, err := c.low, error(nil)
	opened := s.inTable(table, func(rows sstable.Iterator) { low, err = lastSound(rows, c.low) })
	if err = errors.Join(opened, err); err != nil {
		return err
	}
	var kept []row
	for next := low; ; next = after(kept[len(kept)-1].key) {
		r, err := s.firstLive(next, c.low)
		if err != nil {
			return err
		}
		if r == nil {
			break
		}
		kept = append(kept, *r)
	}
	c.low, c.kept = low, append(kept, c.kept...)
	return nil
}

// growBehind takes the first row behind a cut into it.
func (s *Store) growBehind(c *cut) error {
	r, err := s.firstLive(c.high, lastKey)
	switch {
	case err != nil:
		return err
	case r == nil:
		c.high = lastKey
	default:
		c.high, c.kept = after(r.key), append(c.kept, *r)
	}
	return nil
}

// after is the key that follows another.
func after(key []byte) []byte { return append(slices.Clone(key), 0) }

// lastKey is behind all rows (storage.TableRange).
var lastKey = []byte{0xff}

// firstLive gives the first row of the store from low on, below high, nil if there is
// none.
func (s *Store) firstLive(low, high []byte) (*row, error) {
	if bytes.Compare(low, high) >= 0 {
		return nil, nil
	}
	rows, err := s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return nil, err
	}
	var r *row
	if rows.First() {
		var value []byte
		value, err = rows.ValueAndErr()
		r = &row{key: slices.Clone(rows.Key()), value: slices.Clone(value)}
	}
	if err = errors.Join(err, rows.Close()); err != nil {
		return nil, err
	}
	return r, nil
}

// side is a side of a cut.
type side string

const (
	before side = "before"
	behind side = "behind"
)

// damagedEdge finds a table that has rows in a cut and on one side of it, and cannot be
// read there.
func (s *Store) damagedEdge(c cut) (table pebble.SSTableInfo, where side, err error) {
	for range edgesTries {
		if table, where, err = s.lookAtEdges(c); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return table, where, err
}

func (s *Store) lookAtEdges(c cut) (table pebble.SSTableInfo, where side, err error) {
	levels, err := s.db.SSTables(pebble.WithKeyRangeFilter(c.low, c.high))
	if err != nil {
		return table, "", err
	}
	for _, t := range slices.Concat(levels...) {
		left := bytes.Compare(t.Smallest.UserKey, c.low) < 0
		right := bytes.Compare(t.Largest.UserKey, c.high) >= 0
		if !left && !right {
			continue // goes as a whole, unread
		}
		err := s.inTable(t, func(rows sstable.Iterator) {
			switch {
			case left && !soundBefore(rows, c.low):
				where = before
			case right && !soundBehind(rows, c.high):
				where = behind
			}
		})
		if err != nil || where != "" {
			return t, where, err
		}
	}
	return table, "", nil
}

// soundBefore reports whether a table can be read just before a key, and on from there:
// one that ended with the last row before a damaged block would be.
func soundBefore(rows sstable.Iterator, key []byte) bool {
	if rows.SeekLT(key, 0) != nil {
		rows.Next()
	}
	return rows.Error() == nil
}

// soundBehind is soundBefore the other way round.
func soundBehind(rows sstable.Iterator, key []byte) bool {
	if rows.SeekGE(key, 0) != nil {
		rows.Prev()
	}
	return rows.Error() == nil
}

// lastSound gives the last row of a table before a key, where damage follows it. A scan
// that has stopped did so behind the row that it read last: looking back from there
// would begin in the damage.
func lastSound(rows sstable.Iterator, key []byte) ([]byte, error) {
	if last := bytes.TrimSuffix(key, []byte{0}); len(last) < len(key) {
		if r := rows.SeekGE(last, 0); r != nil && bytes.Equal(r.K.UserKey, last) {
			return last, nil
		}
	}
	if r := rows.SeekLT(key, 0); r != nil {
		return slices.Clone(r.K.UserKey), nil
	}
	return nil, fmt.Errorf("%q has no row before it: %w", key, rows.Error())
}

// inTable looks at the rows of a table as they lie there, hidden ones too.
func (s *Store) inTable(t pebble.SSTableInfo, look func(sstable.Iterator)) error {
	name := t.BackingSSTNum.String() + ".sst"
	file, err := s.options.FS.Open(s.options.FS.PathJoin(s.folder.path(dbName), name))
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	table, err := sstable.NewReader(context.Background(), readable, tableOptions().MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	rows, err := table.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return errors.Join(err, table.Close())
	}
	look(rows)
	_ = rows.Close() // has the error that the look has seen
	return table.Close()
}

// tableOptions say how tables are read and written, caches and filters apart.
func tableOptions() *pebble.Options {
	o := &pebble.Options{FormatMajorVersion: pebble.FormatNewest}
	o.EnsureDefaults()
	return o
}

// replace cuts, and writes what is kept, in one step.
func (s *Store) replace(c cut) error {
	span := pebble.KeyRange{Start: c.low, End: c.high}
	if len(c.kept) == 0 {
		return s.db.Excise(context.Background(), span)
	}
	path := s.folder.path(keptName)
	if err := s.writeKept(path, c.kept); err != nil {
		return err
	}
	_, err := s.db.IngestAndExcise(context.Background(), []string{path}, nil, nil, span)
	if err != nil {
		return errors.Join(err, s.options.FS.Remove(path))
	}
	return nil // Pebble has moved the table
}

// writeKept makes a table of rows.
func (s *Store) writeKept(path string, kept []row) error {
	file, err := s.options.FS.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	table := sstable.NewWriter(objstorageprovider.NewFileWritable(file), tableOptions().MakeWriterOptions(0, s.db.TableFormat()))
	for _, r := range kept {
		err = errors.Join(err, table.Set(r.key, r.value))
	}
	return errors.Join(err, table.Close())
}
