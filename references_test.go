package kindred_test

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// evidence is what texts may point to: tests by name with the folders that have one
// of it, mutants, and rules of the simulator.
type evidence struct {
	tests          map[string][]string
	mutants, rules []string
}

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	mutantName   = regexp.MustCompile(`(?m)^\t\{name: "([^"]+)"`)
	simRule      = regexp.MustCompile(`find\("(\w+)",`)

	// What texts say: a test's name, a command with a pattern of names, mutants in
	// quotation marks, rules and files in backticks.
	saidTest    = regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Z]\w*…?`)
	saidCommand = regexp.MustCompile("go test (?:-[a-z]+ )*\\./([a-z]\\S*) [^`\n]*?-run '?([^'`\\s]+)")
	saidMutants = regexp.MustCompile(`\bmutants?\s+((?:"[^"]+"(?:,\s+|\s+and\s+)?)+)`)
	saidRules   = regexp.MustCompile("\\brules?\\s+((?:`\\w+`(?:,\\s+|\\s+and\\s+)?)+)")
	saidFile    = regexp.MustCompile("`([a-z][\\w-]*(?:/[\\w.-]+)+\\.(?:go|md|txt|yaml|golden))`")
	quoted      = regexp.MustCompile("[\"`]([^\"`]+)[\"`]")
)

// TestReferences: every test, mutant, rule of the simulator and file that a text
// names is there. A text that says "this test shows it" is a proof only as long as
// there is that test.
func TestReferences(t *testing.T) {
	have := gather(t, os.DirFS("."))
	require.Greater(t, len(have.tests), 1000)
	require.Greater(t, len(have.mutants), 80)
	said := 0
	for _, page := range texts(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		n, wrong := have.judge(os.DirFS("."), page, string(text))
		said += n
		for _, w := range wrong {
			t.Errorf("%s names %s, which is not there", page, w)
		}
	}
	require.Greater(t, said, 400, "few references: was the form of the texts changed?")
}

// TestReferencesAreEnforced: each kind of reference can be wrong.
func TestReferencesAreEnforced(t *testing.T) {
	tree := os.DirFS(".")
	have := gather(t, tree)
	for text, wrong := range map[string]string{
		"see `TestReferences`, `TestNobodyWroteThis`":          "TestNobodyWroteThis",
		"`go test ./sim -run 'TestSeed$'`":                     "",
		"`go test ./sim -run TestReferences`":                  "a test of ./sim for -run TestReferences",
		"`go test ./core -run Audit\\|Lost`":                   "",
		`caught as mutants "incarnation reused" and "nothing"`: `mutant "nothing"`,
		`mutant "hint that has …", "hints of …"`:               `mutant "hints of …"`,
		"rules `I1`, `C5` and `Z9`":                            "rule Z9",
		"in `core/retry_test.go` and `core/nowhere_test.go`":   "core/nowhere_test.go",
	} {
		n, found := have.judge(tree, "docs/page.md", text)
		require.Positive(t, n, text)
		if wrong == "" {
			require.Empty(t, found, text)
		} else {
			require.Equal(t, []string{wrong}, found, text)
		}
	}
}

// texts are all pages, and what packages say of themselves.
func texts(t *testing.T) (pages []string) {
	require.NoError(t, filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return fs.SkipDir
		case path.Ext(name) == ".md", d.Name() == "doc.go":
			pages = append(pages, name)
		}
		return nil
	}))
	return pages
}

// gather finds what there is.
func gather(t *testing.T, tree fs.FS) evidence {
	have := evidence{tests: map[string][]string{}}
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".go" {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") {
			for _, m := range testFunction.FindAllStringSubmatch(string(text), -1) {
				have.tests[m[1]] = append(have.tests[m[1]], dir)
			}
		}
		if dir == "sim" {
			for _, m := range simRule.FindAllStringSubmatch(string(text), -1) {
				have.rules = append(have.rules, m[1])
			}
			for _, m := range mutantName.FindAllStringSubmatch(string(text), -1) {
				have.mutants = append(have.mutants, m[1])
			}
		}
		return err
	}))
	return have
}

// judge counts what a text names, and lists what is not there.
func (e *evidence) judge(tree fs.FS, page, text string) (said int, wrong []string) {
	demand := func(there bool, what string) {
		said++
		if !there {
			wrong = append(wrong, what)
		}
	}
	for _, m := range saidCommand.FindAllStringSubmatch(text, -1) {
		demand(e.runs(m[1], m[2]), "a test of ./"+m[1]+" for -run "+m[2])
	}
	// What a command runs has been looked for in its folder.
	for _, name := range saidTest.FindAllString(saidCommand.ReplaceAllString(text, ""), -1) {
		demand(e.test(name), name)
	}
	for _, m := range saidMutants.FindAllStringSubmatch(text, -1) {
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			demand(e.mutant(strings.Join(strings.Fields(q[1]), " ")), `mutant "`+q[1]+`"`)
		}
	}
	for _, m := range saidRules.FindAllStringSubmatch(text, -1) {
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			demand(slices.Contains(e.rules, q[1]), "rule "+q[1])
		}
	}
	for _, m := range saidFile.FindAllStringSubmatch(text, -1) {
		_, fromRoot := fs.Stat(tree, m[1])
		_, fromPage := fs.Stat(tree, path.Join(path.Dir(page), m[1]))
		demand(fromRoot == nil || fromPage == nil, m[1])
	}
	return said, wrong
}

func (e *evidence) test(name string) bool {
	return e.tests[name] != nil || slices.ContainsFunc(slices.Collect(maps.Keys(e.tests)), begins(name))
}

func (e *evidence) mutant(name string) bool {
	return slices.Contains(e.mutants, name) || slices.ContainsFunc(e.mutants, begins(name))
}

// begins tells whether a name has the beginning that stands before "…".
func begins(said string) func(string) bool {
	start, cut := strings.CutSuffix(said, "…")
	return func(name string) bool { return cut && strings.HasPrefix(name, strings.TrimSpace(start)) }
}

// runs reports whether a pattern finds a test in a folder.
func (e *evidence) runs(dir, pattern string) bool {
	if pattern == "^$" { // only what else the command names
		return true
	}
	pattern, _, _ = strings.Cut(strings.ReplaceAll(pattern, `\|`, "|"), "/")
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return false
	}
	for name, dirs := range e.tests {
		if wanted.MatchString(name) && slices.Contains(dirs, dir) {
			return true
		}
	}
	return false
}
