package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

func TestEveryCommandHasAnExample(t *testing.T) {
	a := &app{output: asTable}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		require.NotEmpty(t, c.Example, c.CommandPath())
		require.NotEmpty(t, c.Short, c.CommandPath())
		for _, line := range strings.Split(c.Example, "\n") {
			require.True(t, strings.HasPrefix(line, "  "), "%s: examples are indented: %q", c.CommandPath(), line)
		}
		for _, child := range c.Commands() {
			visit(child)
		}
	}
	visit(a.rootCommand())
}

// Every kind of failure has its exit code; scripts rely on them.
func TestExitCodes(t *testing.T) {
	failed := func(op kindred.Op, code kindred.Code, o kindred.Outcome) error {
		return &client.Error{Op: op.String(), Err: &kindred.Error{Code: code, Outcome: o}}
	}
	for _, c := range []struct {
		name string
		err  error
		exit int
	}{
		{"something else", errors.New("x"), 1},
		{"usage", usageError{&cobra.Command{}, errors.New("x")}, 1},
		{"bad request", failed(kindred.OpPut, kindred.CodeInvalid, kindred.NotApplied), 1},
		{"bad request, before it was sent", kindred.Invalid("key", "x"), 1},
		{"too large", failed(kindred.OpPut, kindred.CodeTooLarge, kindred.NotApplied), 1},
		{"foreign context", failed(kindred.OpPut, kindred.CodeBadContext, kindred.NotApplied), 1},
		{"no local cluster", &local.NoClusterError{Dir: "x"}, 2},
		{"a write that may have happened", failed(kindred.OpPut, kindred.CodeTimeout, kindred.Unknown), 4},
		{"a delete that may have happened", failed(kindred.OpDelete, kindred.CodeUnavailable, kindred.Unknown), 4},
		{"a read has no outcome to be unsure of", failed(kindred.OpGet, kindred.CodeTimeout, kindred.Unknown), 6},
		{"too many siblings", failed(kindred.OpPut, kindred.CodeSiblings, kindred.NotApplied), 5},
		{"a wipe of a running node", fmt.Errorf("wrapped: %w", &local.NodeError{Unsafe: true}), 5},
		{"a kill of a stopped node", &local.NodeError{}, 1},
		{"no quorum", failed(kindred.OpPut, kindred.CodeUnavailable, kindred.NotApplied), 6},
		{"overload", failed(kindred.OpPut, kindred.CodeOverloaded, kindred.NotApplied), 6},
		{"no time left", failed(kindred.OpPut, kindred.CodeTimeout, kindred.NotApplied), 6},
		{"full disk", failed(kindred.OpPut, kindred.CodeDiskFull, kindred.NotApplied), 6},
		{"no layout", failed(kindred.OpScan, kindred.CodeNoLayout, kindred.NotApplied), 6},
		{"nobody answers", fmt.Errorf("%w", &client.DialError{}), 6},
	} {
		require.Equal(t, c.exit, describe(c.err).Exit, c.name)
	}
}

// found is where an app would dial.
func found(t *testing.T, a *app) string {
	t.Helper()
	p, err := a.find()
	require.NoError(t, err)
	return strings.Join(p.addrs, ",")
}

func TestTheClusterIsFoundInOrder(t *testing.T) {
	dir := t.TempDir()
	env := "c:1, d:2"
	a := &app{cluster: "a:1,b:2", dir: dir, getenv: func(name string) string {
		require.Equal(t, "KINDRED_CLUSTER", name)
		return env
	}}
	require.Equal(t, "a:1,b:2", found(t, a))
	a.cluster = ""
	require.Equal(t, "c:1,d:2", found(t, a))
	env = ""
	require.Equal(t, "127.0.0.1:7400", found(t, a), "no cluster in the folder")

	const stopped = `{"format":1,"base_port":17400,"zones":1,"nodes":[{"name":"n1","zone":"z1","process":{"pid":0}}]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cluster.json"), []byte(stopped), 0o600))
	require.Equal(t, "127.0.0.1:7400", found(t, a), "the cluster in the folder does not run")

	env = " , "
	_, err := a.find()
	require.ErrorContains(t, err, "holds no address")
	env = ""
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cluster.json"), []byte("{"), 0o600))
	_, err = a.find()
	require.Error(t, err, "a folder that cannot be read is no reason to write elsewhere")
}

func TestAFailedDialSaysWhere(t *testing.T) {
	var errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(""), out: &bytes.Buffer{}, errOut: &errOut, getenv: func(string) string { return "" },
		dial: func(_ context.Context, addrs []string, _ ...client.Option) (cluster, error) {
			return nil, &client.DialError{Failed: []client.DialFailure{{Addr: addrs[0], Err: errors.New("refused")}}}
		},
	}
	require.Equal(t, 6, a.run(t.Context(), []string{"get", "a", "b", "--dir", "none"}))
	require.Contains(t, errOut.String(), "127.0.0.1:7400: refused")
	require.Contains(t, errOut.String(), "no local cluster runs in none")
}

func TestTheServerIsFound(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := findKVNode("")
	require.ErrorContains(t, err, "--kvnode")
	_, err = findKVNode("/no/such/kvnode")
	require.ErrorContains(t, err, "/no/such/kvnode")

	onPath := filepath.Join(os.Getenv("PATH"), "kvnode")
	require.NoError(t, os.WriteFile(onPath, []byte("#!/bin/sh\n"), 0o700))
	got, err := findKVNode("")
	require.NoError(t, err)
	require.Equal(t, onPath, got)

	named := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, os.WriteFile(named, []byte("#!/bin/sh\n"), 0o700))
	got, err = findKVNode(named)
	require.NoError(t, err)
	require.Equal(t, named, got)
}

func TestOptionsReachTheCluster(t *testing.T) {
	f := newFakeCluster()
	o := runWith(t, f, "", "put", "b", "k", "v", "--blind", "--w", "all", "--pw", "one", "--durability", "sync",
		"--content-type", "text/plain", "--request-id", "000102030405060708090a0b0c0d0e0f")
	require.Zero(t, o.exit, o.stderr)
	require.Equal(t, kindred.CountAll, f.request.W)
	require.EqualValues(t, 1, f.request.PW)
	require.Equal(t, kindred.Sync, f.request.Durability)
	require.Equal(t, "text/plain", f.request.ContentType)
	require.Equal(t, "000102030405060708090a0b0c0d0e0f", f.request.RequestID.String())

	o = runWith(t, f, "", "get", "b", "k", "--r", "quorum", "--pr", "2")
	require.Zero(t, o.exit, o.stderr)
	require.Equal(t, kindred.CountQuorum, f.request.R)
	require.EqualValues(t, 2, f.request.PR)
}

func TestAValueFromAFileAndOneThatIsTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "value")
	require.NoError(t, os.WriteFile(path, []byte("from a file\n"), 0o600))
	f := newFakeCluster()
	require.Zero(t, runWith(t, f, "", "put", "b", "k", "--file", path).exit)
	require.Equal(t, "from a file\n", runWith(t, f, "", "get", "b", "k").stdout)

	o := runWith(t, f, strings.Repeat("x", kindred.ValueBytesMax+100), "put", "b", "k", "-")
	require.Equal(t, 1, o.exit)
	require.Contains(t, o.stderr, "the limit is 8388608")
	require.Equal(t, "from a file\n", runWith(t, f, "", "get", "b", "k").stdout, "nothing was applied")
}

func TestImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "people.csv")
	require.NoError(t, os.WriteFile(path, []byte("id,name\n1,Ada\n2,Grace\n3,too,many\n"), 0o600))
	f := newFakeCluster()
	o := runWith(t, f, "", "import", "people", path, "--key", "id")
	require.Equal(t, 1, o.exit, "one row is bad")
	require.Contains(t, o.stdout, "3 records in ")
	require.Contains(t, o.stdout, "2 stored (0 of them replaced another value), 0 unchanged, 1 bad rows, 0 failed")
	require.Contains(t, o.stderr, "line 4: 3 fields, but the header has 2")
	require.Equal(t, `{"id":"2","name":"Grace"}`, runWith(t, f, "", "get", "people", "2").stdout)

	o = runWith(t, f, "", "import", "people", path, "--key", "id", "-o", "json")
	require.Equal(t, 1, o.exit)
	var doc importDoc
	require.NoError(t, decode(o.stdout, &doc))
	require.EqualValues(t, 2, doc.Unchanged)
	require.Equal(t, 4, doc.Failures[0].Line)
	require.Equal(t, "bad_rows", errorOf(t, o).Code)

	o = runWith(t, f, `{"id":"9"}`, "import", "vague", "-", "--format", "jsonl", "--key", "id", "-o", "json")
	require.Equal(t, 4, o.exit, "a write of unknown outcome")
	o = runWith(t, f, `{"id":"9"}`, "import", "down", "-", "--format", "jsonl", "--key", "id")
	require.Equal(t, 6, o.exit)

	for _, args := range [][]string{
		{"import", "people", path},
		{"import", "people", path, "--key", "nr"},
		{"import", "people", "-", "--key", "id"},
		{"import", "people", "/no/such.csv", "--key", "id"},
		{"import", "people", path, "--key", "id", "--concurrency", "0"},
		{"import", "", path, "--key", "id"},
	} {
		require.Equal(t, 1, runWith(t, f, "", args...).exit, args)
	}
}

func errorOf(t *testing.T, o outcome) errorDoc {
	t.Helper()
	var doc struct {
		Error errorDoc `json:"error"`
	}
	require.NoError(t, decode(o.stderr, &doc))
	return doc.Error
}

func TestExcerptsFitATerminal(t *testing.T) {
	require.Equal(t, "plain", excerpt([]byte("plain")))
	require.Equal(t, `"a\nb\x1b[31m"`, excerpt([]byte("a\nb\x1b[31m")), "a value cannot colour the terminal")
	require.Equal(t, "2 bytes that are not text", excerpt([]byte{0xff, 0xfe}))
	require.Equal(t, strings.Repeat("é", 200)+"… (1000 bytes)", excerpt([]byte(strings.Repeat("é", 500))))
	require.Equal(t, strings.Repeat("x", 200)+"… (201 bytes)", excerpt([]byte(strings.Repeat("x", 201))))
}

// Nobody ever writes to standard input: an interrupt ends the wait for it.
func TestAnInterruptEndsTheWaitForInput(t *testing.T) {
	for _, args := range [][]string{
		{"put", "b", "k", "-"},
		{"import", "b", "-", "--format", "csv", "--key", "id"},
	} {
		silent, stdin := io.Pipe()
		a := &app{
			in: silent, out: io.Discard, errOut: io.Discard, getenv: func(string) string { return "" },
			dial: func(context.Context, []string, ...client.Option) (cluster, error) { return newFakeCluster(), nil },
		}
		ctx, interrupt := context.WithCancel(t.Context())
		exit := make(chan int)
		go func() { exit <- a.run(ctx, append(args, "--dir", "none")) }()
		interrupt()
		require.Equal(t, 1, <-exit, args)
		stdin.Close()
	}
}
