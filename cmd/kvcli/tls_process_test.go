package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestALocalClusterWithTLS: the cluster's folder holds all that kvcli needs, and
// nobody gets in without it.
func TestALocalClusterWithTLS(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 3)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(base), "--tls", "--kvnode", program(t, "kvnode"))

	t.Log("everything works as without")
	l.ok("put", "carts", "alice", "milk")
	require.Equal(t, "milk", l.ok("get", "carts", "alice"))
	l.ok("local", "cut", "1/2,3")
	l.ok("local", "heal")
	l.ok("local", "restart", "2")
	require.NotContains(t, l.ok("local", "status"), "certificate")

	kit := filepath.Join(l.dir, "tls")
	info, err := os.Stat(kit)
	require.NoError(t, err)
	require.EqualValues(t, 0o700, info.Mode().Perm())

	t.Log("from elsewhere one needs keys")
	client := fmt.Sprintf("127.0.0.1:%d", base)
	away := live{t, t.TempDir()}
	o := away.run("get", "carts", "alice", "--cluster", client, "--timeout", "1s")
	require.Equal(t, exitError, o.exit, o)
	require.Contains(t, o.stderr, client+" speaks TLS, and kvcli was given no keys: name the cluster's authority (--tls-ca)")
	o = away.run("get", "carts", "alice", "--cluster", client, "--tls-ca", filepath.Join(kit, "ca.pem"))
	require.Equal(t, exitError, o.exit, o)
	require.Contains(t, o.stderr, "this node wants to know who calls: use a certificate of the cluster's authority (--tls-cert, --tls-key) or a token (--token-file)")
	require.Equal(t, "milk", away.ok("get", "carts", "alice", "--cluster", client, "--tls-ca", filepath.Join(kit, "ca.pem"),
		"--token-file", filepath.Join(kit, "client.token")))
	require.Equal(t, "milk", away.ok("get", "carts", "alice", "--cluster", client, "--tls-ca", filepath.Join(kit, "ca.pem"),
		"--tls-cert", filepath.Join(kit, "client.pem"), "--tls-key", filepath.Join(kit, "client.key")))

	t.Log("keys of another cluster are told from none")
	foreign := t.TempDir()
	for _, args := range [][]string{{"ca"}, {"client", "me"}} {
		away.ok(append(append([]string{"cert"}, args...), "--out", foreign)...)
	}
	guess := filepath.Join(foreign, "guess.token")
	require.NoError(t, os.WriteFile(guess, []byte(strings.Repeat("A", 43)+"\n"), 0o600))
	pair := []string{"--tls-cert", filepath.Join(foreign, "me.pem"), "--tls-key", filepath.Join(foreign, "me.key")}
	for _, c := range []struct {
		exit int
		text string
		args []string
	}{
		{exitUnavailable, "kindred: no node answers at " + client + ": its certificate was signed by another authority than the one given (kvcli --tls-ca): give that of its cluster. The addresses come from --cluster",
			append([]string{"--tls-ca", filepath.Join(foreign, "ca.pem")}, pair...)},
		{exitError, "--tls-cert " + pair[1] + `: it was signed by "Kindred", which is no authority of this cluster`,
			append([]string{"--tls-ca", filepath.Join(kit, "ca.pem")}, pair...)},
		{exitError, "kindred: no node answers at " + client + ": the token is not known here: compare it with the line of the node's --tokens file, which holds its SHA-256",
			[]string{"--tls-ca", filepath.Join(kit, "ca.pem"), "--token-file", guess}},
	} {
		o := away.run(append(c.args, "get", "carts", "alice", "--cluster", client)...)
		require.Equal(t, c.exit, o.exit, o)
		require.Contains(t, o.stderr, "kvcli: "+c.text)
	}

	o = away.run("get", "carts", "alice", "--cluster", client, "--token-file", filepath.Join(kit, "client.token"))
	require.Equal(t, exitError, o.exit, o)
	require.Contains(t, o.stderr, "--tls-ca")
}

// A cluster in plain text cannot be changed node by node.
func TestTLSIsForTheWholeCluster(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	base := freePorts(t, 1)
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "1", "--base-port", fmt.Sprint(base), "--kvnode", program(t, "kvnode"))
	l.ok("put", "carts", "alice", "milk")
	o := l.run("local", "start", "--tls", "--kvnode", program(t, "kvnode"))
	require.Equal(t, exitError, o.exit, o)
	require.Contains(t, o.stderr, "runs without TLS, and its nodes cannot change that one by one")
	l.ok("local", "stop")
	l.ok("local", "start", "--tls", "--kvnode", program(t, "kvnode"))
	require.Equal(t, "milk", l.ok("get", "carts", "alice"), "the data stays")
	l.ok("local", "stop")
	l.ok("local", "start", "--kvnode", program(t, "kvnode"))
	require.Equal(t, "milk", l.ok("get", "carts", "alice"), "so does TLS")
}
