// Package core composes the partition replicas of a node into shards: pure,
// single-threaded machines that take events and give effects.
//
// A [Shard] serves the partitions that fall to it. Its owner, the shell, calls
// one method per event (a client's request, a peer's message, a row that was
// read, a sync that finished, a deadline) with the time at which it happened,
// and then takes the accumulated [Effects]. The same shard runs in production,
// where the shell is package node, and in the simulator.
//
// # The shell's side of the contract
//
//  1. One caller at a time, in any order of events.
//  2. A take is all effects of one or several events. Its Rows are applied as one
//     batch before any other effect of it is carried out, and before an event
//     that comes after the take is given. If they cannot be applied, no other
//     effect is carried out and the shard is not used again: its memory is ahead
//     of its store.
//  3. An effect marked Sync leaves only once everything applied so far is
//     durable. The others leave at once.
//  4. Loads are read after Rows is applied, each answered by exactly one call
//     of Loaded; one whose object is certainly not stored, nor in Rows, may be
//     answered before. Pages are read then too, with the shard's Base taken
//     between two events at the moment of the snapshot (R5). The Begin of a Look
//     is called at that moment too, the reading it returns is carried out
//     anywhere, and what that returns is an event.
//  5. Tick is called once the deadline has passed.
//
// # Operations
//
// Each kind of request is a small machine of its own: write.go, read.go,
// scan.go, forward.go. A dot is minted once, at a home replica, after admission;
// a node that is no home of the key forwards a write once (one hop). A request
// that was refused before that has not been applied; after it, a missed quorum
// is an unknown outcome (I10).
//
// # Layouts that change
//
// A shard works by a [ring.Phase]: while owners change, those of two layouts count
// (R23). Requests name it, and who is further, or has not heard, refuses them (R24,
// phase.go); the operation waits, and the shell has the two nodes tell one another what
// they know. A write goes on under a new tip with the same dot and another number. What
// a replica needs before the new owners are read is with the exchange (R25, R26), and
// what may be given up in drop.go (R27).
//
// # Bounds (I11)
//
// Every list that a client or a peer can grow has a limit in [Limits]; what is
// beyond it is refused by name.
package core
