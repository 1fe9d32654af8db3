package pebblestore

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/kindredkv/kindred/storage"
)

// Pebble takes a manifest that has lost its end for one that never had it: Open
// succeeds, and what the last flushes and compactions wrote is gone, while younger rows
// are there from the logs. So whenever Pebble has synced its manifest, the file
// manifestNote beside it says how long that is, with a checksum, and Open compares. The
// note is not synced: one that is older than the manifest, or of which nothing is left,
// accuses nobody.
const manifestNote = "MANIFEST.note"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// manifest counts what is written to one.
type manifest struct {
	path string
	size int64
	sum  uint32
}

func (m *manifest) wrote(p []byte) {
	m.size += int64(len(p))
	m.sum = crc32.Update(m.sum, castagnoli, p)
}

// save makes the note. It may fail: the one before stays true.
func (m *manifest) save(files vfs.FS) {
	path := files.PathJoin(files.PathDir(m.path), manifestNote)
	file, err := files.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return
	}
	_, _ = file.Write(noteOf(files.PathBase(m.path), m.size, m.sum))
	_ = file.Close()
}

// noteOf is a line: the manifest's name, its size, its checksum, and that of the line.
func noteOf(name string, size int64, sum uint32) []byte {
	line := fmt.Appendf(nil, "%s %d %08x", name, size, sum)
	return fmt.Appendf(line, " %08x\n", crc32.Checksum(line, castagnoli))
}

// checkManifest compares the manifest with its note.
func (f *folder) checkManifest() error {
	note, err := f.read(f.fs.PathJoin(dbName, manifestNote))
	if err != nil {
		return nil
	}
	var name string
	var size int64
	var sum uint32
	if n, _ := fmt.Sscanf(string(note), "%s %d %x", &name, &size, &sum); n != 3 || !bytes.Equal(note, noteOf(name, size, sum)) {
		return nil
	}
	path := f.path(f.fs.PathJoin(dbName, name))
	file, err := f.fs.Open(path)
	if err != nil {
		return nil // another one has taken its place, or Pebble will say
	}
	defer file.Close()
	is := crc32.New(castagnoli)
	has, err := io.CopyN(is, file, size)
	switch {
	case err == io.EOF:
		err = fmt.Errorf("it has %d bytes, and had %d", has, size)
	case err == nil && is.Sum32() != sum:
		err = fmt.Errorf("its first %d bytes have changed", size)
	default:
		return nil // whole, or Pebble says what the system says
	}
	return &storage.DamagedError{Dir: f.dir, File: path, Cause: err}
}
