package storage

// Engine is an ordered store of rows. Its methods may be called from any number
// of goroutines at once. The guarantees S1 to S7 are in the package comment, and
// storagetest checks them.
type Engine interface {
	// Get returns the value of a row; the caller owns it. A row that is not there
	// is ErrNotFound, one that cannot be read is a *CorruptError.
	Get(key []byte) ([]byte, error)

	// Apply makes the batch visible, all of it, and returns before it is durable.
	// The engine does not keep b, which may be reset and used again. An error
	// means that nothing was applied, except for a *FailedError: the store is at
	// its end, and what it kept is unknown until it is opened again.
	Apply(b *Batch) error

	// Sync returns once everything that was applied before the call is durable.
	// Callers that come together share one sync of the disk.
	Sync() error

	// Snapshot returns the store as it is now. Close it: an open snapshot keeps
	// old rows, and with them memory and disk.
	Snapshot() (Snapshot, error)

	// Close syncs and releases everything, snapshots too. The second call
	// returns ErrClosed.
	Close() error
}

// Snapshot is the store at one moment. It may be used from several goroutines.
type Snapshot interface {
	// Get is Engine.Get at the moment of the snapshot.
	Get(key []byte) ([]byte, error)

	// Scan visits the rows with lo <= key < hi in order, until visit returns
	// false. An empty lo starts at the first row, an empty hi goes to the end.
	// Key and value are valid during the visit only. Scan returns nil when visit
	// ended it.
	//
	// A *CorruptError ends a scan; its Resume, where known, is where the damage
	// ends, and a scan may start again there.
	Scan(lo, hi []byte, visit func(key, value []byte) bool) error

	// Close releases the snapshot. The second call does nothing.
	Close() error
}
