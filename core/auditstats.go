package core

// AuditStats counts what audits did and found (R20).
type AuditStats struct {
	// Audits were begun, AuditedObjects read by them.
	Audits, AuditedObjects uint64
	// Unreadable counts reads of objects that met damage, UnreadableRanges what
	// audits took out of use, LostLeaves the leaves in which the store was not what
	// it should be.
	Unreadable, UnreadableRanges, LostLeaves uint64
	// Restored objects were put back from other homes, and MendedLeaves freed of
	// their marks by that.
	Restored, MendedLeaves uint64
	// LostDots are write events of which a replica had lost the object and that no
	// other member held: what came of them is gone.
	LostDots uint64
	// DifferingLeaves is what comparisons with other homes found, writes on their
	// way included. Diverged counts keys of which replicas that knew the same showed
	// something else: what replication should not let happen (I9). Conflicts are
	// dots with two values (I2).
	DifferingLeaves, Diverged, Conflicts uint64
	// AuditRepairs are replicas mended by audits, KeyRepairs the keys that were
	// repaired, by audits or because somebody asked.
	AuditRepairs, KeyRepairs uint64
}

func (a AuditStats) plus(b AuditStats) AuditStats {
	a.Audits += b.Audits
	a.AuditedObjects += b.AuditedObjects
	a.Unreadable += b.Unreadable
	a.UnreadableRanges += b.UnreadableRanges
	a.LostLeaves += b.LostLeaves
	a.Restored += b.Restored
	a.MendedLeaves += b.MendedLeaves
	a.LostDots += b.LostDots
	a.DifferingLeaves += b.DifferingLeaves
	a.Diverged += b.Diverged
	a.Conflicts += b.Conflicts
	a.AuditRepairs += b.AuditRepairs
	a.KeyRepairs += b.KeyRepairs
	return a
}
