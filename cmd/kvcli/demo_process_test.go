package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// fewCities is enough to run the demo's every step.
func fewCities(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", demoData))
	require.NoError(t, err)
	lines := strings.SplitAfterN(string(b), "\n", 500)
	path := filepath.Join(t.TempDir(), "cities.csv")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines[:len(lines)-1], "")), 0o600))
	return path
}

// The demos hold, and README.md shows the lines that they tell. As a document they tell
// them on standard error.
func TestDemo(t *testing.T) {
	t.Run("cut and lose", func(t *testing.T) { demoIsShown(t, "1. Start five", "demo") })
	t.Run("grow and shrink", func(t *testing.T) { demoIsShown(t, "1. Start three", "demo", "grow") })
}

func demoIsShown(t *testing.T, begins string, command ...string) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "demo")}
	o := l.run(append(command, "--data", fewCities(t), "--kvnode", program(t, "kvnode"), "-o", "json")...)
	require.Zero(t, o.exit, o)
	var doc demoDoc
	require.NoError(t, decode(o.stdout, &doc))
	require.True(t, doc.Held)
	require.Positive(t, doc.Seconds)
	require.Contains(t, o.stderr, "498 records")
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	shown := regexp.MustCompile("(?ms)^```text\n(" + begins + ".*?)^```").FindSubmatch(page)
	require.NotNil(t, shown, "README.md does not show the demo")
	require.Equal(t, toldLines(string(shown[1])), toldLines(o.stderr), "README.md shows another demo")
	for _, n := range l.status("local", "status").Nodes {
		require.Equal(t, local.Stopped, n.State, "no process is left")
	}
}

// toldLines are the lines of a demo without what was counted and measured, sorted:
// values and moments come in no order, and each ring and each change is another one.
func toldLines(story string) []string {
	var lines []string
	for line := range strings.Lines(story) {
		if regexp.MustCompile(`^ +(\+|n\d+ z\d+ )`).MatchString(line) {
			continue
		}
		for _, m := range []struct{ pattern, by string }{
			{`\b0 (writes )?refused`, "none refused"},
			{`[0-9a-f]{32}:[0-9]+`, "DOT"},
			{`[0-9]+-[0-9a-f]{16}`, "LAYOUT"},
			{`[0-9.]+ (K|M)?i?B\b`, "N bytes"},
			{`records of \S+ stored`, "records stored"},
			{`(through|killed) n[0-9] `, "$1 NODE "},
			{`\([a-z, ]*\), dot`, "(CAUSES), dot"},
			{`\b([0-9]+m)?[0-9.]+(µs|ms|s)\b`, "N s"},
			{`\b[0-9][0-9,.:]*`, "N"},
			{` +`, " "},
		} {
			line = regexp.MustCompile(m.pattern).ReplaceAllString(line, m.by)
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// A demo is interrupted in the middle of something: nothing of it stays.
func TestAnInterruptedDemoLeavesNothing(t *testing.T) {
	t.Run("while a node is dead", func(t *testing.T) { interrupt(t, "killed n2", "demo") })
	t.Run("while owners change", func(t *testing.T) { interrupt(t, "committed layout", "demo", "grow") })
}

// interrupt ends a demo when it tells of something.
func interrupt(t *testing.T, when string, command ...string) {
	t.Parallel()
	cmd := exec.Command(program(t, "kvcli"), append(command, "--data", fewCities(t))...)
	scratch := t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	deadline := time.AfterFunc(commandMax, func() { cmd.Process.Kill() })
	defer deadline.Stop()

	ran := 0
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.Contains(lines.Text(), when) {
			ran = len(processesOf(t, scratch))
			require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
		}
	}
	cmd.Wait()
	require.Equal(t, 1, cmd.ProcessState.ExitCode(), errOut.String())
	require.Contains(t, errOut.String(), "interrupted")
	require.GreaterOrEqual(t, ran, 4, "nodes that ran")
	require.Empty(t, processesOf(t, scratch), "these still run")
	left, err := os.ReadDir(scratch)
	require.NoError(t, err)
	require.Empty(t, left, "the temporary folder is gone")
}

// processesOf are the command lines of the nodes that have their data in a folder.
func processesOf(t *testing.T, folder string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, f := range files {
		cmdline, err := os.ReadFile(f) // which may have ended
		if text := strings.ReplaceAll(string(cmdline), "\x00", " "); err == nil && strings.Contains(text, "--data-dir "+folder) {
			found = append(found, text)
		}
	}
	return found
}
