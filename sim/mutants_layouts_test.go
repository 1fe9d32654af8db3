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
	{name: "an old image votes as if it had never been further", directed: "ring:TestAnOldImageThatCommitsLearnsHowFarItWas", rule: "R22, R26", edits: []edit{
		{"ring/course.go", "return c.recall() || c.form()", "return c.form()"},
	}},
	{name: "who leaves restores nothing", directed: "core:TestADamagedHomeIsRestoredByOneThatLeaves", rule: "R20, R25", edits: []edit{
		{"core/audit.go", "	homes := slices.Clone(s.baseOf(wire.Head(id)))\n", "	homes := slices.Clone(s.homesOf(wire.Head(id)))\n"},
	}},
}
