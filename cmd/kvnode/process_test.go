package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kindredkv/kindred/local"
)

// mainEnv makes the test binary behave as kvnode, so that the tests meet real
// processes without building one.
const mainEnv = "KVNODE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

const patience = 30 * time.Second

// kvnode is one process.
type kvnode struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr *bytes.Buffer // complete when the process has ended
	done   chan error
}

// launch starts a process; it does not outlive the test.
func launch(t *testing.T, args ...string) *kvnode {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &kvnode{t: t, cmd: exec.Command(self, args...), stderr: &bytes.Buffer{}, done: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), mainEnv+"=1", "GORACE=atexit_sleep_ms=0")
	p.cmd.Stderr = p.stderr
	read, write := io.Pipe()
	p.cmd.Stdout = write
	p.stdout = bufio.NewReader(read)
	require.NoError(t, p.cmd.Start())
	go func() {
		p.done <- p.cmd.Wait()
		write.Close()
	}()
	t.Cleanup(func() {
		read.Close()
		p.cmd.Process.Kill()
	})
	return p
}

// exit waits for the end and returns the exit code and what was said.
func (p *kvnode) exit() (code int, stderr string) {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), p.stderr.String()
	case <-time.After(patience):
		p.t.Fatalf("the process has not ended after %s", patience)
		return 0, ""
	}
}

// ready waits for the one line of standard output.
func (p *kvnode) ready() string {
	p.t.Helper()
	line := make(chan string, 1)
	go func() {
		s, _ := p.stdout.ReadString('\n')
		line <- s
	}()
	select {
	case s := <-line:
		return s
	case <-time.After(patience):
		p.t.Fatalf("no line after %s", patience)
		return ""
	}
}

// alone are the flags of a cluster of one node.
func alone(t *testing.T, dir string) []string {
	t.Helper()
	args := []string{"--name", "n1", "--data-dir", dir, "--expect", "1"}
	for _, flag := range []string{"--client-addr", "--peer-addr", "--gossip-addr", "--http-addr"} {
		args = append(args, flag, freeAddr(t))
	}
	return args
}

// addrs counts the addresses that these tests have taken.
var addrs atomic.Int32

// freeAddr finds an address from port 16000 to 17000, where the tests of no other
// package look and from which no system takes ports for connections: nobody takes
// it before the node does, or while it is restarted.
func freeAddr(t *testing.T) string {
	t.Helper()
	const places = 100
	place := (10*os.Getpid() + int(addrs.Add(1))) % places
	base, err := local.FreeBasePort(1, 16000+local.PortsPerNode*place)
	require.NoError(t, err)
	return fmt.Sprintf("127.0.0.1:%d", base)
}

func TestANodeServesAndDrains(t *testing.T) {
	dir := t.TempDir()
	args := alone(t, dir)
	p := launch(t, args...)
	line := p.ready()
	require.True(t, strings.HasPrefix(line, "kvnode n1 is ready"), line)

	url := "http://" + args[len(args)-1]
	req, err := http.NewRequest(http.MethodPut, url+"/v1/buckets/b/keys/k", strings.NewReader("v"))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusNoContent, resp.StatusCode)

	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	code, said := p.exit()
	require.Zero(t, code, said)
	require.Contains(t, said, "drained and stopped")

	again := launch(t, args...)
	again.ready()
	resp, err = http.Get(url + "/v1/buckets/b/keys/k")
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "v", string(b), "what was acknowledged is there after the restart")
	require.NoError(t, again.cmd.Process.Signal(syscall.SIGINT))
	code, said = again.exit()
	require.Zero(t, code, said)
}

// The disk refuses to take any more: a node that cannot keep what it promised
// ends, and says why.
func TestAStoreThatFailsEndsTheNode(t *testing.T) {
	args := alone(t, t.TempDir())
	p := launch(t, args...)
	p.ready()
	nothing := unix.Rlimit{}
	require.NoError(t, unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &nothing, nil))
	req, err := http.NewRequest(http.MethodPut, "http://"+args[len(args)-1]+"/v1/buckets/b/keys/k?durability=sync", strings.NewReader("v"))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	if err == nil {
		resp.Body.Close()
		require.NotEqual(t, http.StatusNoContent, resp.StatusCode, "it was not stored")
	}
	code, said := p.exit()
	require.Equal(t, 1, code)
	require.Contains(t, said, "kvnode: node n1 failed and stopped: ")
	require.Contains(t, said, "file too large")
}

func TestASecondProcessOnAFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := launch(t, alone(t, dir)...)
	first.ready()
	code, said := launch(t, alone(t, dir)...).exit()
	require.Equal(t, 1, code)
	host, err := os.Hostname()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	require.Equal(t, fmt.Sprintf("kvnode: node n1 cannot start: storage: %s is in use by process %d on %s: one folder belongs to one node; "+
		"stop that one or give this one a folder of its own", dir, first.cmd.Process.Pid, host), lines[len(lines)-1])
}

func TestABusyPortIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	busy := l.Addr().String()
	for _, flag := range []string{"--client-addr", "--peer-addr", "--gossip-addr", "--http-addr"} {
		code, said := launch(t, append(alone(t, t.TempDir()), flag, busy)...).exit()
		require.Equal(t, 1, code, flag)
		require.Contains(t, said, busy, flag)
	}
}

func TestAFolderOfAnotherNodeIsRefused(t *testing.T) {
	dir := t.TempDir()
	p := launch(t, alone(t, dir)...)
	p.ready()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.exit()
	code, said := launch(t, append(alone(t, dir), "--name", "n2")...).exit()
	require.Equal(t, 1, code)
	require.Contains(t, said, "n1", "the name that the folder belongs to")
}

func TestBadFlagsEndTheProcess(t *testing.T) {
	code, said := launch(t, "--nmae", "n1").exit()
	require.Equal(t, 1, code)
	require.Contains(t, said, "did you mean --name?")
	code, said = launch(t, append(alone(t, t.TempDir()), "--http-addr", "0.0.0.0:0")...).exit()
	require.Equal(t, 1, code)
	require.Contains(t, said, "--insecure")
}

// TestWhatIsRefusedBeforeAnythingIsTouched holds the exact texts of settings that
// cannot be, and that no folder is made for them.
func TestWhatIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--name", ""}, "--name: the node needs a name, unique in its cluster: give it one, such as --name n1"},
		{[]string{"--data-dir", ""}, "--data-dir: the node needs a folder for its data: give it one of its own, such as --data-dir /var/lib/kindred"},
		{[]string{"--client-addr", "127.0.0.1:70000"}, `--client-addr: "127.0.0.1:70000" has no port from 1 to 65535, nor 0 for any that is free: use one, such as 127.0.0.1:7400`},
		{[]string{"--http-addr", "127.0.0.1:abc"}, `--http-addr: "127.0.0.1:abc" has no port from 1 to 65535, nor 0 for any that is free: use one, such as 127.0.0.1:7403`},
		{[]string{"--http-addr", "0.0.0.0:7403"}, "--http-addr: 0.0.0.0:7403 is reachable from other machines and this node has no TLS: give it certificates (--tls-cert, --tls-key, --tls-ca), or listen on 127.0.0.1, or pass --insecure on a network you trust"},
		{[]string{"--gossip-addr", ":7402"}, "--gossip-addr: :7402 is reachable from other machines and this node has no gossip key: give it a --gossip-key, or listen on 127.0.0.1, or pass --insecure on a network you trust"},
		{[]string{"--production", "--fault-injection"}, "--fault-injection: is refused together with --production: leave out one of them; a node that takes orders to cut its links is for tests"},
		{[]string{"--production", "--insecure"}, "--insecure: is refused together with --production: give the node certificates (--tls-cert, --tls-key, --tls-ca) and a --gossip-key"},
		{[]string{"--join", "n2"}, `--join: "n2" is not host:port of a gossip address, such as 10.0.0.2:7402`},
		{[]string{"--expect", "three"}, "--expect three: use a whole number"},
		{[]string{"--expect", "5000"}, "--expect: 5000: use the number of nodes of the new cluster, 1 to 1000, or 0 to wait for a layout"},
		{[]string{"--capacity", "-1"}, "--capacity -1: use a whole number from 0"},
		{[]string{"--zoen", "z1"}, "unknown flag: --zoen; did you mean --zone?"},
		{[]string{"start"}, `unexpected argument "start": all settings are flags`},
	} {
		var out, errOut bytes.Buffer
		args := append([]string{"--name", "n1", "--data-dir", dir}, c.args...)
		require.Equal(t, 1, run(args, nil, nil, &out, &errOut), c.args)
		require.Equal(t, "kvnode: "+c.want+"\nkvnode --help lists the settings.\n", errOut.String())
		require.Empty(t, out.String())
		require.NoDirExists(t, dir)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for flag, want := range map[string]string{"--help": "Example, a cluster of one node", "--version": "kvnode "} {
		var out, errOut bytes.Buffer
		require.Zero(t, run([]string{flag}, nil, nil, &out, &errOut))
		require.Contains(t, out.String(), want)
		require.Empty(t, errOut.String())
	}
}

// A node that waits for others is told to stop.
func TestANodeThatWaitsCanBeStopped(t *testing.T) {
	signals := make(chan os.Signal, 2)
	signals <- syscall.SIGTERM
	var out, errOut bytes.Buffer
	args := append(alone(t, filepath.Join(t.TempDir(), "new")), "--expect", "3")
	require.Zero(t, run(args, nil, signals, &out, &errOut), errOut.String())
	require.Empty(t, out.String(), "it never was ready")
}

// The second signal comes while the node drains: the program does not wait.
func TestASecondSignalDoesNotWait(t *testing.T) {
	var errOut journal // the node writes on
	code := 0
	for tries := 0; code == 0 && tries < 10; tries++ { // it may have drained before it was given the time to look
		signals := make(chan os.Signal, 2)
		signals <- syscall.SIGTERM
		signals <- syscall.SIGTERM
		dir, err := os.MkdirTemp("", "kvnode-")
		require.NoError(t, err)
		t.Cleanup(func() { os.RemoveAll(dir) }) // the node still drains, so this may leave a file
		code = run(alone(t, dir), nil, signals, io.Discard, &errOut)
	}
	require.Equal(t, 1, code, errOut.String())
	require.Contains(t, errOut.String(), "second signal")
}

// journal is a buffer for writers that may outlive the reader's patience.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// A node is ready when it holds its share; until then /readyz says what it waits for.
func TestReadinessSaysWhatItWaitsFor(t *testing.T) {
	ready := func(args []string) (int, string) {
		resp, err := http.Get("http://" + args[len(args)-1] + "/readyz")
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(b)
	}
	first := append([]string{"--expect", "2"}, alone(t, t.TempDir())...)
	first = append(first[:6:6], first[8:]...) // without --expect 1
	p := launch(t, first...)
	require.Eventually(t, func() bool { code, _ := ready(first); return code == http.StatusServiceUnavailable }, patience, 20*time.Millisecond)
	require.Eventually(t, func() bool { _, body := ready(first); return strings.Contains(body, "1 of 2") }, patience, 20*time.Millisecond)

	second := alone(t, t.TempDir())
	second[1], second[5] = "n2", "2"
	second = append([]string{"--join", first[len(first)-3]}, second...)
	q := launch(t, second...)
	p.ready()
	q.ready()
	for _, args := range [][]string{first, second} {
		code, body := ready(args)
		require.Equal(t, http.StatusOK, code)
		require.JSONEq(t, `{"ready":true,"reason":""}`, body)
	}
}
