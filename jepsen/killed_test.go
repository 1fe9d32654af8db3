package jepsen_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/local"
)

// toBeKilledEnv marks the program that TestAKilledRunIsClearedAway kills.
const toBeKilledEnv = "KINDRED_TEST_TO_BE_KILLED"

// TestAKilledRunIsClearedAway: nobody can end a run well that is killed. Its nodes live
// on, one of them frozen, and its folder stays; the next run ends and removes them.
func TestAKilledRunIsClearedAway(t *testing.T) {
	options := jepsen.ClusterOptions{KVNode: kvnode, Nodes: 2, Zones: 1, N: 1}
	if os.Getenv(toBeKilledEnv) != "" {
		c, _, err := jepsen.StartCluster(t.Context(), options)
		require.NoError(t, err)
		require.NoError(t, c.Pause(t.Context(), "n2"))
		fmt.Println("folder " + c.Dir())
		select {}
	}
	t.Setenv("TMPDIR", t.TempDir())
	self, err := os.Executable()
	require.NoError(t, err)
	run := exec.Command(self, "-test.run=^"+t.Name()+"$")
	run.Env = append(os.Environ(), toBeKilledEnv+"=1", kvnodeEnv+"="+kvnode)
	out, err := run.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, run.Start())
	t.Cleanup(func() { _, _ = run.Process.Kill(), run.Wait() })
	dir := ""
	for lines := bufio.NewScanner(out); dir == "" && lines.Scan(); {
		dir = strings.TrimPrefix(lines.Text(), "folder ")
	}
	left, err := local.Open(dir)
	require.NoError(t, err)
	require.NoError(t, run.Process.Kill())
	_ = run.Wait()
	status, err := left.Status()
	require.NoError(t, err)
	require.Equal(t, local.Running, status.Nodes[0].State)
	require.Equal(t, local.Paused, status.Nodes[1].State)

	_, end, err := jepsen.StartCluster(t.Context(), options)
	require.NoError(t, err)
	require.NoDirExists(t, dir)
	for _, n := range status.Nodes {
		// Who has ended and has nobody who asks how is a zombie.
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.PID)); err == nil {
			require.Contains(t, string(stat), ") Z ", n.Name)
		}
	}
	require.NoError(t, end(false))
	entries, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, entries)
}
