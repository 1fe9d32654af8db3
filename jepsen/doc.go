// Package jepsen runs workloads against real clusters while faults happen, and
// makes a report of what clients were told and of what the judges say to that.
//
// # Words
//
// A [Plan] says what a run is: which cluster, which workloads, which nemeses, for how
// long, from which seed. [Run] carries it out. A [Door] is how a client of the run
// reaches the store: through the client library, or through one node and no other. A
// nemesis is what goes wrong meanwhile (jepsen/nemesis). When the faults have ended
// the cluster has to come to rest ([Rest]) by itself; then every key is read at every
// node, and jepsen/checker judges. What is left is a report.Run, which [Save] writes
// down. 'kvcli jepsen run' does all that.
//
// [CheckMerge] needs no cluster. It judges the merge function of a program: whether
// it loses anything, or depends on the order in which siblings meet.
//
// # What is not here
//
// Workloads, histories, checkers and reports are packages of their own and know
// nothing of processes (jepsen/workload, jepsen/history, jepsen/checker,
// jepsen/report); the simulator uses the first three as well. What CheckMerge plays is
// in jepsen/merges. README.md has what they have found, and what in other stores they
// would have found.
//
// # Example
//
//	kinds, _, err := nemesis.Parse([]string{"cut", "kill"})
//	cluster, end, err := jepsen.StartCluster(ctx, jepsen.ClusterOptions{KVNode: "bin/kvnode", Nodes: 5, Zones: 3, N: 3, Nemeses: kinds})
//	if err != nil { … }
//	defer end(false)
//	run, err := jepsen.Run(ctx, jepsen.Plan{
//		Cluster: cluster, N: 3, Nemeses: kinds, Time: time.Minute, Seed: 7,
//		Workloads: []workload.Kind{workload.Set, workload.Register},
//	})
//	if err != nil { … }
//	if run.Verdict() != report.Held {
//		err = jepsen.Save(run, "found")
//	}
package jepsen
