package kindred_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is a fenced block of a page.
type block struct{ page, language, body string }

// blocks are those of all pages for users. The README of a package is held by tests
// of that package.
func blocks(t *testing.T) []block {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/decisions/*.md", "deploy/*.md"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		pages = append(pages, more...)
	}
	var found []block
	for _, page := range pages {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		require.NotRegexp(t, `(?m)^    (\$ )?(\./bin/)?(kvcli|kvnode|make|curl|go) `, string(text), "%s: commands stand in fenced blocks, so that tests find them", page)
		for _, m := range regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
			found = append(found, block{page, m[1], m[2]})
		}
	}
	return found
}

// TestEveryBlockIsChecked: no block of a page escapes the tests.
func TestEveryBlockIsChecked(t *testing.T) {
	walked := map[string]bool{}
	for _, page := range walkedPages {
		walked[page.path] = true
	}
	programs := map[string]int{} // of a page that are not run
	for _, b := range blocks(t) {
		if b.page == "docs/go.md" && (b.language == "go example" || b.language == "text") {
			checkExample(t, b)
			continue
		}
		switch language, _, _ := strings.Cut(b.language, " "); language {
		case "console":
			require.True(t, walked[b.page], "%s is not among walkedPages", b.page)
			require.True(t, strings.HasPrefix(b.body, "$ "), "%s: a console block begins with a command:\n%s", b.page, b.body)
			programs[b.page] -= strings.Count("\n"+b.body, "\n$ go run ")
		case "go":
			programs[b.page]++
		case "sh", "toml": // TestReadmeShell, TestReadmeSettings
		case "json":
			require.Equal(t, "docs/cli.md", b.page) // TestDocsShowEveryField of kvcli
		case "text": // TestDemo of kvcli holds that of the README
			require.Contains(t, []string{"README.md", "docs/ARCHITECTURE.md"}, b.page)
		default:
			t.Errorf("%s has a block of the form %q, which nothing checks:\n%s", b.page, b.language, b.body)
		}
	}
	for page, n := range programs {
		require.Zero(t, n, "%s does not run each of its Go programs once", page)
	}
}

// checkExample finds a block, or what it prints, in an example that the tests run.
func checkExample(t *testing.T, b block) {
	example, err := os.ReadFile("jepsen/checkmerge_example_test.go")
	require.NoError(t, err)
	text := string(example)
	if b.language == "text" {
		text = regexp.MustCompile(`(?m)^\t// ?`).ReplaceAllString(text, "")
	}
	require.Contains(t, text, b.body, "%s shows an example that is not, or no longer, run", b.page)
}

// TestReadmeShell: what cannot be carried out here, because it takes minutes or
// several machines, is at least what the programs understand. A line of make names
// a target and variables that it uses; one of kvnode is a configuration with which
// the node would start, given certificates.
func TestReadmeShell(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	require.NoError(t, err)
	checked := map[string]int{}
	for _, b := range blocks(t) {
		if b.language != "sh" {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSpace(strings.ReplaceAll(b.body, "\\\n", "")), "\n") {
			command, _, _ := strings.Cut(line, " ")
			checked[command]++
			switch command {
			case "make":
				checkMake(t, string(makefile), line)
			case "kvnode":
				checkNode(t, line)
			default:
				t.Errorf("%s: nothing checks %q: make it a console block", b.page, line)
			}
		}
	}
	require.GreaterOrEqual(t, checked["make"], 4)
	require.Positive(t, checked["kvnode"])
}

// checkMake finds the target and the variables of a line of make.
func checkMake(t *testing.T, makefile, line string) {
	line, _, _ = strings.Cut(line, "#")
	line = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(line, "x")
	words := strings.Fields(line)[1:]
	require.NotEmpty(t, words)
	recipe := regexp.MustCompile(`(?m)^` + words[0] + `:.*## .*\n(\t.*\n)+`).FindString(makefile)
	require.NotEmpty(t, recipe, "make %s is no target", words[0])
	for _, word := range words[1:] {
		name, _, _ := strings.Cut(word, "=")
		require.Contains(t, recipe, name, "make %s does not use %s", words[0], name)
	}
}

// checkNode has a node check a command line, in a folder with the files it names.
func checkNode(t *testing.T, line string) {
	dir, bin := t.TempDir(), programs(t)
	in := func(args ...string) {
		cmd := exec.Command(filepath.Join(bin, args[0]), args[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", args, out)
	}
	for _, made := range [][]string{{"ca"}, {"node", "a", "--host", "a"}, {"gossip"}} {
		in(slices.Concat([]string{"kvcli", "cert"}, made, []string{"--out", "."})...)
	}
	in(slices.Concat([]string{"kvnode", "config", "print"}, strings.Fields(line)[1:])...)
}

// TestReadmeSettings: a file of settings on a page is one that a node takes.
func TestReadmeSettings(t *testing.T) {
	checked := 0
	for _, b := range blocks(t) {
		if b.language != "toml" {
			continue
		}
		checked++
		file := filepath.Join(t.TempDir(), "kvnode.toml")
		require.NoError(t, os.WriteFile(file, []byte(b.body), 0o600))
		out, err := exec.Command(filepath.Join(programs(t), "kvnode"), "config", "check", file).CombinedOutput()
		require.NoError(t, err, "%s: %s", b.page, out)
	}
	require.Positive(t, checked)
}
