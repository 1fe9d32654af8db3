package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kindredkv/kindred/local"
)

// options of a cluster of fake nodes in a folder of its own.
func options(t *testing.T, nodes int) local.Options {
	t.Helper()
	t.Setenv(fakeEnv, "1")
	t.Setenv("GORACE", "atexit_sleep_ms=0") // else each end takes a second under -race
	self, err := os.Executable()
	require.NoError(t, err)
	base, err := local.FreeBasePort(nodes, 14000+10*rand.IntN(180))
	require.NoError(t, err)
	return local.Options{
		Dir: filepath.Join(t.TempDir(), "cluster"), KVNode: self, Ready: 20 * time.Second,
		Shape: local.Shape{Nodes: nodes, BasePort: base},
	}
}

func start(t *testing.T, o local.Options) *local.Cluster {
	t.Helper()
	c, _, err := local.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Stop(context.Background(), time.Second) })
	return c
}

func states(t *testing.T, c *local.Cluster) []local.State {
	t.Helper()
	s, err := c.Status()
	require.NoError(t, err)
	var out []local.State
	for _, n := range s.Nodes {
		out = append(out, n.State)
	}
	return out
}

func node(t *testing.T, c *local.Cluster, name string) local.Node {
	t.Helper()
	n, err := c.Node(name)
	require.NoError(t, err)
	return n
}

func TestAClusterLivesAndEnds(t *testing.T) {
	t.Setenv("KINDRED_NAME", "mine")
	o := options(t, 4)
	o.Zones = 3
	var ready []string
	o.Progress = func(p local.Progress) { ready = append(ready, p.Node) }
	c, started, err := local.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { c.Stop(context.Background(), time.Second) })
	require.Equal(t, []string{"n1", "n2", "n3", "n4"}, started.Nodes)
	require.ElementsMatch(t, started.Nodes, ready)

	s, err := c.Status()
	require.NoError(t, err)
	require.Equal(t, o.Dir, s.Dir)
	require.Equal(t, "z1", s.Nodes[3].Zone, "the fourth node is in the first of three zones again")
	require.Equal(t, []local.State{"running", "running", "running", "running"}, states(t, c))
	for _, n := range s.Nodes {
		session, err := unix.Getsid(n.PID)
		require.NoError(t, err)
		require.Equal(t, n.PID, session, "%s outlives the session that started it (L2)", n.Name)
	}
	_, port, err := net.SplitHostPort(s.Nodes[2].HTTP)
	require.NoError(t, err)
	require.Equal(t, o.BasePort+23, atoi(t, port), "node 3 serves HTTP at base+10(3-1)+3")

	stopped, err := c.Stop(t.Context(), 10*time.Second)
	require.NoError(t, err)
	require.Len(t, stopped, 4)
	for _, n := range stopped {
		require.False(t, n.Killed, "%s drained", n.Name)
	}
	require.Equal(t, []local.State{"stopped", "stopped", "stopped", "stopped"}, states(t, c))
	require.Zero(t, node(t, c, "n1").PID)

	log, err := local.TailLines(node(t, c, "n2").LogFile, 10)
	require.NoError(t, err)
	require.Equal(t, []string{`n2 up, KINDRED_NAME=""`, "drained"}, log, "the caller's settings do not reach the nodes")

	stopped, err = c.Stop(t.Context(), time.Second)
	require.NoError(t, err)
	require.Empty(t, stopped, "a second stop finds nothing")
}

func TestStartStartsWhatDoesNotRun(t *testing.T) {
	o := options(t, 3)
	c := start(t, o)
	require.NoError(t, c.Kill(t.Context(), "2"))
	require.NoError(t, c.Pause(t.Context(), "n3"))
	first := node(t, c, "n1").PID

	_, started, err := local.Start(t.Context(), local.Options{Dir: o.Dir, Ready: o.Ready})
	require.NoError(t, err, "the folder knows shape and binary")
	require.Equal(t, local.Started{Nodes: []string{"n2"}, Resumed: []string{"n3"}}, started)
	require.Equal(t, []local.State{"running", "running", "running"}, states(t, c))
	require.Equal(t, first, node(t, c, "n1").PID, "a running node is left alone")

	_, started, err = local.Start(t.Context(), o)
	require.NoError(t, err)
	require.Empty(t, started.Nodes, "starting twice changes nothing")

	o.Nodes = 5
	_, _, err = local.Start(t.Context(), o)
	var shape *local.ShapeError
	require.ErrorAs(t, err, &shape)
	require.Equal(t, 3, shape.Have.Nodes)
	require.Equal(t, 5, shape.Ask.Nodes)
}

func TestKillPauseResumeRestart(t *testing.T) {
	c := start(t, options(t, 2))
	pid := node(t, c, "n1").PID

	require.NoError(t, c.Pause(t.Context(), "1"))
	require.Equal(t, local.Paused, node(t, c, "n1").State)
	require.NoError(t, c.Pause(t.Context(), "1"), "pausing a paused node changes nothing")
	require.NoError(t, c.Resume(t.Context(), "1"))
	require.Equal(t, local.Running, node(t, c, "n1").State)
	require.Equal(t, pid, node(t, c, "n1").PID)

	require.NoError(t, c.Kill(t.Context(), "n1"))
	require.Equal(t, local.Stopped, node(t, c, "n1").State)
	var ne *local.NodeError
	require.ErrorAs(t, c.Kill(t.Context(), "n1"), &ne)
	require.ErrorAs(t, c.Pause(t.Context(), "n1"), &ne)
	require.ErrorAs(t, c.Kill(t.Context(), "n9"), &ne)
	require.ErrorContains(t, ne, "n1 to n2")

	require.NoError(t, c.Restart(t.Context(), "n1", local.RestartOptions{}))
	again := node(t, c, "n1").PID
	require.NotEqual(t, pid, again)
	require.NoError(t, c.Pause(t.Context(), "n1"))
	require.NoError(t, c.Restart(t.Context(), "n1", local.RestartOptions{}), "a paused node can act on SIGTERM only when woken")
	log, err := local.TailLines(node(t, c, "n1").LogFile, 2)
	require.NoError(t, err)
	require.Equal(t, "drained", log[0])
}

// TestNobodyWaitsLongForANodeThatIsAlone: without others that run it cannot become
// ready, and the error says so. It goes on running for when they come.
func TestNobodyWaitsLongForANodeThatIsAlone(t *testing.T) {
	o := options(t, 2)
	o.Args, o.Ready = []string{"--fake-mode", "unready"}, -1
	c := start(t, o)
	require.NoError(t, c.Pause(t.Context(), "n2"))
	var unready *local.NotReadyError
	var err error
	for tries := 0; tries < 5 && (unready == nil || !strings.HasSuffix(unready.Reason, "waiting for the others")); tries++ { // it has seconds to say so
		err = c.Restart(t.Context(), "n1", local.RestartOptions{Ready: 5 * time.Minute})
		require.ErrorAs(t, err, &unready)
	}
	require.True(t, unready.Alone)
	require.Less(t, unready.Waited, 2*time.Minute)
	require.ErrorContains(t, err, "waiting for the others (log: ")
	require.ErrorContains(t, err, "it runs, but no other node does, and alone it has no quorum: start them all with 'kvcli local start'")
	require.Equal(t, local.Running, node(t, c, "n1").State)

	require.NoError(t, c.Resume(t.Context(), "n2"))
	err = c.Restart(t.Context(), "n1", local.RestartOptions{Ready: 4 * time.Second})
	require.ErrorAs(t, err, &unready)
	require.False(t, unready.Alone, "what another node waits for may come")
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestStopKillsWhatDoesNotDrain(t *testing.T) {
	o := options(t, 1)
	o.Args = []string{"--fake-mode", "stubborn"}
	c := start(t, o)
	over, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := c.Stop(over, time.Minute)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, []local.State{"running"}, states(t, c), "who gives up waiting kills nothing")
	stopped, err := c.Stop(t.Context(), 50*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, []local.StoppedNode{{Name: "n1", Killed: true}}, stopped)
	require.Equal(t, []local.State{"stopped"}, states(t, c))
}

func TestWipeEmptiesAStoppedNodeOnly(t *testing.T) {
	c := start(t, options(t, 1))
	n := node(t, c, "n1")
	file := filepath.Join(n.DataDir, "something")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	var ne *local.NodeError
	require.ErrorAs(t, c.Wipe(t.Context(), "n1"), &ne)
	require.True(t, ne.Unsafe)
	require.ErrorContains(t, ne, "'kvcli local kill n1 --dir "+c.Dir()+"'")
	require.FileExists(t, file)
	require.NoError(t, c.Kill(t.Context(), "n1"))
	require.NoError(t, c.Wipe(t.Context(), "n1"))
	require.NoFileExists(t, file)
	require.DirExists(t, n.DataDir)
	require.FileExists(t, n.LogFile)
}

func TestAStartThatFailsLeavesNoProcess(t *testing.T) {
	for mode, want := range map[string]string{
		"die-n2":  "the moon is wrong",
		"unready": "s: waiting for the others (log",
	} {
		t.Run(mode, func(t *testing.T) {
			o := options(t, 3)
			o.Args = []string{"--fake-mode", mode}
			if mode == "unready" {
				o.Ready = 300 * time.Millisecond
			}
			_, _, err := local.Start(t.Context(), o)
			require.Error(t, err)
			for ; !strings.Contains(err.Error(), want) && o.Ready < time.Minute; o.Ready *= 2 { // it had no time to say so
				_, _, err = local.Start(t.Context(), o)
				require.Error(t, err)
			}
			require.ErrorContains(t, err, want)
			c, err := local.Open(o.Dir)
			require.NoError(t, err, "data and logs stay")
			require.Equal(t, []local.State{"stopped", "stopped", "stopped"}, states(t, c))
		})
	}
}

func TestABusyPortIsNamed(t *testing.T) {
	o := options(t, 2)
	l, err := net.Listen("tcp", "127.0.0.1:"+itoa(o.BasePort+11))
	require.NoError(t, err)
	defer l.Close()
	_, _, err = local.Start(t.Context(), o)
	var pe *local.PortError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, o.BasePort+11, pe.Port)
	require.Equal(t, "n2", pe.Node)
	require.ErrorContains(t, err, "--base-port "+itoa(pe.Free))
	require.ErrorIs(t, err, syscall.EADDRINUSE)

	o.BasePort = pe.Free
	c := start(t, o)
	require.NoError(t, c.Kill(t.Context(), "n2"))
	l2, err := net.Listen("tcp", node(t, c, "n2").Peer)
	require.NoError(t, err)
	defer l2.Close()
	err = c.Restart(t.Context(), "n2", local.RestartOptions{})
	require.ErrorAs(t, err, &pe)
	require.ErrorContains(t, err, "end that program", "an existing cluster keeps its ports")
}

func TestABusyGossipPortIsNamedForUDPToo(t *testing.T) {
	o := options(t, 1)
	u, err := net.ListenPacket("udp", "127.0.0.1:"+itoa(o.BasePort+2))
	require.NoError(t, err)
	defer u.Close()
	_, _, err = local.Start(t.Context(), o)
	var pe *local.PortError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, "gossip", pe.Role)
}

func TestShapesThatCannotBe(t *testing.T) {
	for _, s := range []local.Shape{
		{Nodes: 65}, {Nodes: -1}, {Nodes: 2, Zones: 3}, {BasePort: 65530}, {BasePort: -7},
	} {
		_, _, err := local.Start(t.Context(), local.Options{Dir: t.TempDir(), Shape: s})
		require.Error(t, err, "%+v", s)
	}
}

// A process id is reused sooner or later. The folder says that n1 is the
// process with this test's own id, started at another time.
func TestAReusedProcessIDIsNotOurs(t *testing.T) {
	o := options(t, 1)
	c := start(t, o)
	_, err := c.Stop(t.Context(), 10*time.Second)
	require.NoError(t, err)
	path := filepath.Join(o.Dir, "cluster.json")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(b, &doc))
	process := doc["nodes"].([]any)[0].(map[string]any)["process"].(map[string]any)
	process["pid"] = os.Getpid()
	b, err = json.Marshal(doc)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o600))

	require.Equal(t, local.Stopped, node(t, c, "n1").State)
	require.Error(t, c.Kill(t.Context(), "n1"))
	stopped, err := c.Stop(t.Context(), time.Second)
	require.NoError(t, err)
	require.Empty(t, stopped)
}

func TestAFolderWithoutAUsableCluster(t *testing.T) {
	dir := t.TempDir()
	_, err := local.Open(dir)
	var none *local.NoClusterError
	require.ErrorAs(t, err, &none)

	for content, want := range map[string]string{
		`{"format":9}`:            "format 9",
		`{"format":1,"nodes":[`:   "not a cluster description",
		`{"format":1,"nodes":[]}`: "0 nodes",
		`{"format":1,"base_port":7400,"zones":1,"nodes":[{"name":"../../etc"}]}`: `"../../etc"`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cluster.json"), []byte(content), 0o600))
		_, err := local.Open(dir)
		var se *local.StateError
		require.ErrorAs(t, err, &se, content)
		require.ErrorContains(t, err, want)
		_, _, err = local.Start(t.Context(), local.Options{Dir: dir})
		require.ErrorAs(t, err, &se, "a start does not write over it")
	}
}

// Changes of one folder from many sides come one after the other.
func TestChangesExcludeOneAnother(t *testing.T) {
	c := start(t, options(t, 3))
	var wg sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		wg.Go(func() {
			errs[i] = c.Restart(t.Context(), itoa(i%3+1), local.RestartOptions{Ready: -1})
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Equal(t, []local.State{"running", "running", "running"}, states(t, c))
}

func TestLogsTailAndFollow(t *testing.T) {
	c := start(t, options(t, 1))
	path := node(t, c, "n1").LogFile
	var text strings.Builder
	for i := range 5000 {
		text.WriteString("line " + itoa(i) + " of a log that is longer than one block\n")
	}
	require.NoError(t, os.WriteFile(path, []byte(text.String()), 0o600))

	var out bytes.Buffer
	require.NoError(t, c.Logs(t.Context(), "1", local.LogOptions{Tail: -1}, &out))
	require.Equal(t, text.String(), out.String())
	for _, n := range []int{1, 2, 4999} {
		lines, err := local.TailLines(path, n)
		require.NoError(t, err)
		require.Len(t, lines, n)
		require.True(t, strings.HasPrefix(lines[0], "line "+itoa(5000-n)+" "), lines[0])
	}
	lines, err := local.TailLines(path, 6000)
	require.NoError(t, err)
	require.Len(t, lines, 5000)

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	follower := writerFunc(func(b []byte) (int, error) {
		if bytes.Contains(b, []byte("appended")) {
			cancel()
		} else {
			appendTo(t, path, "appended\n")
		}
		return len(b), nil
	})
	require.NoError(t, c.Logs(ctx, "1", local.LogOptions{Tail: 1, Follow: true}, follower))
	require.ErrorIs(t, ctx.Err(), context.Canceled, "the appended line was seen")
}
