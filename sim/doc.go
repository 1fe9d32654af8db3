// Package sim plays a whole cluster in one goroutine and in virtual time, from
// one seed: the shards of package core on stores in memory, a network, disks,
// faults, clients, and an oracle that sees everything.
//
// # Words
//
// A seed draws a [Config]: the cluster, the clients and everything that goes
// wrong. A run has two acts. In the storm clients work while nodes are killed,
// stopped, paused and filled, links are cut, and messages are lost, delayed,
// repeated and overtaken. In the calm faults end, and the replicas have to
// become equal. A [Finding] is a promise that was broken; the first one ends the
// run. The same seed gives the same run, event for event, and the same
// [Result.Hash].
//
// Incidents are all that happens beside the operations of clients; they are numbered.
// A [Part] says which of them, and which operations, a run keeps of what its seed
// draws. A [Shrinker] looks for the smallest part that still breaks the same promise.
//
// # What the oracle demands
//
// It records every dot that is minted, from the log rows of its own replica,
// with the operation of the client and the context that the operation really
// had. After every batch that a node applies, and for every answer that a client
// gets, it demands
//
//	I1   what was acknowledged is where the receipt says, as durable as it says
//	I2   a dot is minted once, an incarnation starts once
//	I4   the clock, the log and the objects of a replica tell one story, also
//	     after a crash; nobody speaks of dots that do not exist
//	I5   with E_k, what a replica knows of a key, the versions it shows are the
//	     puts of E_k that nothing in E_k had seen, with the values written
//	I8   what was acknowledged by the owners of one layout is read from those of the
//	     next, and every answer is right by some layout that was in use (R22–R27)
//	I9   in the calm all homes of a key show the same versions
//	I10  what was answered as not applied is never applied
//	R4   what a replica knows of a key it never forgets
//	R5   what leaves a replica filled stands for itself
//	R8   a context covers what its client had seen and nothing else, and is
//	     refused at another key
//	C2   reads are exact sets for their contexts
//	C5   reads with R + W > N know what was acknowledged before
//	C14  nothing is left of operations that ended
//
// and complete scans show what existed all the while. Afterwards package
// jepsen/checker judges what the clients were told, by other means.
//
// Two exceptions are part of the protocol, and counted. A request that was
// retried may have two dots, and then either may show (R19). And the effect of a
// delete can arrive without its dot, in a context (counter-example C8), so that
// a version may be missing before the delete is known.
//
// # What it does not do
//
// It does not run package node, the transport, gossip or Pebble: it plays the
// shell of package core itself, of its shards and of its control core. See README.md.
//
// # Example
//
//	r := sim.Run(7, sim.Options{Events: 50})
//	if r.Finding != nil {
//		fmt.Println(r.Finding, r.Last)
//	}
package sim
