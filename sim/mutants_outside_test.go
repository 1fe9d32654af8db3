package sim

// mutantsOutside were written when the oracle was done, by somebody who had not read
// it: from docs/protocol.md and the code alone, as bugs that one writes by mistake. How
// many of them are caught says more about the checkers than the others do, because
// nobody could have had them in mind. One more that they wrote is in README.md.
var mutantsOutside = []mutant{
	{name: "last write timed by the wall clock alone", rule: "R21, lesson 18", edits: []edit{
		{"core/write.go", "written = replica.Later(wall, beside)", "written = wall"},
	}},
	{name: "refused parcel counted as delivered", rule: "R11", edits: []edit{
		{"core/deliver.go", "	if refused != \"\" {\n		p.session.failed = true", "	if refused == notHome {\n		p.session.failed = true"},
	}},
	{name: "parcel paid by an answer to an earlier process", rule: "R10", edits: []edit{
		{"core/deliver.go", "!ok || m.Op.Process != s.cfg.Start.Nonce || p.session.target != from", "!ok || p.session.target != from"},
	}},
	{name: "row of a large value removed while it lives", rule: "R1", edits: []edit{
		{"replica/key.go", "		if !k.object.Has(d) {\n			rows.Delete(storage.ValueKey(", "		{\n			rows.Delete(storage.ValueKey("},
	}},
	{name: "guest counted as a home of a write", rule: "R10", edits: []edit{
		{"replica/put.go", "homes >= g.quorum.PW", "got >= g.quorum.PW"},
	}},
	{name: "guest counted as a home of a read", rule: "R8", edits: []edit{
		{"replica/get.go", "counted >= g.quorum.R && homes >= g.quorum.PR", "counted >= g.quorum.R && counted >= g.quorum.PR"},
	}},
	{name: "guests that know nothing counted in a read", rule: "R8", edits: []edit{
		{"replica/get.go", "		counted -= max(0, g.idle()-len(g.unlinked))\n", "		_ = g.idle\n"},
	}},
	{name: "write of unknown outcome tried elsewhere", rule: "R19", edits: []edit{
		{"core/forward.go", "	if err.Outcome != kindred.NotApplied {\n", "	if false {\n"},
	}},
	{name: "scan goes on behind the longest page", directed: "replica:TestAPageEndsWhereTheShortestDoes", rule: "R8", edits: []edit{
		{"replica/scan.go", "!more || end < last {", "!more || end > last {"},
	}},
	{name: "close asks nobody for hints", directed: "core:TestC09_AHintIsNotVoid", rule: "R15", edits: []edit{
		{"core/closeround.go", "	kept.Union(only(c.s.debts.ledger.Held(wire.Head(id)), a))\n", ""},
	}},
	{name: "close asks nobody what a rebuild has brought", directed: "core:TestR15_WhatARebuildHasBroughtIsReported", rule: "R15", edits: []edit{
		{"core/closeround.go", "		held.Union(only(c0, a))\n", "		_ = c0\n"},
	}},
	{name: "living guest taken for dead", directed: "core:TestR15_WhatAMemberDoesNotAnswer", rule: "R15", edits: []edit{
		{"core/closeround.go", "return replica.New(id, c.s.startOf(id), nil).Actor() == a || c.s.GuestIncarnation(id) == a", "return replica.New(id, c.s.startOf(id), nil).Actor() == a"},
	}},
	{name: "outcome of a close told only once", rule: "R15", edits: []edit{
		{"core/closeround.go", "if own == 0 || own == theirs {", "if own == 0 || own != theirs || own == theirs {"},
	}},
	{name: "promise sent before it is durable", directed: "core:TestR14_APromiseOutlivesTheProcess", rule: "R15", edits: []edit{
		{"core/closeround.go", "c.s.send(from, reply, !m.Round.IsZero())", "c.s.send(from, reply, false)"},
	}},
	{name: "sweep for void dots not taken up after a start", directed: "core:TestR15_ASweepIsTakenUpAfterAStart", rule: "R15", edits: []edit{
		{"core/close.go", "		if record.Swept {\n", "		if !record.Void.IsEmpty() {\n"},
	}},
	{name: "read repair of before a close believed", directed: "replica:TestC08_ALateRepairThatBringsAVersionIsTouchedToo", rule: "R15", edits: []edit{
		{"replica/closing.go", "	if delta.Dots.Compare(delta.Siblings.Dots()) != vclock.Equal {\n", "	if !delta.Dots.IsEmpty() || delta.Dots.Compare(delta.Siblings.Dots()) != vclock.Equal {\n"},
	}},
	{name: "object restored over a write of meanwhile", directed: "core:TestR20_ARestoreDoesNotUndoWhatAPageHasSaid", rule: "R20", edits: []edit{
		{"core/auditround.go", "!a.r.Blind() && !a.r.Touched(o.Bucket, o.Key) && s.full == nil", "!a.r.Blind() && s.full == nil"},
	}},
	{name: "damaged home goes by its clock for hints", directed: "core:TestADamagedHomeIsOfferedHintsLater", rule: "R20, R11", edits: []edit{
		{"core/deliver.go", "	case r.IsDamaged(): // its clock", "	case r.IsDamaged() && r.Blind() && !r.Blind(): // its clock"},
	}},
	{name: "damaged home gives pieces of what it lost", directed: "core:TestWhatAHomeThatIsAwayHoldsIsNotLost", rule: "R20, R9", edits: []edit{
		{"replica/pieces.go", "case err != nil || p.damage.Has(hashtree.LeafOf(ring.Hash(row.name.bucket, row.name.key))):", "case err != nil:"},
	}},
	{name: "what lost rows may have told is not said", directed: "core:TestWhatALostRowKnewToBeGoneStaysGone", rule: "R20, R5", edits: []edit{
		{"replica/replica.go", "	base.Union(beyond)\n", ""},
	}},
	{name: "what is lost is asked for only once", directed: "core:TestWhatIsLostIsAskedForTwice", rule: "R20", edits: []edit{
		{"core/auditlost.go", "	case !q.second:\n", "	case !q.second && q.second:\n"},
	}},
	{name: "half-built home holds what its pages have not brought", directed: "core:TestOfTwoHomesTheHalfBuiltOneTellsTheOther", rule: "R20", edits: []edit{
		{"core/closeround.go", "		holds = c.keeps\n", ""},
	}},
	{name: "half-built home is the last to ask though there is a third", directed: "core:TestWhatAHalfBuiltHomeKnowsIsNotLostToAThird", rule: "R20, I5", edits: []edit{
		{"core/auditserve.go", "return s.onlyOther(id, asker) && s.gaveUp(id)", "return s.gaveUp(id)"},
	}},
	{name: "who leaves is not asked what was lost", directed: "core:TestR20_WhatALeavingOwnerHoldsIsNotLost", rule: "R20, I1", edits: []edit{
		{"core/auditlost.go", "	for _, n := range s.phase.Members() {\n", "	for _, m := range s.layout.Nodes() {\n		n := m.Name\n"},
	}},
	{name: "half-built home promises without what it could not claim", directed: "core:TestOfTwoHomesTheHalfBuiltOneTellsWhatItCouldNotClaim", rule: "R15, I1", edits: []edit{
		{"core/closeround.go", "m.Round.IsZero() && c.s.lastToAsk(p.id, from)", "c.s.lastToAsk(p.id, from)"},
	}},
	{name: "what is known to be gone not joined from who lacks other dots", directed: "core:TestWhatIsKnownToBeGoneIsToldByAHalfBuiltHome", rule: "R20, I5", edits: []edit{
		{"core/auditround.go", "		if !run.doubts() {\n", "		if run.doubts() || !run.doubts() {\n"},
	}},
	{name: "delete takes what its client had not read", rule: "R6", edits: []edit{
		{"core/write.go", "dot, delta := k.Delete(o.seen, o.requestID()", "dot, delta := k.Delete(k.Filled().Seen(), o.requestID()"},
	}},
	{name: "old disk under a clean mark not told what it has lost", directed: "antientropy:TestR17_ACleanStartIsReadAtOnceUnlessAPeerRemembersMore", rule: "R17", edits: []edit{
		{"antientropy/peer.go", "	p.lost = p.lost && !p.durable.Covers(p.claimed)\n", "	p.lost = false\n"},
	}},
	{name: "request known by its id on any key", rule: "R19", edits: []edit{
		{"replica/recent.go", "	if known := r.served[id]; known.key == key {\n", "	if known, ok := r.served[id]; ok {\n"},
	}},
	{name: "hint forgets what a write had seen", rule: "R11, R2", edits: []edit{
		{"vclock/merge.go", "	joined.Context.Union(b.Context)\n	joined.Dots.Union(b.Dots)\n", "	joined.Dots.Union(b.Dots)\n"},
	}},
	{name: "hint kept for the first slot", directed: "core:TestWhatIsOwedFollowsTheLayout", rule: "R11", edits: []edit{
		{"core/guest.go", "slots := wire.Slots(0).With(p.For)", "slots := wire.Slots(0).With(0)"},
	}},
	{name: "context of the first reply only", rule: "R8", edits: []edit{
		{"vclock/merge.go", "	joined.normalize()\n	joined.Context.Union(b.Context)\n", "	joined.normalize()\n"},
	}},
}
