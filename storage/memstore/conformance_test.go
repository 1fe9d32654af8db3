package memstore

import (
	"math/rand/v2"
	"testing"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/storagetest"
)

// memoryDisk is the disk of a store in memory: the store itself.
type memoryDisk struct{ store *Store }

func (d *memoryDisk) Open() (storage.Engine, error) {
	d.store = d.store.Crash(func(unsynced int) int { return unsynced })
	return d.store, nil
}

func (d *memoryDisk) CutPower(keepPercent int, random *rand.Rand) {
	d.store = d.store.Crash(func(unsynced int) int {
		switch keepPercent {
		case 0, 100:
			return unsynced * keepPercent / 100
		}
		return random.IntN(unsynced + 1)
	})
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storagetest.Disk { return &memoryDisk{store: New()} })
}
