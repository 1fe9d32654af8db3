// Command peers measures Kindred beside its floors and its peers, in interleaved
// rounds of one run, and says which of its bars it clears.
//
//	make bench
//	make bench PEERS="redis etcd" ROUNDS=3 SECONDS=1
//
// It is a module of its own, so that Kindred's does not depend on the stores that it
// is compared with. What is compared, and what the figures do not say, is in
// docs/bench.md.
package main
