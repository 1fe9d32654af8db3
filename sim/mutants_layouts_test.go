package sim

// mutantsLayouts are bugs of layouts that change, a clause of R22 to R27 each. Runs in
// which the layout changes all the time have to catch them.
var mutantsLayouts = []mutant{
	{name: "quorum of the old owners left out", layouts: true, rule: "R23, I1", edits: []edit{
		{"replica/put.go", "	if enough && p.base != nil {\n", "	if false {\n"},
	}},
	{name: "quorum of the new owners left out", layouts: true, rule: "R23, I1", edits: []edit{
		{"replica/put.go", "	if enough && p.base != nil {\n", "	if p.base != nil {\n"},
	}},
	{name: "complete as soon as asked", layouts: true, rule: "R25, I8", edits: []edit{
		{"core/phase.go", "s.owns(id) && !s.complete(id) {", "s.owns(id) && !s.complete(id) && false {"},
		{"core/phase.go", "	return s.owns(id) && s.complete(id)\n", "	return s.owns(id)\n"},
	}},
	{name: "one old owner is enough to be complete by", layouts: true, rule: "R25, I8", edits: []edit{
		{"antientropy/owners.go", "			waits = true\n", "			_ = waits\n"},
		{"antientropy/owners.go", "(held >= n-n/2 || e.owners.Loss)", "(held >= min(n, 1) || e.owners.Loss)"},
	}},
	{name: "only who comes has to be complete", layouts: true, rule: "R25", edits: []edit{
		{"core/phase.go", "s.owns(id) && !s.complete(id) {", "s.incoming(id) {"},
	}},
	{name: "acknowledgements outlive their layout", layouts: true, rule: "R24", edits: []edit{
		{"core/phase.go", "	case o.at.Tip != at.Tip:\n", "	case o.at.Tip != at.Tip && false:\n"},
	}},
	{name: "who is behind is served", layouts: true, rule: "R24", edits: []edit{
		{"core/phase.go", "	if theirs.Step == 0 || s.phase == nil {\n", "	if theirs.Step == 0 || s.phase == nil || !s.phase.Removed() {\n"},
	}},
	{name: "old copy goes when its owner is out", layouts: true, rule: "R27", edits: []edit{
		{"core/drop.go", "x.Former() && x.Contained(x.clock()) && s.unused", "x.Former() && s.unused"},
	}},
	{name: "hint paid by who was the home when it left", layouts: true, rule: "R27, I7", edits: []edit{
		{"core/deliver.go", "	if ses.target != s.targetOf(line) {\n", "	if false {\n"},
	}},
	{name: "layout used before all hold it", layouts: true, rule: "R22", edits: []edit{
		{"ring/course.go", "		if f.all(voters, func(m Mark) bool { return m.Held }) && (beyond == 0 || beyond == len(voters)) {\n", "		if beyond == 0 || beyond == len(voters) {\n"},
	}},
	{name: "old owners left out before all read from the new", layouts: true, rule: "R23", edits: []edit{
		{"ring/course.go", "	if !f.all(c.counting(f), func(m Mark) bool { return m.Step >= step }) {\n", "	if step == Both && !f.all(c.counting(f), func(m Mark) bool { return m.Step >= step }) {\n"},
	}},
	{name: "who comes is asked what was lost", layouts: true, rule: "R20, R25", edits: []edit{
		{"core/audit.go", "	homes := slices.Clone(s.baseOf(wire.Head(id)))\n", "	homes := slices.Clone(s.holdersOf(wire.Head(id)))\n"},
	}},
	{name: "a clock of before the fence counts", directed: "core:TestAClockOfBeforeTheFenceDoesNotCount", rule: "R25", edits: []edit{
		{"antientropy/owners.go", "|| m.At.Tip != e.owners.At.Tip {\n		return\n	}\n	p.fenced", "{\n		return\n	}\n	p.fenced"},
	}},
	{name: "complete before it is durable", directed: "core:TestCompleteIsDurable", rule: "R25", edits: []edit{
		{"antientropy/owners.go", "e.durable.Covers(p.fence)", "e.captured.Covers(p.fence)"},
	}},
	{name: "an old image votes as if it had never been further", directed: "ring:TestAnOldImageThatCommitsLearnsHowFarItWas", rule: "R22, R26", edits: []edit{
		{"ring/course.go", "return c.recall() || c.form()", "return c.form()"},
	}},
	{name: "who leaves restores nothing", directed: "core:TestADamagedHomeIsRestoredByOneThatLeaves", rule: "R20, R25", edits: []edit{
		{"core/audit.go", "	homes := slices.Clone(s.baseOf(wire.Head(id)))\n", "	homes := slices.Clone(s.homesOf(wire.Head(id)))\n"},
	}},
}
