// Package node is one running node: the shell around the pure machines of
// package core. It owns goroutines, time, files and sockets.
//
// # The path of an operation
//
//	server ── Do ──▶ inbox of the key's shard ──▶ worker: events, then effects
//	                     ▲        ▲        ▲          │ rows    one batch, applied
//	                 messages   reads    syncs        │ sends   transport, at once or after the sync
//	                 (transport) (loader) (committer) └ replies server
//
// A worker takes what has gathered, steps its shard through all of it, applies
// one storage batch, and lets out what may go. It never waits for a disk, a peer
// or a client. The committer syncs for all shards together: at once when
// somebody waits (durability sync), within [BatchSyncWithin] otherwise.
//
// # Invariants
//
//  1. An effect leaves only when the rows it depends on are applied, and synced
//     if it says so. If a batch cannot be applied or a sync fails, the node
//     stops: its memory would be ahead of its disk.
//  2. A start draws a new incarnation and makes it durable before the first dot
//     can be minted (I2).
//  3. A layout is durable before it is announced or used.
//  4. Objects are written by the worker of their shard alone. Its filter knows
//     all that it wrote and all that was stored before, and so which keys are new.
//
// # What is not here
//
// No decision about keys (core, replica), members (membership) or placement
// (ring).
//
// # Example
//
//	cfg := node.DefaultConfig()
//	cfg.Name, cfg.DataDir, cfg.Expect = "n1", "data", 1
//	n, err := node.Start(ctx, cfg)
//	…
//	err = n.AwaitReady(ctx)
//	…
//	err = n.Stop(ctx)
//
// A node is a value like any other: it has no global state, ends no process, and
// logs nowhere unless it is given a logger. Several may run in one program.
package node
