// Package memstore is a storage engine in memory that can lose power. The
// simulator runs thousands of them, and tests use it in place of a disk.
//
// Crash returns the store that a restart would find: everything that was synced,
// and then as many of the unsynced batches, from the oldest on, as the caller
// chooses. A crash may keep any prefix and nothing else; that is guarantee S3 of
// package storage, which the suite in storagetest holds against this engine and
// against the real one alike.
//
// # Invariants
//
//	M1  unsynced holds, batch by batch, what each row was before; undoing them
//	    from the newest to the oldest gives the synced store.
//	M2  a view that has readers is never written.
//	M3  a stored key or value is never modified, only replaced.
//
// The engine starts no goroutines, reads no clock and draws nothing at random,
// so that the same calls give the same store. A snapshot costs nothing until the
// next Apply, which then copies the path it writes (github.com/google/btree).
//
// # What it does not do
//
// It has no files, and so no torn blocks and no space to run out of; Fail and
// Rot stand in for those. It does not limit its memory.
//
// # Example
//
//	store := memstore.New()
//	_ = store.Apply(&first)
//	_ = store.Sync()
//	_ = store.Apply(&second)
//	store = store.Crash(func(unsynced int) int { return 0 }) // only first is left
package memstore
