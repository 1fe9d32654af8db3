// Package driver carries out what package load draws: it asks a cluster, watches
// the clock, and reads how much processor time that took.
//
// # Invariants
//
//   - An operation that is under way when time is up is waited for, for [Grace];
//     what is given up then is counted, not forgotten (B3 of package load).
//   - A put passes on what this program has last seen of the key. Two puts that
//     race leave two siblings, and then the key is read before the next one: a load
//     without reads does not pile up siblings.
//   - Processor time that cannot be found out is said to be unknown; it is no zero.
//
// # What it does not do
//
// It starts no cluster and prints nothing.
package driver
