package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/security"
)

// Keys made by hand open a cluster of that authority.
func TestCert(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	run := func(line string) (doc certDoc, o outcome) {
		o = runWith(t, newFakeCluster(), "", append(strings.Fields(line), "--out", dir, "-o", "json")...)
		if o.exit == 0 {
			require.NoError(t, json.Unmarshal([]byte(o.stdout), &doc))
		}
		return doc, o
	}
	_, o := run("cert node n1")
	require.Contains(t, o.stderr, "no authority in "+dir+": make one with 'kvcli cert ca --out "+dir)
	for _, line := range []string{"cert ca --name Test", "cert gossip", "cert token bob", "cert client alice"} {
		_, o := run(line)
		require.Zero(t, o.exit, "%s: %s", line, o)
	}
	doc, o := run("cert node n1 --host n1.example,10.0.0.1 --life 48h")
	require.Zero(t, o.exit, o)
	require.Equal(t, []string{filepath.Join(dir, "n1.pem"), filepath.Join(dir, "n1.key")}, doc.Files)
	require.WithinDuration(t, time.Now().Add(48*time.Hour), *doc.Until, time.Minute)

	kit, err := security.OpenKit(dir)
	require.NoError(t, err)
	k, err := security.Open(kit.Node("n1"), "n1")
	require.NoError(t, err)
	require.Len(t, k.GossipKeys(), 1)
	for _, files := range []security.ClientFiles{kit.Client("alice"), kit.TokenClient("bob")} {
		_, _, err := files.Open()
		require.NoError(t, err)
	}
	_, o = run("cert ca")
	require.Equal(t, exitError, o.exit)
	require.Contains(t, o.stderr, "ca.key exists: move it away first")
	_, o = run("cert client ../x")
	require.Contains(t, o.stderr, "cannot be the name of a certificate")
	_, o = run("cert client eve --life -1h")
	require.Contains(t, o.stderr, "--life -1h0m0s: use a time above 0")
}
