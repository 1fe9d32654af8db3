package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	tests := []struct {
		name, events string
		want         count
		shows, hides []string
	}{{
		name: "leaves are counted, groups are not",
		events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"run","Package":"p","Test":"TestA/y"}
{"Action":"output","Package":"p","Test":"TestA/y","Output":"chatter\n"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"skip","Package":"p","Test":"TestA/y"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Elapsed":0.25}`,
		want:  count{passed: 1, skipped: 1},
		shows: []string{"ok     p  1 passed, 1 skipped  0.2s"},
		hides: []string{"chatter"},
	}, {
		name: "a failed leaf is shown whole and counted once",
		events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"output","Package":"p","Test":"TestA/x","Output":"expected 1\n"}
{"Action":"output","Package":"p","Test":"TestA/x","Output":"actual 2\n"}
{"Action":"fail","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Elapsed":1}`,
		want:  count{failed: 1},
		shows: []string{"=== p TestA/x\nexpected 1\nactual 2\n", "FAILED p  0 passed, 1 FAILED"},
	}, {
		name: "a group that fails by itself is counted",
		events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/x"}
{"Action":"pass","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}`,
		want: count{passed: 1, failed: 1},
	}, {
		name: "a time limit fails the package and shows what was running",
		events: `
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestSlow"}
{"Action":"output","Package":"p","Test":"TestSlow","Output":"panic: test timed out after 15m0s\n"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"fail","Package":"p"}`,
		want:  count{passed: 1, failed: 1},
		shows: []string{"unfinished: TestSlow\npanic: test timed out"},
	}, {
		name: "a build failure is shown and counted",
		events: `
{"ImportPath":"p","Action":"build-output","Output":"p/a.go:1:1: expected 'package'\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p"}`,
		want:  count{failed: 1},
		shows: []string{"p/a.go:1:1: expected 'package'"},
	}, {
		name:   "a package without tests is not mentioned",
		events: `{"Action":"output","Package":"p","Output":"?   p [no test files]\n"}` + "\n" + `{"Action":"skip","Package":"p"}`,
		hides:  []string{"p"},
	}, {
		name:   "what is no event is shown as it is",
		events: "go: downloading x\n",
		shows:  []string{"go: downloading x"},
	}, {
		name:   "a last line without an end counts",
		events: `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n" + `{"Action":"pass","Package":"p"}`,
		want:   count{passed: 1},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			got, err := summarize(strings.NewReader(strings.TrimLeft(tt.events, "\n")), &out)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			for _, s := range tt.shows {
				require.Contains(t, out.String(), s)
			}
			for _, s := range tt.hides {
				require.NotContains(t, out.String(), s)
			}
		})
	}
}

func TestStages(t *testing.T) {
	tally := filepath.Join(t.TempDir(), "tally")
	stage := func(wantFailed bool, name string, plain, empty bool, command ...string) string {
		t.Helper()
		var out bytes.Buffer
		failed, err := run(&out, tally, name, plain, empty, command)
		require.NoError(t, err)
		require.Equal(t, wantFailed, failed, out.String())
		return out.String()
	}
	require.Contains(t, stage(true, "", false, false), "nothing ran\n0 passed, 1 failed\n", "an empty sheet is not a clean one")

	stage(false, "vet", true, false, "sh", "-c", "echo fine")
	stage(false, "gofmt", false, true, "true")
	require.Regexp(t, `vet +1 passed\nok +gofmt +1 passed\n2 passed, 0 failed\n$`, stage(false, "", false, false))

	require.Contains(t, stage(true, "gofmt again", false, true, "echo", "a.go"), "a.go")
	stage(true, "exit code", true, false, "sh", "-c", "exit 3")
	stage(true, "no such command", true, false, "./no-such-command")
	stage(true, "go test that cannot start", false, false, "./no-such-command")
	require.Contains(t, stage(true, "go test that says nothing", false, false, "sh", "-c", "echo why >&2; exit 1"), "why")
	require.True(t, strings.HasSuffix(stage(true, "", false, false), "\n2 passed, 5 failed\n"))
}

func TestBadCalls(t *testing.T) {
	_, err := run(&bytes.Buffer{}, "", "x", true, false, []string{"true"})
	require.ErrorContains(t, err, "-tally")
	tally := filepath.Join(t.TempDir(), "tally")
	_, err = run(&bytes.Buffer{}, tally, "", true, false, []string{"true"})
	require.ErrorContains(t, err, "-stage")
	require.NoError(t, os.WriteFile(tally, []byte("1 2 three\n"), 0o600))
	_, err = run(&bytes.Buffer{}, tally, "", false, false, nil)
	require.ErrorContains(t, err, "not a line of a tally")
}
