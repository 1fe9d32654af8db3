// Package pebblestore is the storage engine on a disk: Pebble, with the settings
// and the guards that a node needs to survive what disks do.
//
// # The folder
//
//	FORMAT     the version of the row layout, and the disk's random id
//	LOCK       held while a store is open; LOCK.holder says by whom
//	BALLAST    space to give back when the disk is full
//	db/        Pebble's own files, and MANIFEST.note: how long the manifest is
//
// FORMAT is written last when a folder is made, so that a folder with a FORMAT
// has a database, and one that lost either is refused and not filled anew: an
// empty store under an old identity would look like a replica that has nothing,
// not like one that lost everything.
//
// # Invariants, beyond those of package storage
//
//	P1 Loud.    Damage on the disk is an error that names the file: at Open a
//	            *storage.DamagedError, at a read a *storage.CorruptError. Pebble's
//	            newest format is what makes a flipped bit in the log loud; with
//	            its default format the rest of that log silently goes missing.
//	            The end of a log stays silent in every format: cut off, or with a
//	            bit flipped behind the last sync that later writes attest (some
//	            tens of KiB), it looks like writes that never were synced. That is
//	            why a node takes a new incarnation at every start. Pebble is as
//	            silent about the end of its manifest; MANIFEST.note is not, but for
//	            what was written in the last moment before a crash.
//	P2 Alive.   No error of the disk ends the process, and no call waits for ever.
//	            A rotten block costs its rows. An error in the log or the manifest
//	            fails the store for good: nothing on the disk changes any more,
//	            Apply and Sync return a *storage.FailedError, reads go on, and
//	            OnFatal tells the node to stop. The same happens when damage keeps
//	            compactions from ending until tables pile up: Discard prevents it.
//	P3 Room.    A full disk refuses writes before Pebble meets it. See below.
//	P4 Alone.   One folder, one store: in this process, in others, by any path.
//	P5 Quiet.   A store that nobody uses does nothing, and what failed in the
//	            background is tried again after a pause that grows to a minute.
//
// # The full disk
//
// Pebble cannot go on when its log cannot grow, and it never returns from an Open
// without space. So the store keeps its distance:
//
//	free space            Apply takes
//	at least the floor    everything
//	below the floor       essential batches (storage.Batch.Essential): deletes, and
//	                      what the node marked as such
//	below a quarter of it nothing
//
// Reads, snapshots and Sync always go on. Free space is asked for at most once
// per mebibyte applied or per second, whichever comes first, so that a disk that
// others fill may still run out: the ballast is then given back, which lets the
// log, a flush or a compaction end. It is taken again when there is room for it.
// Open needs room for what the logs hold; if there is none it gives back the
// ballast, and then refuses with a *storage.FullError.
//
// A file system that cannot tell its free space, as those of tests, has no guard.
//
// # What it does not do
//
// It does not repair: it says what is damaged, and the replicas above bring the
// rows back, and call Discard when they know how. It does not delete or overwrite
// files that it cannot read. It runs one compaction at a time, and no timers but
// the pauses of P5.
//
// # Example
//
//	store, err := pebblestore.Open("/var/lib/kindred", pebblestore.Options{
//		Logger:  logger,
//		OnFatal: func(err error) { stop <- err },
//	})
package pebblestore
