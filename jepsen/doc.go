// Package jepsen runs workloads against real clusters while faults happen, and
// records what clients were told for the checkers to judge.
//
// # Words
//
// A [Door] is how a client of the run reaches the store: through the client
// library, or through one node and no other. A nemesis is what goes wrong
// meanwhile; [NetworkNemesis] cuts and slows what nodes send to one another. The
// [Runner] makes clients carry out the intents of package workload and keeps the
// history; when the faults have ended and the cluster has come to rest ([Rest]) it
// makes the final reads, at every node.
//
// [CheckMerge] needs no cluster. It judges the merge function of a program: whether
// it loses anything, or depends on the order in which siblings meet.
//
// # What is not here
//
// Workloads, histories and checkers are packages of their own and know nothing
// of processes (jepsen/workload, jepsen/history, jepsen/checker); the simulator
// uses the same ones. What CheckMerge plays is in jepsen/merges. README.md has what
// they have found, and what in other stores they would have found.
//
// # Example
//
//	r := jepsen.Runner{Kind: workload.Set, Config: cfg, Doors: doors, Seed: seed}
//	h, err := r.Run(ctx, faultsEnded)
//	report := checker.Check(&h, checker.Options{})
package jepsen
