// Package merges judges a function that makes one value of siblings: it plays
// clients and replicas that merge with it, and finds the shortest story in which
// that goes wrong. Users call it through jepsen.CheckMerge, whose options say
// more about each part of a [Subject].
//
// # Words
//
// A step is one thing that happens: a client reads, merges, edits and writes at
// some replica; writes without reading; merges what it found; repeats its last
// write under the same request id; deletes; a value expires; a replica hears one
// write or everything another one has. A plan is a list of steps. A run carries
// out a plan, with the siblings and contexts of package vclock, and then lets
// every replica hear everything.
//
// An element is what a value is made of in the eyes of its owner, an item in a
// cart. An edit adds what the edited value has and the merged one had not, and
// removes what the merged value had and the edited one has not. What a merge
// drops, nobody has removed.
//
// # What is judged
//
// Of each run, the gravest first (see [Kind]):
//
//  1. the merge neither panics nor refuses what clients have written, and says
//     the same of the same siblings;
//  2. what was added, and was removed, deleted or expired by nothing that had
//     seen it added, is there in the end;
//  3. what was removed by somebody who had seen each time it was added is not
//     there in the end. A delete takes along what a value knows of removals, so
//     removals that a delete or an expiry has seen do not count;
//  4. on the values written: merging is idempotent, commutative and associative;
//  5. when all have merged, merging again changes nothing.
//
// Equal plans and numbers give equal runs. What a plan draws for one step does
// not depend on its other steps, so a plan can be shortened without becoming
// another one.
//
// # What is not here
//
// Whether the store keeps its own promises: that is what the simulator, storms
// and package checker are for. No time: values expire when the plan says so.
package merges
