package pebblestore

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/storagetest"
)

// crashDisk is a disk in memory that loses what was not synced.
type crashDisk struct {
	t       *testing.T
	fs      *vfs.MemFS
	options Options
	store   *Store
}

func newCrashDisk(t *testing.T, options Options) *crashDisk {
	return &crashDisk{t: t, fs: vfs.NewCrashableMem(), options: options}
}

func (d *crashDisk) Open() (storage.Engine, error) {
	options := d.options
	options.FS = d.fs
	store, err := Open("node", options)
	d.store = store
	return store, err
}

func (d *crashDisk) CutPower(keepPercent int, random *rand.Rand) {
	after := d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keepPercent, RNG: random})
	if err := d.store.Close(); err != nil {
		require.ErrorIs(d.t, err, storage.ErrClosed)
	}
	d.fs = after
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Disk {
		return newCrashDisk(t, Options{})
	})
}

// Small memtables make what seconds of load do happen within a test: several
// logs, flushes, compactions.
func TestConformance_SmallMemTables(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Disk {
		return newCrashDisk(t, Options{MemTableBytes: 16 << 10, CacheBytes: 1 << 20})
	})
}
