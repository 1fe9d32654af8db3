package sim

// mutantsLayouts are bugs of layouts that change. Runs in which the layout changes all the
// time have to catch them, or directed tests.
var mutantsLayouts = []mutant{
	{name: "quorum of the old owners left out", layouts: true, rule: "R23, I1", edits: []edit{
		{"replica/put.go", "	if enough && p.base != nil {\n", "	if false {\n"},
	}},
	{name: "quorum of the new owners left out", layouts: true, rule: "R23, I1", edits: []edit{
		{"replica/put.go", "	if enough && p.base != nil {\n", "	if p.base != nil {\n"},
	}},
	{name: "a clock of before the fence counts", directed: "core:TestAClockOfBeforeTheFenceDoesNotCount", rule: "R25", edits: []edit{
		{"antientropy/owners.go", "|| m.At.Tip != e.owners.At.Tip {\n		return\n	}\n	p.fenced", "{\n		return\n	}\n	p.fenced"},
	}},
	{name: "complete before it is durable", directed: "antientropy:TestCompleteIsByDurableClocksOfFencedHomes", rule: "R25, I6", edits: []edit{
		{"antientropy/owners.go", "!p.within && e.durable.Covers(p.fence)", "!p.within && e.captured.Covers(p.fence)"},
	}},
	{name: "who leaves is complete though it owes hints", directed: "core:TestC09_TheHintOfWhoLeavesIsNotVoid", rule: "R25, C9", edits: []edit{
		{"core/phase.go", "!s.leaves() || s.debts.ledger.Hints() == 0", "true"},
	}},
	{name: "a close during a move asks the new members only", directed: "core:TestClosesWaitForASettledPhase", rule: "R27, R15", edits: []edit{
		{"core/closeround.go", "	for _, n := range c.s.phase.Members() {\n", "	for _, m := range layout.Nodes() {\n		n := m.Name\n"},
		{"core/closeround.go", "	last, settled := p.number, c.s.phase.Settled()\n", "	last, settled := p.number, true\n"},
	}},
	{name: "an old copy goes whoever has what it has", directed: "core:TestAnOldCopyIsKeptUntilEveryOwnerHasIt", rule: "R27", edits: []edit{
		{"core/retire.go", "	return s.phase.Settled() && x.Contained(x.clock())\n", "	return s.phase.Settled()\n"},
	}},
	{name: "what was given up is read back before it is erased", directed: "core:TestAPartitionThatComesBackBeforeItIsErasedBeginsWithNothing", rule: "R27, I4", edits: []edit{
		{"core/shard.go", "	if s.given[id] == 0 {\n", "	{\n"},
	}},
	{name: "an old image votes as if it had never been further", directed: "ring:TestAnOldImageThatCommitsLearnsHowFarItWas", rule: "R22, R26", edits: []edit{
		{"ring/course.go", "return c.recall() || c.form()", "return c.form()"},
	}},
	{name: "an old image that missed much takes itself for removed", directed: "ring:TestAnOldImageThatMissedMuchLeavesAsIfItHadNot", rule: "R22, R26", edits: []edit{
		{"ring/course.go", "	return !f.Decision.isGone(c.self) && slices", "	return f.Decision.parent == c.tip && !f.Decision.isGone(c.self) && slices"},
	}},
	{name: "who leaves restores nothing", directed: "core:TestADamagedHomeIsRestoredByOneThatLeaves", rule: "R20, R25", edits: []edit{
		{"core/audit.go", "	homes := slices.Clone(s.baseOf(wire.Head(id)))\n", "	homes := slices.Clone(s.homesOf(wire.Head(id)))\n"},
	}},
	{name: "acknowledgements outlive their layout", layouts: true, rule: "R24", edits: []edit{
		{"core/phase.go", "		o.spread(s, o.put.Dot())\n", "		was := o.put.Acked()\n		o.spread(s, o.put.Dot())\n		for _, node := range was {\n			o.put.Ack(node)\n		}\n"},
	}},
	{name: "homes that count no more are named, and guests", directed: "replica:TestAPutForgetsTheLayoutBefore", rule: "R23, I1", edits: []edit{
		{"replica/put.go", "	p.acked = slices.DeleteFunc(p.acked, func(node string) bool { return !p.counts(node) })\n", ""},
	}},
	{name: "what an old home has said counts when it stands in", directed: "core:TestAnOldHomeThatStandsInCountsByItsHint", rule: "R23, I1", edits: []edit{
		{"core/phase.go", "	s.renumber(o)\n	o.base, o.hints = nil, nil\n", "	o.base = nil\n"},
	}},
	{name: "a guest that becomes a home counts by its hint", directed: "core:TestAGuestThatBecomesAHomeCountsByItsReplica", rule: "R23, I1", edits: []edit{
		{"core/write.go", "	case o.guest && !home:\n", "	case o.guest && (home || !home):\n"},
	}},
	{name: "a hint is paid by who was home", layouts: true, rule: "R11, R27", edits: []edit{
		{"core/deliver.go", "target == s.targetOf(line) && h.Pay", "target != \"\" && h.Pay"},
	}},
	{name: "who was removed pays", directed: "core:TestWhoWasRemovedKeepsWhatItOwes", rule: "R27, I7", edits: []edit{
		{"core/deliver.go", "!s.removed() && target", "target"},
	}},
	{name: "one old owner is enough to be complete by", directed: "core:TestCompleteNeedsEveryOldOwner", rule: "R25", edits: []edit{
		{"antientropy/owners.go", "			waits = true\n", "			_ = waits\n"},
		{"antientropy/owners.go", "(held >= n-n/2 || e.owners.Loss)", "(held >= min(n, 1) || e.owners.Loss)"},
	}},
	{name: "old owners left out before all read from the new", directed: "ring:TestALeaverThatDiesOnTheWayIsRemoved", rule: "R23", edits: []edit{
		{"ring/course.go", "	if !f.all(c.counting(f), func(m Mark) bool { return m.Step >= step }) {\n", "	if step == Both && !f.all(c.counting(f), func(m Mark) bool { return m.Step >= step }) {\n"},
	}},
	{name: "who is gone is not made up for", directed: "core:TestWhoIsGoneIsMadeUpFor", rule: "R25", edits: []edit{
		{"antientropy/owners.go", "(held >= n-n/2 || e.owners.Loss)", "(held >= min(n, 0) || e.owners.Loss)"},
	}},
	{name: "a former home is not welcome", directed: "core:TestAFormerHomeIsWelcomeAtAnOwnerThatHasStarted", rule: "R27", edits: []edit{
		{"antientropy/owners.go", "	if !m.Former || e.former", "	if m.Former || e.former"},
	}},
	{name: "an old copy is no source", directed: "core:TestR20_AnOldCopyEndsTheWaitForADamagedHome", rule: "R13, R27", edits: []edit{
		{"core/rebuild.go", "r, from, formers...)", "r, from, formers[:0]...)"},
	}},
	{name: "an old copy gives pages before it has heard what is void", directed: "core:TestAnOldCopyGivesNothingBeforeItKnowsWhatIsVoid", rule: "R27, R13", edits: []edit{
		{"core/rebuildpage.go", "	case !s.mayHandOn(r.ID(), from):\n", "	case !s.mayHandOn(r.ID(), from) && false:\n"},
	}},
	{name: "promises are not made alike while owners change", directed: "core:TestPromisesAreMadeAlikeDuringAChange", rule: "R14, R25", edits: []edit{
		{"core/closeround.go", "	if layout == nil || running", "	if layout == nil || !c.s.phase.Settled() || running"},
	}},
	{name: "a round has an outcome while owners change", directed: "core:TestPromisesAreMadeAlikeDuringAChange", rule: "R15, R27", edits: []edit{
		{"core/closeround.go", "Again(last, settled)", "Again(last, true)"},
	}},
	{name: "who works by an older layout is told what is void", directed: "core:TestWhoHasNotHeardOfItsRemovalIsNotToldWhatIsVoid", rule: "R27", edits: []edit{
		{"core/closeround.go", "	if m.At.Tip.Compare(c.s.phase.Progress().Tip) < 0 {\n", "	if false {\n"},
	}},
	{name: "who returns goes on as a home with what is void", directed: "core:TestWhoReturnsTakesNothingAwayByWhatIsVoid", rule: "R27, R15", edits: []edit{
		{"core/retire.go", "	if x.Retire() {\n", "	if false {\n"},
	}},
	{name: "who returns goes on in its incarnations as a guest", directed: "core:TestWhoReturnsTakesVoidHintsForVoid", rule: "R27, R14", edits: []edit{
		{"core/shard.go", "		s.returns++\n", ""},
	}},
	{name: "who returns unheard goes on in its incarnations", directed: "core:TestWhoReturnsWithoutHavingHeardMintsInAnotherIncarnation", rule: "R27, R15", edits: []edit{
		{"core/exchange.go", "			if returns || back {\n", "			if returns {\n"},
	}},
	{name: "void hints for a node itself are never paid", directed: "core:TestWhoReturnsTakesVoidHintsForVoid", rule: "R27, R11", edits: []edit{
		{"core/deliver.go", "		return dots.Minus(r.Clock())\n", "		return dots\n"},
	}},
	{name: "a new owner takes hints before it has heard what is void", directed: "core:TestWhoComesTakesNoHintsBeforeItKnowsWhatIsVoid", rule: "R27", edits: []edit{
		{"core/retire.go", "return s.incoming(id) && !s.alikeAll(id)", "return false"},
	}},
	{name: "a new owner is complete before it has heard what is void", directed: "core:TestWhoComesTakesNoHintsBeforeItKnowsWhatIsVoid", rule: "R25, R27", edits: []edit{
		{"core/phase.go", "	return !x.past && slices.Contains(s.baseOf(wire.Head(id)), s.cfg.Node) || s.alikeAll(id)\n", "	return !x.past || s.alikeAll(id)\n"},
	}},
	{name: "what the others have only pages of is taken bare", directed: "core:TestWhatTheOthersHaveIsTakenFromTheirPagesAndNotBare", rule: "R27, R13", edits: []edit{
		{"antientropy/pull.go", "			served = served.Minus(had)\n", "			_ = had\n"},
		{"antientropy/pull.go", "p.linked && now.Before(e.unpagedUntil)", "p.linked"},
	}},
	{name: "a copy that has retired says what is gone", directed: "core:TestWhoReturnsTakesNothingAwayByWhatIsVoid", rule: "R27", edits: []edit{
		{"replica/retire.go", "		p.Object.Context = vclock.DotSet{}\n		return\n", "		_ = vclock.DotSet{}\n"},
	}},
}
