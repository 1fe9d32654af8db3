package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	updateFlag  = flag.Bool("update", false, "look for the first catching seed of every mutant, from 1 up, and write MUTANTS.md")
	mutantsFlag = flag.String("mutants", ".", "which mutants to test, a regular expression on their names")
)

// mutantSeedsMax is the number of seeds within which every mutant is caught.
const mutantSeedsMax = 100

// caught finds in the output of TestSeeds which seed failed, and why.
var caught = regexp.MustCompile(`seed (\d+): (\S+) at (?:[0-9.]+[a-zµ]+)+: (.*)`)

// TestMutants builds the simulator with each of the bugs in place, and demands
// that an oracle finds it.
func TestMutants(t *testing.T) {
	which := regexp.MustCompile(*mutantsFlag)
	var rows []string
	for _, m := range mutants {
		if !which.MatchString(m.name) {
			continue
		}
		first, seeds := m.seed, 1
		if *updateFlag {
			first, seeds = 1, mutantSeedsMax
		}
		seed, by := m.catch(t, first, seeds)
		row := fmt.Sprintf("| %s | %s | %s | %d |", m.name, m.rule, by, seed)
		t.Log(row)
		rows = append(rows, row)
	}
	if *mutantsFlag == "." {
		checkTable(t, rows)
	}
}

// catch runs the seeds against the mutant and says which one caught it, by which
// rule of the oracle.
func (m mutant) catch(t *testing.T, first, seeds int) (seed int, by string) {
	binary := filepath.Join(t.TempDir(), "sim.test")
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", m.overlay(t), "-o", binary, ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "the mutant %q does not build: %s", m.name, out)
	run := exec.Command(binary, "-test.run", "^TestSeeds$", "-test.timeout", "5m",
		"-first", strconv.Itoa(first), "-seeds", strconv.Itoa(seeds))
	out, err = run.CombinedOutput()
	require.Error(t, err, "the mutant %q survives seeds %d to %d", m.name, first, first+seeds-1)
	found := caught.FindSubmatch(out)
	require.NotNil(t, found, "the mutant %q fails otherwise than by a finding: %s", m.name, out)
	seed, err = strconv.Atoi(string(found[1]))
	require.NoError(t, err)
	return seed, string(found[2])
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

// checkTable compares MUTANTS.md with what was found, or writes it.
func checkTable(t *testing.T, rows []string) {
	const head = `# Mutants

Bugs that somebody could write, put into the code by an overlay of the build, and
what the simulator says to each. The last column is the first seed, from 1 up,
that catches it. Written by ` + "`go test ./sim -run TestMutants -update -timeout 1h`" + `.

| mutant | breaks | caught by | at seed |
|---|---|---|---|
`
	text := head + strings.Join(rows, "\n") + "\n"
	const file = "MUTANTS.md"
	if *updateFlag {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text, "run with -update")
}
