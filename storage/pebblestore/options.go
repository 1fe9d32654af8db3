package pebblestore

import (
	"crypto/rand"
	"io"
	"log/slog"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/kindredkv/kindred/storage"
)

// Defaults of Options.
const (
	DefaultCacheBytes      = 64 << 20
	DefaultMemTableBytes   = 16 << 20
	DefaultSpaceFloorBytes = 256 << 20
	DefaultBallastBytes    = 16 << 20
)

// Options are the settings of a store. The zero Options are the defaults.
type Options struct {
	// CacheBytes is the memory for blocks of tables that were read, in bytes.
	// Default 64 MiB. More saves reads of the disk and costs memory, which is
	// taken as it is used; less than the busy part of the data makes most reads
	// go to the disk.
	CacheBytes int64

	// MemTableBytes is the size at which the newest rows go from memory into a
	// table, in bytes. Default 16 MiB. More means fewer, larger tables and less
	// rewriting; it costs up to four times as much memory while the disk is
	// behind, and a longer replay of the log at Open. Less does the opposite.
	MemTableBytes int64

	// SpaceFloorBytes is the free space below which ordinary batches are
	// refused. Default 256 MiB; a negative floor turns the guard off. More keeps
	// more room for compactions, which need space before they give some back;
	// less uses more of the disk and risks a store that fails.
	SpaceFloorBytes int64

	// BallastBytes is the size of the file that is given back when the disk is
	// full. Default 16 MiB; a negative size keeps none. It should hold a
	// memtable: then a full disk can still write one out.
	BallastBytes int64

	// FS is the file system. Default: the operating system's. Tests put one in
	// memory here, or one with faults.
	FS vfs.FS

	// Random is where the id of a new disk comes from. Default: crypto/rand.
	Random io.Reader

	// Logger receives what Pebble has to say: errors as errors, the rest at the
	// debug level. Default: nowhere.
	Logger *slog.Logger

	// OnCorruption is called for every damage that a read or a compaction meets;
	// the same damage is met again and again. OnFatal is called once, when the
	// store fails. Both run inside the engine: they must return soon and must not
	// call the store.
	OnCorruption func(*storage.CorruptError)
	OnFatal      func(*storage.FailedError)
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	o.CacheBytes = orDefault(o.CacheBytes, DefaultCacheBytes)
	o.MemTableBytes = orDefault(o.MemTableBytes, DefaultMemTableBytes)
	o.SpaceFloorBytes = orDefault(o.SpaceFloorBytes, DefaultSpaceFloorBytes)
	o.BallastBytes = orDefault(o.BallastBytes, DefaultBallastBytes)
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnCorruption == nil {
		o.OnCorruption = func(*storage.CorruptError) {}
	}
	if o.OnFatal == nil {
		o.OnFatal = func(*storage.FailedError) {}
	}
	return o
}

func orDefault(have, fallback int64) int64 {
	if have == 0 {
		return fallback
	}
	return have
}
