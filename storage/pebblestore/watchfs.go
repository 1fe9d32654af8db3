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

// watchedFS sees errors before Pebble does. A log or a manifest that cannot be
// written is the end of the store, and it is better to know before the next
// batch finds Pebble broken; other files can be written again.
type watchedFS struct {
	vfs.FS
	health *health
}

// Create is vfs.FS's.
func (w *watchedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := w.FS.Create(name, category)
	return w.watch(name, file, err)
}

// ReuseForWrite is vfs.FS's.
func (w *watchedFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := w.FS.ReuseForWrite(old, name, category)
	return w.watch(name, file, err)
}

func (w *watchedFS) watch(name string, file vfs.File, err error) (vfs.File, error) {
	watched := &watchedFile{File: file, watched: w, name: w.PathBase(name)}
	if err != nil {
		return nil, watched.note("create", err)
	}
	return watched, nil
}

type watchedFile struct {
	vfs.File
	watched *watchedFS
	name    string
}

// Write is vfs.File's.
func (f *watchedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.note("write", err)
}

// Sync is vfs.File's.
func (f *watchedFile) Sync() error { return f.note("sync", f.File.Sync()) }

// SyncData is vfs.File's.
func (f *watchedFile) SyncData() error { return f.note("sync", f.File.SyncData()) }

// SyncTo is vfs.File's.
func (f *watchedFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	return full, f.note("sync", err)
}

// note acts on an error and passes it on.
func (f *watchedFile) note(what string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%s %s: %w", what, f.name, err)
	if vital(f.name) {
		_ = f.watched.health.fail(err)
	} else {
		time.Sleep(tableErrorPause)
	}
	return err
}

// vital reports whether Pebble cannot go on without the file.
func vital(name string) bool {
	return strings.HasSuffix(name, ".log") || strings.HasPrefix(name, "MANIFEST")
}
