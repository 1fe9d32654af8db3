package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// recorder carries out command lines against real processes and writes down what
// they print in the form of the sessions, with what differs from run to run made
// equal.
type recorder struct {
	live
	base int
	text strings.Builder
}

func (r *recorder) note(text string) { fmt.Fprintf(&r.text, "\n# %s\n", text) }

func (r *recorder) do(line string) {
	r.t.Helper()
	args := strings.Fields(r.ported(line))
	if strings.HasPrefix(line, "local start") {
		args = append(args, "--kvnode", program(r.t, "kvnode"))
	}
	o := r.run(args...)
	var flat bytes.Buffer
	if json.Compact(&flat, []byte(o.stdout)) == nil && flat.Len() > 0 {
		o.stdout = flat.String() + "\n"
	}
	fmt.Fprintf(&r.text, "$ kvcli %s\n%s", line, r.equal(o.String()))
}

var portNumber = regexp.MustCompile(`\b[0-9]{4,5}\b`)

// ported puts the ports of this run in the place of those written, which are from
// 7400 on.
func (r *recorder) ported(line string) string { return r.shift(line, 7400, r.base) }

func (r *recorder) shift(text string, from, to int) string {
	return portNumber.ReplaceAllStringFunc(text, func(number string) string {
		if n, err := strconv.Atoi(number); err == nil && n >= from && n < from+40 {
			return strconv.Itoa(n - from + to)
		}
		return number
	})
}

var (
	pids       = regexp.MustCompile(`("pid":|process )[1-9][0-9]*`)
	asked      = regexp.MustCompile(`asked n[0-9]`)
	layouts    = regexp.MustCompile(`\b1-[0-9a-f]{16}\b`)
	longDigits = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
)

func (r *recorder) equal(text string) string {
	text = strings.ReplaceAll(text, r.dir, "DIR")
	text = r.shift(text, r.base, 7400)
	text = pids.ReplaceAllString(text, "${1}4711")
	text = asked.ReplaceAllString(text, "asked NODE")
	text = layouts.ReplaceAllString(text, "LAYOUT")
	return longDigits.ReplaceAllString(text, "DIGITS")
}

// TestWhatOnlyProcessesPrint holds the exact text and the exit code of every failure
// that needs real nodes, and the documents of the commands on local clusters, to
// testdata/processes.golden; -update writes it.
func TestWhatOnlyProcessesPrint(t *testing.T) {
	t.Parallel()
	base, err := local.FreeBasePort(4, 39000+10*rand.IntN(900))
	require.NoError(t, err)
	r := &recorder{live: live{t, filepath.Join(t.TempDir(), "cluster")}, base: base}
	t.Cleanup(func() { r.run("local", "stop", "--timeout", "5s") })
	r.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	r.ok("put", "carts", "alice", "milk", "--w", "all")

	r.note("Addresses that are not those for clients.")
	r.do("get carts alice --cluster 127.0.0.1:7403")
	r.do("get carts alice --cluster 127.0.0.1:7401 -o json")
	r.do("get carts alice --cluster 127.0.0.1:7402")
	r.do("get carts alice --cluster http://127.0.0.1:7403")
	r.do("get carts alice --cluster 127.0.0.1:abc -o json")

	r.note("What the cluster refuses; nothing is applied.")
	r.do("put carts alice x --w 4 --cluster 127.0.0.1:7400 --context AAAA")
	r.do("bucket create carts --n 5")
	r.do("repair run --node n9")
	r.do("cluster init -o json")

	r.note("Nodes and sides that are not there.")
	for _, line := range []string{
		"local kill x", "local kill 9 -o json", "local logs n0", "local cut 1/9", "local cut 1/1 -o json", "local cut 1/", "local cut 1,2",
		"local slow 2 1000h -o json", "local slow 2 50 -o json", "local start --nodes 5 -o json", "local start --nodes 3 --zones 2", "local wipe 1 -o json",
		"local add 62", "local add 0 -o json", "local add three", "local add --wait", "local remove 9", "local remove n2 2 -o json",
	} {
		r.do(line)
	}

	r.note("A node is added, and removed before it was a member.")
	for _, line := range []string{"local add -o json", "local remove 4 --delete-data -o json"} {
		r.do(line)
	}

	r.note("What is done to nodes, and the documents of it.")
	for _, line := range []string{
		"local start -o json", "local cut 1/2,3 --one-way -o json", "local slow 2 50ms -o json", "local heal -o json",
		"local pause 2 -o json", "local start --timeout 2m -o json", "local pause 2 -o json", "local resume 2 -o json",
		"local kill 3 -o json", "local kill 3 -o json", "local pause 3", "local resume 3 -o json", "local wipe 3 -o json",
		"local restart 3 --no-wait -o json", "local stop --timeout 60s -o json", "local stop -o json",
	} {
		r.do(line)
	}
	r.do("get carts alice --cluster 127.0.0.1:7400")
	r.do("get carts alice --cluster 127.0.0.1:7400,127.0.0.1:7410 -o json")

	const golden = "testdata/processes.golden"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(r.text.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), r.text.String())
}

// TestAWriteThatMayHaveHappenedExitsWith4: two of three homes are frozen after they
// were known to be up, so the first one takes the write and cannot tell what became
// of it.
func TestAWriteThatMayHaveHappenedExitsWith4(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base, err := local.FreeBasePort(3, 39000+10*rand.IntN(900))
	require.NoError(t, err)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	first := fmt.Sprintf("127.0.0.1:%d", base)
	var o outcome
	for range 10 { // a node that is found silent first takes no write that it could not finish
		l.ok("put", "carts", "alice", "milk", "--w", "all", "--timeout", "20s")
		l.ok("local", "pause", "2")
		l.ok("local", "pause", "3")
		o = l.run("put", "carts", "alice", "bread", "--blind", "--w", "all", "--timeout", "2s", "--cluster", first, "-o", "json")
		l.ok("local", "resume", "2")
		l.ok("local", "resume", "3")
		if o.exit == exitUnknown {
			break
		}
	}
	require.Equal(t, exitUnknown, o.exit, "%s", o)
	require.Empty(t, o.stdout)
	doc := errorOf(t, o)
	require.Equal(t, "unknown", doc.Outcome)
	require.Equal(t, exitUnknown, doc.Exit)
	require.NotEmpty(t, doc.RequestID, "with which the write can be repeated")
	l.ok("put", "carts", "alice", "bread", "--blind", "--request-id", doc.RequestID, "--timeout", "20s")
}

// TestTooFewNodesExitWith6: a strict quorum that is not there is refused before
// anything is written.
func TestTooFewNodesExitWith6(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base, err := local.FreeBasePort(3, 39000+10*rand.IntN(900))
	require.NoError(t, err)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	l.ok("put", "carts", "alice", "milk", "--w", "all")
	l.ok("local", "kill", "2")
	l.ok("local", "kill", "3")
	for _, args := range [][]string{
		{"put", "carts", "alice", "bread", "--blind", "--sloppy=false"},
		{"get", "carts", "alice", "--sloppy=false"},
		{"get", "carts", "alice", "--pr", "2"},
	} {
		o := l.run(append(args, "--timeout", "5s", "-o", "json")...)
		require.Equal(t, exitUnavailable, o.exit, "%s", o)
		require.Empty(t, o.stdout)
		doc := errorOf(t, o)
		require.Equal(t, "not_applied", doc.Outcome, "%s", o)
		require.Contains(t, doc.Message, "kindred: "+args[0]+" carts/alice: ")
		require.Contains(t, []string{"unavailable", "timeout"}, doc.Code)
	}
}
