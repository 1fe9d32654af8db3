// Package hashtree condenses what a replica stores into numbers that can be
// compared: with what is really on the disk, and with what peers store. Clocks
// prove what replication should have delivered; the hash tree proves what is
// there.
//
// # Words
//
// The hash of a version ([Version.Hash]) covers its key, dot, content type,
// expiry and value: the canonical form, in which equal replicas are equal. It
// does not cover contexts, which stripping changes at each replica in its own
// time, nor provenance, which the dot decides. A key's hash is the XOR of those
// of its live versions, and a key without any has none. A leaf is the XOR of the
// keys that fall to it by the low bits of their hash ([LeafOf]); a part is 16
// leaves that are saved together; the root is a hash of all leaves.
//
// # Upkeep
//
// Because everything below the root is an XOR, a write changes one leaf by one
// number: the hashes of the versions that went and came ([Tree.Change]). The
// number goes into the write's row in the dot log, so that a start rebuilds the
// tree from the parts that were saved and the log above them.
//
// # Invariants
//
//  1. Leaf i is the XOR of the hashes of all live versions of the keys that fall
//     to it, as stored.
//  2. A clone never changes with its original: a part that two trees share is
//     copied by the one that changes it first.
//
// # What it does not do
//
// It is no proof against somebody who chooses values in order to hide a
// difference: the hashes are 64 bits wide and not secret. It knows no store and
// no clock; package replica keeps a tree, package antientropy compares two.
package hashtree
