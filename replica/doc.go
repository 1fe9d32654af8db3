// Package replica is one replica of one partition and the decisions made about
// single keys: what a write, a delta or a read does to the pair (store, clock),
// and when a put or a get has enough answers.
//
// Everything here is a pure value. A [Replica] holds the clock of its partition
// and mints dots; a [Key] is one object opened for a step, as the store holds
// it; the rows that a step wants written go into a storage.Batch. The owner
// (package core) opens at most one Key per object at a time and applies the
// batch before anything that the step caused is seen outside. Between opening
// and saving a Key no other step touches that object, so object and clock are
// of one moment (R5), although they are kept apart.
//
// [Put] and [Get] are the quorum decisions, small values in the manner of
// "init, add a result, enough?, answer, final action". Read repair is returned
// by [Get.Repairs], not performed.
//
// # Invariants
//
//  1. Every dot of the clock is in the log or in the clock's checkpoint (R1).
//  2. The clock has no gap in this incarnation's own dots, and none above the
//     last one minted.
//  3. The live dots of every stored object are in the clock.
//  4. The hash tree is that of the objects stored (R20): what is saved of it, and
//     what the log says since.
//  5. What is said of every key because of lost rows is in the clock.
//
// # What is not here
//
// No exchange, no hints, no closing of dead incarnations, and no clock: [Key.Expire]
// is told what time it is.
package replica
