// Package buckets keeps the registry of buckets: which options each one has, the
// same on every node in the end, whoever changed what on which side of a cut.
//
// # Words
//
// An [Entry] is one bucket with its options and a version. A [Registry] is a set
// of entries, at most one per bucket. It is a value: a change makes another one,
// so that shards may read theirs without a lock. A [Book] is one node's registry
// with what it knows of those of others; it is a pure machine.
//
// # Invariants
//
//   - B1 Merge is a join. Of two entries of one bucket the one with the larger
//     version stays (counter, then node, then what it says). So merging is
//     commutative, associative and idempotent, and nodes that have heard the same,
//     in whatever order and however often, hold the same.
//   - B2 Saved first. What Effects.Save holds must be durable before any other
//     effect of the same call is carried out: no node tells of an entry, or works
//     by it, that it could forget.
//   - B3 No silent loser. An entry knows which versions it was made from. A node
//     that merges two of which neither was made from the other says so in its log;
//     and because a loser is sent back to where the winner came from, so does a node
//     on the other side of the cut.
//   - B4 Bounded. A node creates at most kindred.BucketsMax buckets; a registry of
//     more than [EntriesMax] is refused whole. Every field has the limit that
//     package kindred gives it.
//   - B5 One cluster. Registries of other clusters are not taken.
//
// # How it spreads
//
// A node sends its whole registry to a peer when their link comes up and when it
// has changed, and again until the peer has told the same hash. Whoever receives a
// registry answers with the hash of its own, or with its own if that has more, and
// then sends what is new to its other peers. Registries are small and change
// rarely: nothing cleverer is needed. A lost message costs until the next tick.
//
// # What it does not do
//
// Buckets are never removed: an entry that could go would need to be remembered as
// gone. It does not apply options; package core does.
//
// # Example
//
//	book, err := buckets.NewBook("n1", saved)
//	refused := book.Change(now, cluster, token, change, replicas)
//	carryOut(book.Take()) // the answer with the token is among these, or later ones
package buckets
