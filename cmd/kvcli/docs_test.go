package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/bench/load"
)

// TestDocsShowEveryField holds docs/cli.md to the documents: each has an
// example there, with every field and no other.
func TestDocsShowEveryField(t *testing.T) {
	b, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	documents := map[string]any{
		"error": &struct {
			Error errorDoc `json:"error"`
		}{},
		"local status": &localStatusDoc{}, "local logs": &logsDoc{}, "local start": &startDoc{}, "local add": &membersChangedDoc{}, "local remove": &membersChangedDoc{}, "local stop": &stopDoc{},
		"get": &objectDoc{}, "put": &receiptDoc{}, "scan": &scanDoc{}, "import": &importDoc{}, "batch": &batchDoc{}, "export": &exportDoc{},
		"key where": &whereDoc{}, "key inspect": &inspectDoc{}, "key why": &whyDoc{},
		"cluster status": &clusterDoc{}, "cluster members": &membersDoc{}, "cluster ring": &ringDoc{},
		"cluster join": &stagedDoc{}, "cluster plan": &planDoc{}, "cluster commit": &commitDoc{}, "cluster history": &historyDoc{},
		"key repair": &keyRepairDoc{}, "cluster health": &healthDoc{}, "cluster safe-to-stop": &safeDoc{}, "cluster exposure": &exposureDoc{}, "node drain": &drainDoc{}, "cluster wait": &waitDoc{},
		"repair status": &repairStatusDoc{}, "repair run": &repairRunDoc{}, "hints list": &hintsDoc{},
		"bench": &load.Report{}, "bench --list": &profilesDoc{}, "bench compare": &load.Comparison{},
		"version": &versionDoc{}, "demo": &demoDoc{}, "demo grow": &demoDoc{}, "jepsen run": &jepsenDoc{}, "jepsen list": &jepsenListDoc{}, "jepsen replay": &replayDoc{}, "cert node": &certDoc{}, "completion": &completionDoc{},
		"bucket show": &api.BucketDoc{}, "bucket create": &api.BucketChangedDoc{}, "bucket list": &api.BucketsDoc{},
	}
	for _, m := range regexp.MustCompile("(?ms)^```json ([a-z -]+)\n(.*?)^```").FindAllStringSubmatch(string(b), -1) {
		name, example := m[1], m[2]
		doc, ok := documents[name]
		require.True(t, ok, "an example of %q, which is no document", name)
		delete(documents, name)
		require.NoError(t, decode(example, doc), name)
		again, err := json.Marshal(doc)
		require.NoError(t, err)
		require.JSONEq(t, example, string(again), name)
	}
	require.Empty(t, documents, "these have no example")
}

// leaves are the commands that do something, by their path.
func leaves() map[string]*cobra.Command {
	a := &app{output: asTable}
	out := map[string]*cobra.Command{}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if !c.HasSubCommands() || c.Name() == "bench" || c.Name() == "demo" { // which do something, and have a command besides
			out[strings.TrimPrefix(c.CommandPath(), "kvcli ")] = c
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(a.rootCommand())
	return out
}

// TestEveryCommandHelps: --help of every command, and of every group of commands,
// succeeds and shows an example that begins with its name.
func TestEveryCommandHelps(t *testing.T) {
	for path, c := range leaves() {
		o := runWith(t, newFakeCluster(), "", append(strings.Fields(path), "--help")...)
		require.Zero(t, o.exit, path)
		require.Contains(t, o.stdout, "Examples:\n", path)
		require.Contains(t, c.Example, "kvcli "+path, "the example of %s is of something else", path)
	}
}

// TestDocsNameEveryFlag: each command and each of its flags is on the page.
func TestDocsNameEveryFlag(t *testing.T) {
	b, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	page := string(b)
	var missing []string
	for path, c := range leaves() {
		words := strings.Fields(path)
		if !strings.Contains(page, words[len(words)-1]) {
			missing = append(missing, path)
		}
		for _, f := range strings.Split(c.LocalNonPersistentFlags().FlagUsages(), "\n") {
			if m := regexp.MustCompile(`--[a-z0-9-]+`).FindString(f); m != "" && !regexp.MustCompile(regexp.QuoteMeta(m)+`\b`).MatchString(page) {
				missing = append(missing, path+" "+m)
			}
		}
	}
	require.Empty(t, missing, "these are not on the page")
}

// TestEveryDocumentIsGolden: a session, or the golden file of what only real processes
// print, has the document of every command, but for those that no two runs print
// alike: TestALocalCluster reads the status and the logs of a local cluster. A
// cluster that was made prints the document of its status. Keys are new every
// time: TestCert reads their documents. So is what is measured: TestBench holds the
// shape of that document. TestDemo, TestJepsen and TestReplay, TestTheVersionIsADocument
// and TestCompletion read those of demo, jepsen, version and completion.
func TestEveryDocumentIsGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.session")
	require.NoError(t, err)
	files = append(files, "testdata/processes.golden")
	var sessions strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		sessions.Write(b)
	}
	var missing []string
	for path := range leaves() {
		if first, _, _ := strings.Cut(path, " "); path == "local status" || path == "local logs" || first == "demo" || first == "jepsen" || first == "cert" || first == "completion" || first == "version" || path == "bench" || path == "cluster init" {
			continue
		}
		if !regexp.MustCompile(`(?m)^\$ .*kvcli ` + path + ` .*-o json`).MatchString(sessions.String()) {
			missing = append(missing, path)
		}
	}
	require.Empty(t, missing, "these have no golden document")
}

func TestTheVersionIsADocument(t *testing.T) {
	o := runWith(t, newFakeCluster(), "", "version", "-o", "json")
	require.Zero(t, o.exit)
	var doc versionDoc
	require.NoError(t, decode(o.stdout, &doc))
	require.Equal(t, buildVersion(), doc)
	require.Equal(t, runtime.Version(), doc.Go)
	require.NotEmpty(t, doc.Version)
	require.NotEmpty(t, doc.Commit)
}

// TestHelpIsNoDocument: a group of commands without a command shows its help, in
// whatever form output is asked for; docs/cli.md says so.
func TestHelpIsNoDocument(t *testing.T) {
	for _, group := range [][]string{nil, {"cluster"}, {"local"}, {"key"}, {"cluster", "--help"}} {
		o := runWith(t, newFakeCluster(), "", append(group, "-o", "json")...)
		require.Zero(t, o.exit, group)
		require.Empty(t, o.stderr, group)
		require.Contains(t, o.stdout, "Usage:", group)
	}
}
