package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/kindredkv/kindred/storage"
)

const (
	// bloomBitsPerKey makes one in a hundred reads of an absent row look at a
	// table that does not have it.
	bloomBitsPerKey = 10
	// memTablesMax is how many memtables may wait for the disk before Apply does.
	memTablesMax = 4
	// tablesPerCompaction is how many tables from memory are compacted at once.
	// Each compaction also rewrites what earlier ones left in the next level: with
	// four instead of Pebble's two a put costs a quarter less CPU time in the store,
	// and a read looks at one filter more.
	tablesPerCompaction = 4
	// openBytes is the room that Open needs beside what the logs hold.
	openBytes = 8 << 20
)

// Open opens the store in dir and makes it if the folder is new. Its errors are
// *storage.LockedError, *storage.FormatError, *storage.DamagedError,
// *storage.FullError, and what the operating system says. A folder that Open
// refuses is as it was.
func Open(dir string, options Options) (*Store, error) {
	options = options.withDefaults()
	dir, err := canonical(options.FS, dir)
	if err != nil {
		return nil, err
	}
	folder, err := lockFolder(options.FS, dir)
	if err != nil {
		return nil, err
	}
	s := newStore(folder, options)
	if err := s.open(); err != nil {
		return nil, errors.Join(err, folder.unlock())
	}
	return s, nil
}

func newStore(f *folder, options Options) *Store {
	s := &Store{
		dir: f.dir, options: options, folder: f,
		health: &health{dir: f.dir, tell: options.OnFatal},
		space: &spaceGuard{
			fs: options.FS, dir: f.dir, floor: uint64(max(options.SpaceFloorBytes, 0)), free: unknownSpace,
		},
		snapshots: map[*snapshot]struct{}{}, closing: make(chan struct{}),
	}
	s.events = &events{onCorruption: options.OnCorruption, health: s.health, log: options.Logger}
	s.events.compactions.ended, s.events.tableStats.ended = s.closing, s.closing
	s.rests = &rests{ended: s.closing}
	s.space.ballast.fs = options.FS
	s.space.ballast.path = f.path(ballastName)
	s.space.ballast.bytes = uint64(max(options.BallastBytes, 0))
	s.applied.Store(1) // the first Sync asks the disk, whatever Open found
	return s
}

func (s *Store) open() error {
	s.health.opening.Store(true)
	defer s.health.opening.Store(false)
	s.space.ballast.find()
	need, err := s.folder.logBytes()
	if err == nil {
		err = s.space.makeRoom(need + openBytes)
	}
	if err == nil {
		err = s.openDB()
	}
	if err == nil && s.folder.isNew {
		err = s.folder.writeFormat(s.options.Random)
		if err != nil {
			err = errors.Join(err, s.closeDB())
		}
	}
	if err == nil {
		s.space.measure(0)
	}
	return err
}

func (s *Store) openDB() (err error) {
	defer func() {
		if broken := recover(); broken != nil {
			err = s.openError(fmt.Errorf("%w: %v", errPanic, broken))
		}
	}()
	if err := s.folder.checkManifest(); err != nil {
		return err
	}
	s.db, err = pebble.Open(s.folder.path(dbName), s.pebbleOptions())
	if err != nil {
		return s.openError(err)
	}
	if err := s.health.failed(); err != nil {
		return errors.Join(s.openError(err), s.closeDB())
	}
	s.rests.begin(s.pressed)
	return nil
}

// pressed reports whether memtables or tables from memory pile up, or space is short.
func (s *Store) pressed() bool {
	m := s.db.Metrics()
	return m.MemTable.Count > memTablesMax/2 || m.Levels[0].Sublevels >= 2*tablesPerCompaction || s.space.tight()
}

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.files(),
		CacheSize:                   s.options.CacheBytes,
		MemTableSize:                uint64(s.options.MemTableBytes),
		MemTableStopWritesThreshold: memTablesMax,
		L0StopWritesThreshold:       stopWritesTables,
		L0CompactionThreshold:       2 * tablesPerCompaction, // Pebble begins at half of it
		FormatMajorVersion:          pebble.FormatNewest,
		EventListener:               s.events.listener(),
		Logger:                      &pebbleLogger{log: s.options.Logger, health: s.health},
		ErrorIfNotExists:            !s.folder.isNew,
		ErrorIfNotPristine:          s.folder.isNew,
	}
	o.Experimental.CompactionScheduler = &scheduler{health: s.health, pause: s.events.compactions.pause, work: &work{rests: s.rests}}
	o.Experimental.SpanPolicyFunc = valuesApart
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(bloomBitsPerKey)
	return o
}

// valuesApart ends every table of Pebble's before the rows of large values. In
// one table with them, a look for a small row that is not there reads on to the
// next block, which holds a large value, whole: the bottom level has no filters.
func valuesApart(row []byte) (pebble.SpanPolicy, []byte, error) {
	values := []byte{storage.TableValue}
	if bytes.Compare(row, values) < 0 {
		return pebble.SpanPolicy{}, values, nil
	}
	return pebble.SpanPolicy{}, nil, nil
}

// files is the file system as Pebble sees it: one that gives back the ballast
// when a write finds no space, and one that notices what fails all the same.
func (s *Store) files() vfs.FS {
	files := s.options.FS
	if s.space.ballast.bytes > 0 {
		files = vfs.OnDiskFull(files, func() { s.space.ballast.giveBack() })
	}
	return newWatchedFS(files, s.health, s.rests)
}

// logBytes is the size of the logs, which Open turns into tables.
func (f *folder) logBytes() (uint64, error) {
	names, err := f.fs.List(f.path(dbName))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("storage: list %s: %w", f.path(dbName), err)
	}
	var sum uint64
	for _, name := range names {
		if info, err := f.fs.Stat(f.fs.PathJoin(f.path(dbName), name)); err == nil && strings.HasSuffix(name, ".log") {
			sum += uint64(info.Size())
		}
	}
	return sum, nil
}

var errPanic = errors.New("pebble did not expect what it read")

// openError makes an error of Pebble's Open one of ours. The settings are ours
// and the folder is locked, so that what is not the operating system's refusal is
// said about the files.
func (s *Store) openError(err error) error {
	var refusal syscall.Errno
	switch {
	case isFull(err):
		return &storage.FullError{Dir: s.dir, NeedBytes: openBytes, Cause: err}
	case errors.As(err, &refusal) && refusal != syscall.ENOENT:
		return fmt.Errorf("storage: open %s: %w", s.dir, err)
	case strings.Contains(err.Error(), "unknown format major version"):
		return &storage.FormatError{
			Dir: s.dir, Have: fmt.Sprintf("of a newer Pebble (%v)", err),
			Want: fmt.Sprintf("Pebble's %s at most", pebble.FormatNewest),
		}
	case errors.Is(err, pebble.ErrDBNotPristine):
		return s.folder.damaged(errors.New("it is gone, but there are rows"))
	}
	return &storage.DamagedError{Dir: s.dir, File: s.folder.path(s.fileIn(err)), Cause: err}
}

// fileNames matches Pebble's names of files and, for a table that is gone, its
// number.
var fileNames = regexp.MustCompile(`\b(\d{6}\.(?:log|sst|blob)|MANIFEST-\d+|OPTIONS-\d+)\b|file (\d{6}) \(type sstable\)`)

// fileIn finds the name of the file in Pebble's report. Pebble has it in the
// details for people only; where it is missing, the whole database is meant.
func (s *Store) fileIn(err error) string {
	names := fileNames.FindStringSubmatch(fmt.Sprintf("%+v", err))
	switch {
	case names == nil:
		return dbName
	case names[2] != "":
		return s.folder.fs.PathJoin(dbName, names[2]+".sst")
	}
	return s.folder.fs.PathJoin(dbName, names[1])
}
