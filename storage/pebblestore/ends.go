package pebblestore

import (
	"bytes"
	"errors"
	"sync"

	"github.com/kindredkv/kindred/storage"
)

// ends remembers where damaged blocks end. A block is known by its file, which is
// never written again, and by what Pebble says of it: where it lies and what its
// checksum is.
type ends struct {
	mu     sync.Mutex
	blocks map[string][]byte
}

// endsMax bounds the blocks that are remembered. With more, those are forgotten.
const endsMax = 1024

// behind gives the end of a block in which a scan has stopped. Where it is not known it
// is searched, and who else meets a block meanwhile waits for that.
func (e *ends) behind(damage *storage.CorruptError, search func() []byte) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	block := blockOf(damage)
	if end := e.blocks[block]; bytes.Compare(end, damage.Key) > 0 {
		return end
	}
	if e.blocks == nil || len(e.blocks) >= endsMax {
		e.blocks = map[string][]byte{}
	}
	e.blocks[block] = search()
	return e.blocks[block]
}

func blockOf(damage *storage.CorruptError) string {
	return damage.File + ": " + damage.Cause.Error()
}

// sameBlock reports whether an error is of the same block. Anything else that cannot
// be read is damage of its own.
func sameBlock(err error, damage *storage.CorruptError) bool {
	var other *storage.CorruptError
	return errors.As(err, &other) && blockOf(other) == blockOf(damage)
}
