package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
)

const (
	metaName        = "name"
	metaIncarnation = "incarnation"
	metaLayout      = "layout"
	metaPeers       = "peers"
	metaBuckets     = "buckets"
	metaClean       = "clean"

	incarnationForm = 1
)

// NameError is a data folder that belongs to another node.
type NameError struct {
	Dir, Have, Want string
}

func (e *NameError) Error() string {
	return fmt.Sprintf("the data folder %s belongs to node %q, this is node %q: start with --name %s, or give this node a folder of its own", e.Dir, e.Have, e.Want, e.Have)
}

// incarnation is one start of a node: how many there were, and its actor.
type incarnation struct {
	Start uint64
	Actor vclock.Actor
	// Clean: the last life ended in good order, with everything on the disk.
	Clean bool
}

// beginIncarnation draws a new actor and makes it durable before anybody can
// mint with it (R14, I2). Nothing is derived from what the folder holds: a
// restored or cloned folder gets a new actor like every other.
//
// A folder that was emptied is a new disk: it gets the node's name from the
// settings, a disk id and an incarnation of its own, and the layout from peers.
// Whatever disk is found, no counter of an earlier life is used again, so an old
// folder that comes back later brings old versions under old dots and nothing
// else: what was deleted since is deleted there once it has caught up.
func beginIncarnation(engine storage.Engine, disk [16]byte, random io.Reader) (incarnation, error) {
	var now incarnation
	key := storage.MetaKey(nil, metaIncarnation)
	switch old, err := engine.Get(key); {
	case err == nil && (len(old) != 1+8+8 || old[0] != incarnationForm):
		return now, fmt.Errorf("node: the record of the last start is damaged (%d bytes)", len(old))
	case err == nil:
		now.Start = binary.BigEndian.Uint64(old[1:])
	case err != storage.ErrNotFound:
		return now, fmt.Errorf("node: reading the record of the last start: %w", err)
	}
	var nonce [8]byte
	if _, err := io.ReadFull(random, nonce[:]); err != nil {
		return now, fmt.Errorf("node: drawing a new incarnation: %w", err)
	}
	var rows storage.Batch
	clean, err := loadMeta(engine, metaClean)
	if err != nil {
		return now, err
	}
	// The mark is gone before anything can be applied that a crash might lose.
	now.Clean = bytes.Equal(clean, cleanMark(now.Start))
	rows.Delete(storage.MetaKey(nil, metaClean))
	now.Start++
	now.Actor = vclock.Actor{Disk: binary.BigEndian.Uint64(disk[:]), Nonce: binary.BigEndian.Uint64(nonce[:])}
	row := binary.BigEndian.AppendUint64([]byte{incarnationForm}, now.Start)
	rows.Set(key, append(row, nonce[:]...))
	return now, saveRows(engine, metaIncarnation, &rows)
}

// cleanMark is what an orderly stop of that start leaves behind (R17). It says
// which start it was, so that a mark which outlived another start is none.
func cleanMark(start uint64) []byte { return binary.BigEndian.AppendUint64(nil, start) }

// claimFolder ties the folder to the node's name, for ever.
func claimFolder(engine storage.Engine, dir, name string) error {
	have, err := engine.Get(storage.MetaKey(nil, metaName))
	switch {
	case err == storage.ErrNotFound:
		return saveMeta(engine, metaName, []byte(name))
	case err != nil:
		return fmt.Errorf("node: reading the folder's name: %w", err)
	case string(have) != name:
		return &NameError{Dir: dir, Have: string(have), Want: name}
	}
	return nil
}

// saveMeta writes one row and returns when it is durable.
func saveMeta(engine storage.Engine, name string, value []byte) error {
	var b storage.Batch
	b.Set(storage.MetaKey(nil, name), value)
	return saveRows(engine, name, &b)
}

// saveRows applies rows about the node itself and returns when they are durable.
func saveRows(engine storage.Engine, name string, b *storage.Batch) error {
	b.MarkEssential()
	if err := engine.Apply(b); err != nil {
		return fmt.Errorf("node: writing %s: %w", name, err)
	}
	if err := engine.Sync(); err != nil {
		return fmt.Errorf("node: syncing %s: %w", name, err)
	}
	return nil
}

// loadMeta reads one row; nil if it was never written.
func loadMeta(engine storage.Engine, name string) ([]byte, error) {
	value, err := engine.Get(storage.MetaKey(nil, name))
	if err == storage.ErrNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node: reading %s: %w", name, err)
	}
	return value, nil
}
