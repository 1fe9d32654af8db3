package security

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 10 * time.Second

func TestNodesOfOneAuthorityMeet(t *testing.T) {
	h := newHouse(t, "cluster")
	n1, n2 := h.open(h.node("n1"), "n1"), h.open(h.node("n2"), "n2")
	seen, atServer, atClient := meet(t, n1.PeerServer(), n2.PeerDialer("n1"))
	require.NoError(t, atServer)
	require.NoError(t, atClient)
	require.Equal(t, "n2", PeerName(seen))
	require.EqualValues(t, tls.VersionTLS13, seen.Version)
}

// Both ends say who came, who was wanted, and what is wrong (S2).
func TestWhoIsNoPeer(t *testing.T) {
	h, foreign := newHouse(t, "cluster"), newHouse(t, "elsewhere")
	n1 := h.open(h.node("n1"), "n1")
	stranger := foreign.open(foreign.node("n2"), "n2")
	config, _, err := h.client("alice").Open()
	require.NoError(t, err)
	config.ServerName, config.NextProtos = "127.0.0.1", []string{PeerProtocol}

	for _, c := range []struct {
		name           string
		server, client *tls.Config
		atServer, want string
	}{
		{name: "another node answers", server: n1.PeerServer(), client: h.open(h.node("n2"), "n2").PeerDialer("n3"),
			want: "a certificate that names n1, where n3 was wanted: the certificate belongs to another node"},
		{name: "a foreign node dials", server: n1.PeerServer(), client: lax(stranger.PeerDialer("n1")),
			atServer: `a certificate that names n2: it was signed by "elsewhere", which is no authority of this cluster`},
		{name: "a foreign node answers", server: stranger.PeerServer(), client: n1.PeerDialer("n2"),
			want: `a certificate that names n2, where n2 was wanted: it was signed by "elsewhere", which is no authority of this cluster`},
		{name: "a client dials", server: n1.PeerServer(), client: config,
			atServer: `a certificate without the name of a node: "alice" is a client; a node's certificate carries the URI kindred://node/NAME`},
		{name: "nobody dials", server: n1.PeerServer(), client: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{PeerProtocol}},
			atServer: "it sent no certificate"},
		{name: "TLS 1.2", server: n1.PeerServer(), client: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
			atServer: "client offered only unsupported versions"},
		{name: "TLS 1.2 at the door of clients", server: n1.Server("h2"), client: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12},
			atServer: "client offered only unsupported versions"},
		{name: "a foreign client", server: n1.Server(PeerProtocol), client: lax(stranger.PeerDialer("n1")),
			atServer: `it was signed by "elsewhere"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, atServer, atClient := meet(t, c.server, c.client)
			require.Error(t, atClient, "let in")
			if c.want != "" {
				require.ErrorContains(t, atClient, c.want)
				return
			}
			require.ErrorContains(t, atServer, c.atServer)
		})
	}
}

// lax trusts whoever answers, as an attacker would.
func lax(c *tls.Config) *tls.Config {
	c.VerifyConnection = nil
	return c
}

func TestClientsAtTheDoor(t *testing.T) {
	h := newHouse(t, "cluster")
	files := h.node("n1")
	files.Tokens = h.write("tokens", "# people\n"+TokenLine("bob", "s3cret")+TokenLine("eve", "other"))
	k := h.open(files, "n1")

	config, _, err := h.client("alice").Open()
	require.NoError(t, err)
	seen, atServer, atClient := meet(t, k.Server("h2"), config)
	require.NoError(t, atServer)
	require.NoError(t, atClient)
	name, err := k.Caller(&seen, "")
	require.NoError(t, err)
	require.Equal(t, "alice", name)

	config, _, err = ClientFiles{CA: h.path("ca.pem")}.Open()
	require.NoError(t, err)
	seen, _, atClient = meet(t, k.Server("h2"), config)
	require.NoError(t, atClient, "the door itself is open: health checks need it")
	_, err = k.Caller(&seen, "")
	require.ErrorIs(t, err, ErrNoIdentity)

	name, err = k.Caller(&seen, "Bearer s3cret")
	require.NoError(t, err)
	require.Equal(t, "bob", name)
	for _, bad := range []string{"Bearer s3cre", "Bearer ", "s3cret", "Basic s3cret", "Bearer s3cret x"} {
		_, err = k.Caller(&seen, bad)
		require.ErrorIs(t, err, ErrUnknownToken, bad)
	}
}

// A change that is good is in force at once, for connections of old configs too.
func TestReload(t *testing.T) {
	h, next := newHouse(t, "cluster"), newHouse(t, "next")
	n1, n2 := h.open(h.node("n1"), "n1"), h.open(h.node("n2"), "n2")
	server, dialer := n1.PeerServer(), n2.PeerDialer("n1")

	changed, err := n1.Reload()
	require.NoError(t, err)
	require.False(t, changed)
	require.Zero(t, n1.Generation())

	both := string(h.authority.Pair().Cert) + string(next.authority.Pair().Cert)
	h.write("ca.pem", both)
	reload(t, n1, n2)
	h.authority = next.authority
	h.node("n1")
	reload(t, n1)
	_, _, atClient := meet(t, server, dialer)
	require.NoError(t, atClient, "n2 trusts both authorities")
	h.node("n2")
	reload(t, n2)
	h.write("ca.pem", string(next.authority.Pair().Cert))
	reload(t, n1, n2)
	seen, _, atClient := meet(t, server, dialer)
	require.NoError(t, atClient)
	require.Equal(t, "next", seen.PeerCertificates[0].Issuer.CommonName)
	require.EqualValues(t, 3, n1.Generation())
}

func reload(t *testing.T, keepers ...*Keeper) {
	t.Helper()
	for _, k := range keepers {
		changed, err := k.Reload()
		require.NoError(t, err)
		require.True(t, changed)
	}
}

// What is not good is refused by name, and the old stays (S4).
func TestBadFiles(t *testing.T) {
	h, foreign := newHouse(t, "cluster"), newHouse(t, "elsewhere")
	expired, err := h.authority.Node("n1", nil, time.Now().Add(-2*year), year)
	require.NoError(t, err)
	client, err := h.authority.Client("alice", time.Now(), year)
	require.NoError(t, err)
	other, err := h.authority.Node("n2", nil, time.Now(), year)
	require.NoError(t, err)
	stranger, err := foreign.authority.Node("n1", nil, time.Now(), year)
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		spoil func()
		want  string
	}{
		{"expired", func() { h.keep("n1", expired) }, `the certificate of "n1" expired at`},
		{"a client's", func() { h.keep("n1", client) }, `where n1 was wanted: "alice" is a client`},
		{"another node's", func() { h.keep("n1", other) }, "a certificate that names n2, where n1 was wanted"},
		{"foreign", func() { h.keep("n1", stranger) }, `it was signed by "elsewhere"`},
		{"no pair", func() { h.write("n1.key", string(other.Key)) }, "n1.pem: it and the file of --tls-key do not make a pair"},
		{"no PEM", func() { h.write("n1.pem", "hello") }, "--tls-cert"},
		{"no authority", func() { h.write("ca.pem", string(client.Cert)) }, `--tls-ca ` + h.path("ca.pem") + `: the certificate of "alice" is not one of an authority`},
		{"an empty authority", func() { h.write("ca.pem", "") }, "it holds no certificate in PEM form"},
		{"gone", func() { remove(t, h.path("n1.key")) }, "--tls-key " + h.path("n1.key") + ": no such file"},
		{"tokens in the clear", func() { h.write("tokens", "bob s3cret\n") }, "tokens: line 1: want a name and the 64 hexadecimal digits"},
		{"a short gossip key", func() { h.write("gossip", "YWJj\n") }, "gossip: line 1: a key of 3 bytes, want 16, 24 or 32"},
		{"no gossip key", func() { h.write("gossip", "# none\n") }, "it holds no key"},
		{"a large file", func() { h.write("gossip", string(make([]byte, FileBytesMax+1))) }, "more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.write("ca.pem", string(h.authority.Pair().Cert))
			files := h.node("n1")
			files.Tokens, files.GossipKeys = h.write("tokens", ""), h.write("gossip", NewGossipKey())
			k := h.open(files, "n1")
			old := k.GossipKeys()
			c.spoil()
			for range 2 {
				changed, err := k.Reload()
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "s3cret", "secrets stay out of logs")
				require.False(t, changed)
			}
			require.EqualValues(t, 1, k.Failed(), "one bad change is one failure")
			require.Zero(t, k.Generation())
			require.Equal(t, old, k.GossipKeys())
			_, _, atClient := meet(t, k.PeerServer(), k.PeerDialer("n1"))
			require.NoError(t, atClient, "the old certificate is in force")
			_, err := Open(files, "n1")
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestFilesGoTogether(t *testing.T) {
	for want, f := range map[string]Files{
		`--tls-key ""`:             {Cert: "a", CA: "c"},
		`--tls-ca ""`:              {Cert: "a", Key: "b"},
		"--tokens t: needs --tls-": {Tokens: "t"},
	} {
		_, err := Open(f, "n1")
		require.ErrorContains(t, err, want)
	}
	k, err := Open(Files{}, "n1")
	require.NoError(t, err)
	require.False(t, k.TLS())
	require.True(t, k.Expiry().IsZero())
	for want, f := range map[string]ClientFiles{
		"without it a client cannot know": {Token: "t"},
		"are given together":              {CA: "c", Cert: "a"},
		"--tls-ca c: no such file":        {CA: "c"},
	} {
		_, _, err := f.Open()
		require.ErrorContains(t, err, want)
	}
}

// The certificate expires while the node runs: the others say so.
func TestExpiredPeer(t *testing.T) {
	h := newHouse(t, "cluster")
	n2 := h.open(h.node("n2"), "n2")
	k, err := open(h.node("n1"), "n1", func() time.Time { return time.Now() })
	require.NoError(t, err)
	k.now = func() time.Time { return time.Now().Add(2 * year) }
	_, atServer, atClient := meet(t, k.PeerServer(), n2.PeerDialer("n1"))
	require.Error(t, atClient)
	require.ErrorContains(t, atServer, `a certificate that names n2: the certificate of "n2" expired at 2`)
}

func TestWatch(t *testing.T) {
	h := newHouse(t, "cluster")
	files := h.node("n1")
	k := h.open(files, "n1")
	reports := make(chan error, 10)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go k.Watch(ctx, time.Millisecond, func(err error) { reports <- err })
	next := func() error {
		select {
		case err := <-reports:
			return err
		case <-time.After(patience):
			t.Fatal("a change went unseen")
			return nil
		}
	}
	h.write("n1.pem", "hello")
	require.ErrorContains(t, next(), "--tls-cert")
	pair, err := h.authority.Node("n1", nil, time.Now(), 2*year)
	require.NoError(t, err)
	h.write("n1.key", string(pair.Key)) // a pair that is half written is reported, and refused
	require.Error(t, next())
	h.write("n1.pem", string(pair.Cert))
	require.NoError(t, next())
	require.WithinDuration(t, time.Now().Add(2*year), k.Expiry(), time.Hour)
	require.Empty(t, reports)
}
