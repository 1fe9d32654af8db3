package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ballast is a file of no content that is removed when the disk is full.
type ballast struct {
	fs    vfs.FS
	path  string
	bytes uint64
	held  atomic.Bool
}

// find looks whether the file is there from an earlier start.
func (b *ballast) find() {
	info, err := b.fs.Stat(b.path)
	b.held.Store(err == nil && info.Size() == int64(b.bytes))
}

// take writes the file. It is a precaution: where it fails, there is none.
func (b *ballast) take() {
	if b.bytes == 0 || b.held.Load() {
		return
	}
	if err := b.write(); err != nil {
		_ = b.fs.Remove(b.path)
		return
	}
	b.held.Store(true)
}

// write fills the file with bytes that no file system leaves out.
func (b *ballast) write() error {
	file, err := b.fs.Create(b.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("make the ballast: %w", err)
	}
	chunk := bytes.Repeat([]byte("ballast."), 1<<13)
	for left := b.bytes; left > 0 && err == nil; {
		part := min(left, uint64(len(chunk)))
		_, err = file.Write(chunk[:part])
		left -= part
	}
	return errors.Join(err, file.Close())
}

// giveBack removes the file and reports whether that made room.
func (b *ballast) giveBack() bool {
	return b.held.Swap(false) && b.fs.Remove(b.path) == nil
}
