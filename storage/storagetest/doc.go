// Package storagetest is the suite that every storage.Engine passes: the one in
// memory, the one on a disk, and whatever a test puts in their place. Each test
// carries the number of the guarantee of package storage that it checks.
//
// An engine takes part by way of a Disk, which outlives it: the suite opens an
// engine on the disk, uses it, closes it or cuts the power, and opens another.
//
// Randomised tests print their seed; KINDRED_SEED=n runs them with that one.
//
// # What it does not do
//
// It checks no damage, no full disk and no speed: those differ from engine to
// engine, and so do their tests.
//
// # Example
//
//	func TestConformance(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storagetest.Disk { return newDisk(t) })
//	}
package storagetest
