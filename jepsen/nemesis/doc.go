// Package nemesis makes things go wrong in a cluster of real processes, and puts
// them right again.
//
// # Words
//
// A [Kind] is one way in which things go wrong: its name, what it does, what it
// needs, what it may lose. [Kinds] are all of them. A [Nemesis] does it to one
// [Target]: Hurt makes something go wrong, Heal ends that. A stroke is one or two
// kinds that hurt at the same time, from the first hurt until every node is ready
// again. A [Storm] is stroke after stroke, drawn from a seed.
//
// # Rules
//
//	S1  In a stroke at most one kind touches the network, and at most one the nodes.
//	    So nobody heals what another has hurt.
//	S2  In a stroke at most one kind takes something from a node for good, and it
//	    takes it from no more than [Target.Few] nodes, from their disks no more than
//	    Target.Disks. Between one loss and the next all nodes have been ready.
//	S3  Before a stroke that takes disks, all replicas have agreed. A write that
//	    was acknowledged by W nodes is on W disks; more than N − W or W − 1 disks
//	    lost before that was agreed again, and nothing could keep it.
//	S4  Of a stroke, everything depends on the seed and on the number of the stroke:
//	    kinds, victims, times. What came before does not change it.
//	S5  Whatever happens, what was hurt is healed before Run returns.
//	S6  A process that ends although no nemesis has ended it ends the storm: between
//	    strokes and when a stroke has healed every node has one.
//
// # What it does not do
//
// It does not know what clients are told meanwhile (package jepsen), nor judge it
// (jepsen/checker). What happens in processes is not repeated by repeating a seed:
// it plans the same faults, and their effects differ from run to run.
//
// # One more kind
//
// Write a file with a function that returns a Kind, in the way of pause.go, and
// put that into the list in kinds.go.
package nemesis
