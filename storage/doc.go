// Package storage is the seam between Kindred and the disk: ordered bytes,
// atomic batches, snapshots and durability. It holds the interface, the batch,
// the typed errors and the layout of the rows. Engines live below it:
//
//   - storage/memstore keeps everything in memory and can crash on demand; the
//     simulator runs on it.
//   - storage/pebblestore keeps it on a disk, on Pebble.
//   - storage/storagetest is the suite that both pass, and that every other
//     engine has to pass.
//
// # Words
//
// A row is a key and its value, both bytes. Keys are ordered as bytes.Compare
// orders them. A batch is a list of changes that happens wholly or not at all.
// Applied means visible to every read that starts later; durable means that it
// survives a power loss. A snapshot is the store as it was at one moment.
//
// # What an engine guarantees
//
//	S1 Atomic.  A batch is seen, and survives a crash, wholly or not at all.
//	            Its changes take effect in the order they were added.
//	S2 Visible. When Apply returns, every later Get and Snapshot shows the batch.
//	S3 Prefix.  After a crash the store holds the batches of some prefix, in the
//	            order of Apply, that contains everything that was synced.
//	S4 Synced.  When Sync returns nil, all that was applied before the call is
//	            durable. A store whose Sync failed once never succeeds again:
//	            nobody can know what the disk kept.
//	S5 Still.   A snapshot never changes, whatever is applied after it.
//	S6 Honest.  A read gives what was written or an error, never anything else.
//	            ErrNotFound means that the row is not there, not that it could
//	            not be read.
//	S7 Closed.  After Close every call returns ErrClosed. Close syncs first.
//
// S3 is why a node needs a new incarnation at every start: what a crash leaves
// may be older than what the node told others (invariant I2).
//
// # Rows
//
// One leading byte names the table; numbers are big-endian, so that the order of
// the bytes is the order of the meaning. p is the partition (2 bytes), n the
// replication factor of the clock (1 byte), len the length of the bucket's name
// (1 byte); an actor has 16 bytes, a counter 8.
//
//	table        key                              value
//	checkpoint   'c' p n kind [index, 4 bytes]    clock (kind 'c') part of the hash tree ('h'), or marks of damage ('d')
//	dot log      'd' p n actor counter            LogEntry: bucket, key, request id, change of the hash tree
//	expiry       'e' p n time len bucket key      nothing: look at that object then; ms since 1970 (8 bytes)
//	hint         'h' p n len bucket key           what a guest owes of one key, and to which homes
//	rebuild      'c' p n 'r' pass index           a range of keys copied in a rebuild, and as of which clock
//	meta         'm' name                         disk id, incarnation, layout, peers, …
//	object       'o' p n len bucket key           the object with its siblings
//	promise      'p' p n actor                    what is promised and known about closing it
//	large value  'v' p n actor counter            the bytes of one version
//
// All rows of one replica (p, n) are five contiguous ranges, one in each of the
// tables c, d, e, o and v: ReplicaRanges. All objects of a bucket in a replica are
// one range, ordered by key: ObjectRange. The hints of a partition are a range of
// their own, at a node that need not be a home of it: HintRange. All dots of an actor are one range,
// ordered by counter: LogActorRange.
//
// FormatVersion counts changes of this table. Golden files hold every key, and
// an engine on disk refuses a version that it does not know.
//
// # What it does not do
//
// It knows no dots, no siblings and no quorums; it has no transactions that read;
// it does not retry, and it does not decide what follows from an error. There is
// no expiry and no compression setting here.
//
// # Example
//
//	var b storage.Batch
//	b.Set(storage.MetaKey(nil, "incarnation"), id)
//	b.DeleteRange(storage.LogActorRange(p, n, actor, 1, pruned))
//	if err := engine.Apply(&b); err != nil {
//		return err
//	}
//	return engine.Sync() // before anybody is told
package storage
