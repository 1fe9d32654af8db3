package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
)

var update = flag.Bool("update", false, "write what the commands print into testdata")

// outcome is what one command line did.
type outcome struct {
	stdout, stderr string
	exit           int
}

// runWith carries out a command line against a cluster in memory.
func runWith(t *testing.T, f *fakeCluster, stdin string, args ...string) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(stdin), out: &out, errOut: &errOut, getenv: func(string) string { return "" },
		dial: func(context.Context, []string, ...client.Option) (cluster, error) { return f, nil },
	}
	exit := a.run(t.Context(), append(args, "--dir", "none"))
	return outcome{out.String(), errOut.String(), exit}
}

// TestSessions replays the sessions of testdata: "$ kvcli …" and what follows.
// Lines of standard error begin with "! ", a text that does not end its line is
// followed by "%", "* n5 is started" makes that so, an exit code other than 0 has a line of its own, and TOKEN is
// the context that was printed last. With -update the sessions are written anew.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.session")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			f := newFakeCluster()
			if filepath.Base(path) == "stop.session" {
				f = stopCluster()
				f.hold(1, events(1, 9), "n1", "n2", "n3")
				f.hold(4, events(1, 9), "n4")
				f.hold(4, events(1, 7), "n3")
				f.owe(4, events(1, 8), "n1")
			}
			got := replay(t, f, string(want))
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
				return
			}
			require.Equal(t, string(want), got)
		})
	}
}

var contextPrinted = regexp.MustCompile(`(?:"context": "|--context )([A-Za-z0-9_-]+)`)

// timed are durations and rates, which differ from run to run.
var timed = regexp.MustCompile(`("seconds": ?)[0-9.e-]+|( in )[0-9.]+[mµ]?s \([0-9,]+/s\)|( after )[0-9.]+ s`)

// replay keeps comments and commands and writes the answers anew.
func replay(t *testing.T, f *fakeCluster, text string) string {
	var b strings.Builder
	token := ""
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "#"):
			if s := b.String(); s != "" && !strings.HasSuffix(s, "\n\n") && !strings.HasPrefix(lastLine(s), "#") {
				b.WriteByte('\n')
			}
			b.WriteString(line)
		case line == "* n5 is started\n":
			f.started = append(f.started, "n5")
			b.WriteString(line)
		case strings.HasPrefix(line, "$ "):
			o := runWith(t, f, stdinOf(line), words(t, strings.ReplaceAll(line, "TOKEN", token))...)
			if m := contextPrinted.FindStringSubmatch(o.stdout); m != nil {
				token = m[1]
			}
			b.WriteString(line + timed.ReplaceAllString(o.String(), "${1}${2}${3}1"))
		}
	}
	return b.String()
}

func lastLine(s string) string {
	s = strings.TrimSuffix(s, "\n")
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func (o outcome) String() string {
	var b strings.Builder
	b.WriteString(o.stdout)
	if o.stdout != "" && !strings.HasSuffix(o.stdout, "\n") {
		b.WriteString("%\n")
	}
	for line := range strings.Lines(o.stderr) {
		b.WriteString("! " + line)
	}
	if o.exit != 0 {
		fmt.Fprintf(&b, "exit %d\n", o.exit)
	}
	return b.String()
}

// stdinOf is the text of `echo TEXT | kvcli …`.
func stdinOf(line string) string {
	text, ok := strings.CutPrefix(line, "$ echo ")
	if !ok {
		return ""
	}
	text, _, _ = strings.Cut(text, " | ")
	return text + "\n"
}

// words splits a command line; single quotes keep blanks together.
func words(t *testing.T, line string) []string {
	t.Helper()
	_, rest, ok := strings.Cut(strings.TrimSpace(line), "kvcli")
	require.True(t, ok, line)
	var out []string
	for i, part := range strings.Split(rest, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}
