package netns_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

// sandboxed reports whether the test is to go on: it runs it in a sandbox, and says
// what came of that.
func sandboxed(t *testing.T) bool {
	if netns.Inside() {
		return true
	}
	if err := netns.Missing(); err != nil {
		t.Skip(err)
	}
	require.NoError(t, netns.Enter([]string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}))
	return false
}

// arranged is what others could notice of a sandbox.
func arranged(t *testing.T) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	out := string(mounts)
	ifaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range ifaces {
		addrs, err := i.Addrs()
		require.NoError(t, err)
		out += fmt.Sprintln(i.Name, i.Flags, addrs)
	}
	routes, err := os.ReadFile("/proc/net/route")
	require.NoError(t, err)
	return out + string(routes)
}

// line is a connection between two nodes that is read all the time.
type line struct {
	net.Conn
	heard atomic.Int64
}

func connect(t *testing.T, n *netns.Network, from, to int) *line {
	places := n.Places()
	var l net.Listener
	require.NoError(t, local.Within(places[to].Namespace, func() (err error) {
		l, err = net.Listen("tcp", places[to].Host+":0")
		return err
	}))
	defer l.Close()
	c := &line{}
	require.NoError(t, local.Within(places[from].Namespace, func() (err error) {
		c.Conn, err = net.Dial("tcp", l.Addr().String())
		return err
	}))
	there, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); there.Close() })
	go func() {
		buf := make([]byte, 1000)
		for {
			n, err := there.Read(buf)
			c.heard.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	return c
}

// within waits for something that is to happen soon.
func within(t *testing.T, what string, happens func() bool) {
	t.Helper()
	require.Eventually(t, happens, 10*time.Second, time.Millisecond, what)
}

// TestTheFilterDoesWhatItIsTold to connections that exist.
func TestTheFilterDoesWhatItIsTold(t *testing.T) {
	if !sandboxed(t) {
		return
	}
	n, err := netns.New(3)
	require.NoError(t, err)
	defer func() { require.NoError(t, n.Close()) }()
	forth, back, beside := connect(t, n, 0, 1), connect(t, n, 1, 0), connect(t, n, 0, 2)
	say := func(l *line) { _, err := l.Write([]byte("x")); require.NoError(t, err) }
	for i, l := range []*line{forth, back, beside} {
		say(l)
		within(t, fmt.Sprint("in fair weather ", i), func() bool { return l.heard.Load() == 1 })
	}

	n.Set(0, 1, netns.Weather{Cut: true})
	lost := n.Stats().Lost
	say(forth)
	say(beside)
	within(t, "others hear", func() bool { return beside.heard.Load() == 2 })
	within(t, "packets are lost", func() bool { return n.Stats().Lost > lost })
	say(back) // one way: it arrives, and cannot be confirmed
	within(t, "what n2 says is heard", func() bool { return back.heard.Load() == 2 })
	require.EqualValues(t, 1, forth.heard.Load())
	require.ErrorContains(t, local.Within(n.Places()[0].Namespace, func() error {
		_, err := net.DialTimeout("tcp", n.Places()[1].Host+":9", 50*time.Millisecond)
		return err
	}), "i/o timeout", "not refused: what would refuse it is not heard either")
	n.Heal()
	within(t, "TCP tries again, and it arrives", func() bool { return forth.heard.Load() == 2 })

	t.Log("packets that are lost, doubled and late cost time and no bytes")
	n.Set(0, 1, netns.Weather{Lose: 0.2, Double: 0.2, Delay: time.Millisecond, Jitter: 2 * time.Millisecond})
	for range 200 {
		say(forth)
		time.Sleep(100 * time.Microsecond)
	}
	within(t, "all arrives, once", func() bool { return forth.heard.Load() == 202 })
	s := n.Stats()
	require.True(t, s.Lost > 0 && s.Doubled > 0 && s.Late > 0, "%+v", s)
	n.Heal()

	t.Log("clients and nodes hear one another whatever the weather")
	n.Set(0, 1, netns.Weather{Cut: true})
	n.Set(1, 0, netns.Weather{Cut: true})
	var l net.Listener
	require.NoError(t, local.Within(n.Places()[0].Namespace, func() (err error) {
		l, err = net.Listen("tcp", n.Places()[0].Host+":0")
		return err
	}))
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	c.Close()
}

// TestSpoiltBytesArrive: the kernel does not notice them, so who reads them has to.
func TestSpoiltBytesArrive(t *testing.T) {
	if !sandboxed(t) {
		return
	}
	n, err := netns.New(2)
	require.NoError(t, err)
	defer n.Close()
	places := n.Places()
	var l net.Listener
	require.NoError(t, local.Within(places[1].Namespace, func() (err error) {
		l, err = net.Listen("tcp", places[1].Host+":7000")
		return err
	}))
	defer l.Close()
	n.Set(0, 1, netns.Weather{Spoil: 1, SpoilPorts: []uint16{7000}})
	var c net.Conn
	require.NoError(t, local.Within(places[0].Namespace, func() (err error) {
		c, err = net.Dial("tcp", l.Addr().String())
		return err
	}))
	defer c.Close()
	there, err := l.Accept()
	require.NoError(t, err)
	defer there.Close()
	said, heard := bytes.Repeat([]byte("kindred"), 100), make([]byte, 700)
	_, err = c.Write(said)
	require.NoError(t, err)
	require.NoError(t, there.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = io.ReadFull(there, heard)
	require.NoError(t, err)
	require.NotEqual(t, said, heard)
	require.NotZero(t, n.Stats().Spoilt)
}

// TestNothingStays (N1, N2): neither of a sandbox that ends in order nor of one that
// is killed while it holds a network, a mount and a process.
func TestNothingStays(t *testing.T) {
	if os.Getenv("NETNS_TEST_DIE") != "" {
		_, err := netns.New(3)
		require.NoError(t, err)
		require.NoError(t, syscall.Mount("tmpfs", os.Getenv("NETNS_TEST_DIE"), "tmpfs", 0, "size=1m"))
		require.NoError(t, os.WriteFile(os.Getenv("NETNS_TEST_DIE")+"/inside", nil, 0o600))
		require.NoError(t, exec.Command("sleep", sleeps).Start())
		os.Exit(7) // with all of it
	}
	if err := netns.Missing(); err != nil {
		t.Skip(err)
	}
	before, dir := arranged(t), t.TempDir()
	var ended *exec.ExitError
	require.ErrorAs(t, netns.Enter([]string{"-test.run=^TestNothingStays$"}, "NETNS_TEST_DIE="+dir), &ended)
	require.Equal(t, 7, ended.ExitCode())
	require.Equal(t, before, arranged(t))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, p := range processes {
		line, err := os.ReadFile(p)
		if err == nil {
			require.NotEqual(t, "sleep\x00"+sleeps+"\x00", string(line), p)
		}
	}
}

// sleeps is for how long the process sleeps that a sandbox leaves behind; nobody else
// sleeps for that.
const sleeps = "36123.4"

func TestOutsideASandboxNothingIsMade(t *testing.T) {
	if netns.Inside() {
		t.Skip("inside")
	}
	_, err := netns.New(3)
	require.ErrorContains(t, err, "this is no sandbox")
}
