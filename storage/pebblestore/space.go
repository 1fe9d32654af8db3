package pebblestore

import (
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/kindredkv/kindred/storage"
)

const (
	// essentialShare of the floor is kept from essential batches as well.
	essentialShare = 4
	// Free space is looked at again after this many bytes or this long.
	spaceCheckBytes    = 1 << 20
	spaceCheckInterval = time.Second
)

// unknownSpace is the free space of a file system that has not told it.
const unknownSpace = math.MaxUint64

// spaceGuard decides whether there is room for a batch.
type spaceGuard struct {
	fs      vfs.FS
	dir     string
	floor   uint64 // 0: no guard
	ballast ballast

	mu      sync.Mutex
	free    uint64
	since   uint64 // bytes admitted since free was measured
	checked time.Time
	refused uint64
}

// admit returns a *storage.FullError if b has to wait for room.
func (g *spaceGuard) admit(b *storage.Batch) error {
	if g.floor == 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	bytes := uint64(b.Bytes())
	g.since += bytes
	if g.since >= spaceCheckBytes || time.Since(g.checked) >= spaceCheckInterval {
		g.measure(bytes)
	}
	need := g.floor + bytes
	if b.Essential() {
		need = g.floor/essentialShare + bytes
	}
	if g.free >= need {
		return nil
	}
	g.refused++
	return &storage.FullError{Dir: g.dir, FreeBytes: g.free, NeedBytes: need}
}

// measure asks the file system and takes the ballast again if it was given back
// and there is room. A file system that does not answer counts as before.
func (g *spaceGuard) measure(since uint64) {
	g.checked, g.since = time.Now(), since
	usage, err := g.fs.GetDiskUsage(g.dir)
	if err != nil {
		return
	}
	g.free = usage.AvailBytes
	if g.free >= g.floor+2*g.ballast.bytes && !g.ballast.held.Load() {
		g.ballast.take()
		g.free -= g.ballast.bytes
	}
}

// makeRoom returns a *storage.FullError if opening the folder needs more than
// there is. If the ballast makes the difference, it is given back.
func (g *spaceGuard) makeRoom(need uint64) error {
	if g.floor == 0 {
		return nil
	}
	usage, err := g.fs.GetDiskUsage(g.dir)
	if err == nil && usage.AvailBytes < need && g.ballast.giveBack() {
		usage, err = g.fs.GetDiskUsage(g.dir)
	}
	if err != nil || usage.AvailBytes >= need {
		return nil // a file system that cannot tell has no guard
	}
	return &storage.FullError{Dir: g.dir, FreeBytes: usage.AvailBytes, NeedBytes: need}
}

// tight reports whether there is so little space that what compactions free is
// waited for.
func (g *spaceGuard) tight() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.free < 2*g.floor
}

func (g *spaceGuard) state() (free, refused uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.free, g.refused
}
