// Package explore tries everything that can happen to a small partition: three
// replicas of package replica, two keys, a few writes, and every order of every
// event. It visits each reachable state once and judges it there.
//
// # What can happen
//
// A client puts blindly, or puts or deletes with the context of what some replica
// shows, at any replica. Another reads two replicas by the machine of package
// replica, which sends read repair. Every delta ever sent may be delivered to its
// receiver at any time, any number of times or never. A replica strips a key. It
// syncs its store, or crashes: rows that were not synced are lost, and it goes on
// as a new incarnation.
//
// Writes, repairing reads and crashes are bounded by [Bounds]; the rest is not,
// and still leads to finitely many states.
//
// # What is demanded of every state
//
//  1. A dot is minted once (I2).
//  2. The clock is what the log says (R1), and no context speaks of dots that do
//     not exist.
//  3. Of the puts that a replica knows of a key (E_k), it shows exactly those
//     that nothing in E_k had seen, with the values written (R1, I4, I5). A put
//     may be missing early if some write has seen it: the effect of a delete can
//     arrive without its dot (counter-example C8).
//  4. What a replica knows of a key it does not forget, except in a crash (R4);
//     what it had synced it does not forget at all.
//  5. A context covers what is shown with it (R8), and whoever took a write has
//     its dot and may acknowledge it (R6, R10).
//  6. A read of all three, with the repairs it sends, leaves all three showing
//     the same (I9), and that is what the writes they know leave alive.
//
// # What it does not do
//
// It knows no quorums, operations, time or lost disks: that is what package sim
// plays. What it proves, it proves for its bounds only.
//
// # Example
//
//	r := explore.All(explore.Bounds{Writes: 3, Reads: 1, Crashes: 1}, 0)
//	fmt.Println(r.States, r.Transitions, r.Finding)
package explore
