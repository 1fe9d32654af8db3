// Package explore tries everything that can happen to a small partition: a few
// replicas of package replica, one or two keys, a few writes, and every order of
// every event. It visits each reachable state once and judges it there.
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
// [Bounds] say what else there is:
//
//   - Guests coordinate writes, keep those of homes, and answer reads. A hint is
//     read, offered and paid; meanwhile it may grow, and both sides may crash.
//   - Homes pull what they lack, and prune what is safe everywhere. With Tells the
//     exchanges of package antientropy decide that: their advertisements arrive in
//     any order, late, or never, but once. The pieces of an answer are letters.
//   - Dead incarnations are closed in one event; its outcome reaches each home by
//     itself.
//   - A home is wiped and rebuilt from others, a key a page. Pages and letters
//     cross, and requests are made again of which a page has brought the value.
//
// What costs an event is bounded by [Bounds]; the rest is not, and still leads to
// finitely many states.
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
//  6. A read of all, with the repairs it sends, leaves all showing the same (I9),
//     and that is what the writes they know leave alive. So does exchange among
//     homes, once closed what leaked; and a wiped home, once rebuilt.
//  7. What a guest owed for sure is at the home of the slot for sure, or still owed
//     (I7). It shows what the writes that it has leave alive (R7).
//  8. What is advertised, common or propagated is safe where that says so (I6, R12);
//     nobody lacks what was pruned, unless it was wiped.
//  9. A quorum of trusted homes has what most homes had for sure (R17).
//
// A put that is void has no effect; the effect of a void delete may have leaked.
//
// # What it does not do
//
// It knows no quorums of operations, no time, request ids, expiry, damage or changes
// of layout: that is what package sim plays. Steps that package core takes, such as
// to sync before a page leaves, it takes by itself. What it proves, it proves for
// its bounds only.
//
// # Example
//
//	r := explore.All(explore.Bounds{Homes: 2, Guests: 1, Keys: 1, Writes: 2}, 0)
//	fmt.Println(r.States, r.Transitions, r.Finding)
package explore
