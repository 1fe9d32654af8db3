package pebblestore

import (
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// tableErrorPause is how long an error on a table is held back. Pebble tries a
// failed flush again at once and for ever; so it tries ten times a second.
const tableErrorPause = 100 * time.Millisecond

// watchedFS stands between Pebble and the disk. An error on a file that Pebble
// cannot go on without, a log or a manifest, fails the store and freezes the
// disk: from then on nothing there changes. What Pebble makes new goes into memory,
// what it writes to its logs goes nowhere, and it is told that all is well. It has
// to be: it answers some of those errors with a panic that holds a lock, which ends
// the process whatever anybody recovers. Nobody is deceived, because the store asks
// its health after every call to Pebble, and an error is in the health before
// Pebble is told anything. Little goes into memory: no more than the memtables,
// because batches are refused and compactions are not begun.
//
// Errors on tables reach Pebble, late: it can write them again. Only Open does not
// end as long as they come; so they freeze the disk there as well.
type watchedFS struct {
	vfs.FS
	health *health
	rests  *rests
	void   vfs.FS
}

func newWatchedFS(files vfs.FS, h *health, r *rests) *watchedFS {
	return &watchedFS{FS: files, health: h, rests: r, void: vfs.NewMem()}
}

func (w *watchedFS) frozen() bool { return w.health.failed() != nil }

// Create is vfs.FS's.
func (w *watchedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return w.create(name, category, func() (vfs.File, error) { return w.FS.Create(name, category) })
}

// ReuseForWrite is vfs.FS's.
func (w *watchedFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return w.create(name, category, func() (vfs.File, error) { return w.FS.ReuseForWrite(old, name, category) })
}

func (w *watchedFS) create(name string, category vfs.DiskWriteCategory, on func() (vfs.File, error)) (vfs.File, error) {
	if w.frozen() {
		return w.createInVoid(name)
	}
	f := &watchedFile{fs: w, name: w.PathBase(name), vital: vital(w.PathBase(name)), work: w.rests.of(category)}
	if strings.HasPrefix(f.name, "MANIFEST-") {
		f.manifest = &manifest{path: name}
	}
	var err error
	if f.File, err = on(); err == nil {
		return f, nil
	}
	if err = f.note("create", err); err == nil {
		return w.createInVoid(name)
	}
	return nil, err
}

func (w *watchedFS) createInVoid(name string) (vfs.File, error) {
	if err := w.void.MkdirAll(w.PathDir(name), 0o755); err != nil {
		return nil, err
	}
	return w.void.Create(name, vfs.WriteCategoryUnspecified)
}

// Open is vfs.FS's.
func (w *watchedFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if w.frozen() {
		if file, err := w.void.Open(name); err == nil {
			return file, nil
		}
	}
	return w.FS.Open(name, options...)
}

// OpenDir is vfs.FS's. A directory is opened to sync the names in it.
func (w *watchedFS) OpenDir(name string) (vfs.File, error) {
	dir, err := w.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &watchedFile{File: dir, fs: w, name: w.PathBase(name), vital: true}, nil
}

// Remove is vfs.FS's.
func (w *watchedFS) Remove(name string) error {
	if w.frozen() {
		return nil
	}
	return w.FS.Remove(name)
}

// RemoveAll is vfs.FS's.
func (w *watchedFS) RemoveAll(name string) error {
	if w.frozen() {
		return nil
	}
	return w.FS.RemoveAll(name)
}

// Rename is vfs.FS's.
func (w *watchedFS) Rename(old, name string) error {
	if w.frozen() {
		return nil
	}
	return w.FS.Rename(old, name)
}

// Link is vfs.FS's.
func (w *watchedFS) Link(old, name string) error {
	if w.frozen() {
		return nil
	}
	return w.FS.Link(old, name)
}

// GetDiskUsage is vfs.FS's. Pebble asks with its lock held and reports an error like
// those of work that has to be held back; it takes "unsupported" in its stride.
func (w *watchedFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	usage, err := w.FS.GetDiskUsage(path)
	if err != nil {
		return usage, vfs.ErrUnsupported
	}
	return usage, nil
}

// vital reports whether Pebble cannot go on without the file: a log, a manifest,
// or the marker that says which manifest counts.
func vital(name string) bool {
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST") ||
		strings.HasPrefix(name, "marker.")
}

type watchedFile struct {
	vfs.File
	fs    *watchedFS
	name  string
	vital bool
	work  *work // of who writes it; nil if that does not rest
	// manifest is nil for other files.
	manifest *manifest
}

// Write is vfs.File's.
func (f *watchedFile) Write(p []byte) (int, error) {
	if f.work != nil {
		f.work.pause()
	}
	if f.manifest != nil {
		f.manifest.wrote(p) // before p is written: Pebble's files of tests spoil it then
	}
	n := len(p)
	err := f.try("write", func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	if err == nil {
		n = len(p)
	}
	return n, err
}

// Sync is vfs.File's.
func (f *watchedFile) Sync() error { return f.sync(f.File.Sync) }

// SyncData is vfs.File's.
func (f *watchedFile) SyncData() error { return f.sync(f.File.SyncData) }

func (f *watchedFile) sync(do func() error) error {
	err := f.try("sync", do)
	if f.manifest != nil && err == nil && !f.fs.frozen() {
		f.manifest.save(f.fs.FS)
	}
	return err
}

// SyncTo is vfs.File's.
func (f *watchedFile) SyncTo(length int64) (full bool, err error) {
	err = f.try("sync", func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, err
}

// Close is vfs.File's.
func (f *watchedFile) Close() error {
	if err := f.File.Close(); err != nil {
		return f.note("close", err)
	}
	return nil
}

// try does something to the disk and notes how it went. A vital file of a frozen
// disk is left alone.
func (f *watchedFile) try(what string, do func() error) error {
	if f.vital && f.fs.frozen() {
		return nil
	}
	if err := do(); err != nil {
		return f.note(what, err)
	}
	return nil
}

// note takes an error of the disk and returns what Pebble is told.
func (f *watchedFile) note(what string, err error) error {
	err = fmt.Errorf("%s %s: %w", what, f.name, err)
	if f.vital || f.fs.health.opening.Load() {
		_ = f.fs.health.fail(err)
	}
	if f.vital {
		return nil
	}
	time.Sleep(tableErrorPause)
	return err
}
