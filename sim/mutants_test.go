package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	updateFlag  = flag.Bool("update", false, "write MUTANTS.md, after testing all mutants")
	mutantsFlag = flag.String("mutants", "", "which mutants to test, a regular expression on their names; a sample without it")
)

// mutantSample: without -mutants each so many-th mutant is tested. Building the
// simulator a hundred times takes longer than all other tests together.
const mutantSample = 12

// mutantSeedsMax is the number of seeds within which every mutant is caught.
const mutantSeedsMax = 300

// mutantsFile is the table of what catches what.
const mutantsFile = "MUTANTS.md"

// caught finds in the output of TestSeeds which seed failed, and why.
var caught = regexp.MustCompile(`seed (\d+): (\S+) at (?:[0-9.]+[a-zµ]+)+: `)

// exploredTo finds the same in the output of the explorer.
var exploredTo = regexp.MustCompile(`finding after (\d+) states: (\S+): `)

// TestMutants builds the simulator with the bugs in place, and demands that an
// oracle finds each within mutantSeedsMax seeds.
func TestMutants(t *testing.T) {
	which := regexp.MustCompile(*mutantsFlag)
	var rows []string
	for i, m := range allMutants() {
		if *mutantsFlag == "" && !*updateFlag && i%mutantSample != 0 || !which.MatchString(m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			overlay := m.overlay(t)
			seed, by := m.catch(t, overlay)
			rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | %s |", m.name, m.rule, by, seed, m.explored(t, overlay)))
			t.Log(rows[len(rows)-1])
		})
	}
	t.Logf("%d of %d mutants; all of them: make mutants", len(rows), len(allMutants()))
	if *updateFlag && !t.Failed() {
		require.Len(t, rows, len(allMutants()), "-update wants all mutants")
		lines := func(rows []string) string { return strings.Join(rows, "\n") + "\n" }
		outside := len(mutants) + len(mutantsOutside)
		text := tableHead + lines(rows[:len(mutants)]) + outsideHead + lines(rows[len(mutants):outside]) + layoutsHead + lines(rows[outside:])
		require.NoError(t, os.WriteFile(mutantsFile, []byte(text), 0o644))
	}
}

// TestMutantsAreInTheTable finds mutants that no longer fit the code, and ones
// that nobody has tested since they were written.
func TestMutantsAreInTheTable(t *testing.T) {
	text, err := os.ReadFile(mutantsFile)
	require.NoError(t, err)
	table, found := strings.CutPrefix(string(text), tableHead)
	require.True(t, found, "the head of %s differs: run make mutants UPDATE=1", mutantsFile)
	inside, outside, found := strings.Cut(table, outsideHead)
	require.True(t, found, "the second head of %s differs: run make mutants UPDATE=1", mutantsFile)
	outside, layouts, found := strings.Cut(outside, layoutsHead)
	require.True(t, found, "the third head of %s differs: run make mutants UPDATE=1", mutantsFile)
	var want []string
	for _, m := range allMutants() {
		t.Run(m.name, func(t *testing.T) { m.overlay(t) })
		want = append(want, fmt.Sprintf("| %s | %s", m.name, m.rule))
	}
	require.Equal(t, want, mutantNames(strings.Split(strings.TrimSpace(inside+outside+layouts), "\n")), "run make mutants UPDATE=1")
}

// allMutants are those of all tables.
func allMutants() []mutant { return slices.Concat(mutants, mutantsOutside, mutantsLayouts) }

// catch runs seeds against the mutant, from 1 up, and says which one caught it,
// by which rule of the oracle.
func (m mutant) catch(t *testing.T, overlay string) (seed, by string) {
	if m.alone {
		return "–", "explorer"
	}
	if m.directed != "" {
		folder, test, _ := strings.Cut(m.directed, ":")
		m.fail(t, overlay, "../"+folder, regexp.MustCompile("--- FAIL: "+test), "-test.run", "^"+test+"$")
		return "–", "`" + test + "`"
	}
	args := []string{"-test.run", "^TestSeeds$", "-seeds", strconv.Itoa(mutantSeedsMax)}
	if m.layouts {
		args = append(args, "-layouts")
	}
	found := m.fail(t, overlay, ".", caught, args...)
	return found[1], found[2]
}

// explored says by which demand the explorer catches the mutant, and after how
// many states, if it has to.
func (m mutant) explored(t *testing.T, overlay string) string {
	world := m.world
	if m.small {
		world = "small"
	}
	if world == "" {
		return "–"
	}
	found := m.fail(t, overlay, "./explore", exploredTo, "-test.run", "^Test(?i:"+world+")$")
	if m.small {
		return fmt.Sprintf("%s after %s", found[2], found[1])
	}
	return fmt.Sprintf("%s after %s (%s)", found[2], found[1], world)
}

// fail builds the tests of a folder with the mutant, and demands that they fail
// with such a finding.
func (m mutant) fail(t *testing.T, overlay, folder string, finding *regexp.Regexp, args ...string) []string {
	binary := filepath.Join(t.TempDir(), "mutant.test")
	defer os.Remove(binary) // there are many of them
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, folder).CombinedOutput()
	require.NoError(t, err, "the mutant %q does not build: %s", m.name, out)
	out, err = exec.Command(binary, append(args, "-test.timeout", "5m")...).CombinedOutput()
	require.Error(t, err, "the mutant %q survives %s %v", m.name, folder, args)
	found := finding.FindStringSubmatch(string(out))
	require.NotNil(t, found, "the mutant %q fails otherwise than by a finding: %s", m.name, out)
	return found
}

// overlay writes the files of the mutant and the list that the go command wants.
func (m mutant) overlay(t *testing.T) string {
	dir := t.TempDir()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	texts, replace := map[string]string{}, map[string]string{}
	for _, e := range m.edits {
		if texts[e.file] == "" {
			text, err := os.ReadFile(filepath.Join(root, e.file))
			require.NoError(t, err)
			texts[e.file] = string(text)
		}
		require.Equal(t, 1, strings.Count(texts[e.file], e.old), "the mutant %q wants to change %q in %s, which must be there once", m.name, e.old, e.file)
		texts[e.file] = strings.Replace(texts[e.file], e.old, e.new, 1)
	}
	for file, text := range texts {
		changed := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		require.NoError(t, os.WriteFile(changed, []byte(text), 0o644))
		replace[filepath.Join(root, file)] = changed
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, list, 0o644))
	return file
}

const tableHead = `# Mutants

Bugs that somebody could write, put into the code by an overlay of the build, and
what the simulator says to each. The last column but one is the first seed, from 1
up, that caught it when this table was written; each has to be caught within 300
seeds, a sample of them in every ` + "`make test`" + `. A dash there: only the
explorer was asked. The last column is the demand by which the
[explorer](explore/README.md) catches it, after how many states, and in which of its
worlds if not in that of replicas alone; a dash stands for those that only a whole
cluster can show. The rule and the seed may change with the code. Written by
` + "`make mutants UPDATE=1`" + `.

| mutant | breaks | caught by | at seed | explorer, states |
|---|---|---|---|---|
`

const outsideHead = `
## Written by somebody who had not seen the oracle

When the oracle was done, somebody who had read the protocol and the code, and neither
the oracle nor the list above, wrote 28 more. How many of those were caught at once
says more about the oracle than the list above does, for nobody could have had them in
mind: [what came of them](README.md#mutants-from-outside), and of the one that is not here.
A test in the third column is a directed one, where no seed catches the mutant.

| mutant | breaks | caught by | at seed | explorer, states |
|---|---|---|---|---|
`

const layoutsHead = `
## Layouts that change

Bugs in R22 to R27, caught by runs in which the layout changes all the
time (` + "`-layouts`" + `), or by a directed test.

| mutant | breaks | caught by | at seed | explorer, states |
|---|---|---|---|---|
`

// mutantNames are the first two columns of a table.
func mutantNames(rows []string) (names []string) {
	for _, row := range rows {
		cells := strings.Split(row, " | ")
		names = append(names, strings.Join(cells[:min(2, len(cells))], " | "))
	}
	return names
}
