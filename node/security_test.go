package node

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/security"
)

// stronghold is a cluster of nodes with certificates and a gossip key.
type stronghold struct {
	t     *testing.T
	dir   string
	kit   security.Kit
	nodes []*Node
	books []*logBook
}

// fortify starts so many nodes; spare names have certificates too.
func fortify(t *testing.T, size int, spare ...string) *stronghold {
	s := &stronghold{t: t, dir: filepath.Join(t.TempDir(), "tls")}
	first := s.dir + ".0"
	require.NoError(t, os.Mkdir(first, 0o700))
	require.NoError(t, os.Symlink(first, s.dir)) // for revise
	kit, err := security.OpenKit(s.dir)
	require.NoError(t, err)
	s.kit = kit
	require.NoError(t, kit.Furnish(append(names(size), spare...), []string{"127.0.0.1"}))
	var seeds []string
	for _, name := range names(size) {
		cfg, book := s.config(name, seeds)
		cfg.Expect = size
		seeds = append(seeds, cfg.GossipAddr)
		s.nodes, s.books = append(s.nodes, start(t, cfg)), append(s.books, book)
	}
	awaitReady(t, s.nodes...)
	return s
}

func names(size int) []string {
	var all []string
	for i := range size {
		all = append(all, fmt.Sprintf("n%d", i+1))
	}
	return all
}

func (s *stronghold) config(name string, seeds []string) (Config, *logBook) {
	book := &logBook{}
	cfg := config(s.t, name)
	cfg.Expect = 0
	cfg.Security, cfg.Join, cfg.Logger = s.kit.Node(name), seeds, slog.New(slog.NewTextHandler(book, nil))
	return cfg, book
}

func (s *stronghold) seeds() []string { return []string{s.nodes[0].addrs.gossip} }

// dial is a client with the certificate of the kit.
func (s *stronghold) dial() *client.Client {
	config, _, err := s.kit.Client("client").Open()
	require.NoError(s.t, err)
	c, err := client.Dial(s.t.Context(), []string{s.nodes[0].addrs.client}, client.WithTLS(config))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return c
}

// logged waits until the log of a node holds the words.
func (s *stronghold) logged(book *logBook, words ...string) {
	s.t.Helper()
	for _, w := range words {
		require.Eventually(s.t, func() bool { return strings.Contains(book.String(), w) }, patience, 10*time.Millisecond, "%q is not in\n%s", w, book)
	}
}

// members is who a node sees besides itself.
func (s *stronghold) members(n *Node) int { return len(n.control.gossip.Members()) }

// TestStrangersJoinNothing: nodes without the right key or certificate are refused
// and named, by those that they call and by themselves.
func TestStrangersJoinNothing(t *testing.T) {
	s := fortify(t, 2, "n3", "n4")
	other, err := security.OpenKit(filepath.Join(t.TempDir(), "elsewhere", "tls"))
	require.NoError(t, err)
	require.NoError(t, other.Furnish([]string{"n3"}, nil))

	t.Run("a wrong gossip key", func(t *testing.T) {
		cfg, book := s.config("n3", s.seeds())
		cfg.Security.GossipKeys = other.Node("n3").GossipKeys
		n := start(t, cfg)
		s.logged(book, "refused by another node: this node and it have no gossip key in common", s.seeds()[0])
		s.logged(s.books[0], "refused what is not encrypted with a key of this node")
		require.Zero(t, s.members(n))
		require.NoError(t, n.Stop(t.Context()))
	})
	t.Run("no gossip key", func(t *testing.T) {
		cfg, book := s.config("n3", s.seeds())
		cfg.Security.GossipKeys = ""
		n := start(t, cfg)
		s.logged(book, "refused by another node: this node and it have no gossip key in common")
		require.Zero(t, s.members(n))
		require.NoError(t, n.Stop(t.Context()))
	})
	t.Run("a foreign certificate", func(t *testing.T) {
		cfg, book := s.config("n3", s.seeds())
		cfg.Security = other.Node("n3")
		cfg.Security.GossipKeys = s.kit.Node("n3").GossipKeys
		n := start(t, cfg)
		s.logged(s.books[0], "a certificate that names n3", `which is no authority of this cluster`)
		s.logged(book, "a certificate that names n1", `which is no authority of this cluster`)
		require.Empty(t, linksOf(n))
		require.Zero(t, n.Local().Partitions)
		require.NoError(t, n.Stop(t.Context()))
	})
	t.Run("the certificate of another node", func(t *testing.T) {
		cfg, _ := s.config("n3", s.seeds())
		cfg.Security = s.kit.Node("n4")
		_, err := Start(t.Context(), cfg)
		require.ErrorContains(t, err, "--tls-cert "+cfg.Security.Cert+": a certificate that names n4, where n3 was wanted")
	})
	t.Run("an expired certificate", func(t *testing.T) {
		require.NoError(t, s.kit.MakeNode("n3", nil, -30*time.Minute))
		cfg, _ := s.config("n3", s.seeds())
		_, err := Start(t.Context(), cfg)
		require.ErrorContains(t, err, `the certificate of "n3" expired at`)
		require.ErrorContains(t, err, "make a new one")
	})
	// The one with the right gossip key was a member for a while; its leave travels.
	require.Eventually(t, func() bool { return s.members(s.nodes[0]) == 1 }, 20*time.Second, 10*time.Millisecond, "they have only one another")
	require.Len(t, linksOf(s.nodes[0]), 1)
}

// linksOf are the peers that a node can send to.
func linksOf(n *Node) (up []string) {
	for _, l := range n.transport.Stats() {
		if l.Linked && l.Lane == 0 {
			up = append(up, l.Peer)
		}
	}
	return up
}

// TestOnlyNodesReachThePeerDoor: neither plain text nor a client's certificate gets
// a word there.
func TestOnlyNodesReachThePeerDoor(t *testing.T) {
	s := fortify(t, 1)
	asClient, _, err := s.kit.Client("client").Open()
	require.NoError(t, err)
	asClient.NextProtos, asClient.ServerName = []string{security.PeerProtocol}, "127.0.0.1"
	asNobody := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{security.PeerProtocol}}
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for name, dress := range map[string]func(net.Conn) net.Conn{
		"plain text": func(c net.Conn) net.Conn { return c },
		"a client":   func(c net.Conn) net.Conn { return tls.Client(c, asClient) },
		"nobody":     func(c net.Conn) net.Conn { return tls.Client(c, asNobody) },
	} {
		raw, err := net.Dial("tcp", s.nodes[0].addrs.peer)
		require.NoError(t, err)
		defer raw.Close()
		conn := dress(raw)
		_, _ = conn.Write([]byte(preface)) // it may be closed already
		answer, err := io.ReadAll(conn)
		require.NotContains(t, string(answer), "\x00\x00\x04", "%s: settings of HTTP/2", name)
		if name != "plain text" {
			require.ErrorContains(t, err, "bad certificate", name)
		}
	}
	s.logged(s.books[0], "refused a link: the handshake failed")
}

// TestKeysChangeUnderLoad: certificates, authority and gossip key of a cluster are
// replaced while clients write; no operation fails and nobody loses anybody.
func TestKeysChangeUnderLoad(t *testing.T) {
	s := fortify(t, 3)
	carts := s.dial().Bucket("carts")
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var done atomic.Int64
	var failed atomic.Pointer[error]
	for worker := range 4 {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				_, err := carts.Put(context.Background(), fmt.Sprintf("k%d-%d", worker, i%100), []byte("v"))
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				done.Add(1)
			}
		})
	}
	progress := func() {
		t.Helper()
		until := done.Load() + 200
		require.Eventually(t, func() bool { return done.Load() >= until }, patience, time.Millisecond)
	}
	reload := func(change func(draft *stronghold)) {
		t.Helper()
		progress()
		s.revise(change)
		for _, n := range s.nodes {
			require.NoError(t, n.ReloadSecurity())
			progress()
		}
	}
	old, err := os.ReadFile(s.path("ca.pem"))
	require.NoError(t, err)
	oldKey, err := security.ParseGossipKeys(s.read("gossip.keys"))
	require.NoError(t, err)
	next := security.NewGossipKey()

	t.Log("new certificates of the same authority")
	reload(func(draft *stronghold) { draft.renew() })
	t.Log("a new authority beside the old one, and a new gossip key after the old one")
	var ca []byte
	reload(func(draft *stronghold) {
		require.NoError(t, os.Remove(draft.path("ca.key")))
		require.NoError(t, draft.kit.MakeAuthority("next", time.Hour))
		ca = draft.read("ca.pem")
		draft.write("ca.pem", append(old, ca...))
		draft.write("gossip.keys", append(draft.read("gossip.keys"), next...))
	})
	t.Log("everybody gets a certificate of the new one, and encrypts with the new key")
	reload(func(draft *stronghold) {
		draft.write("ca.pem", ca) // for the kit, which signs by it
		draft.renew()
		draft.write("ca.pem", append(old, ca...))
		draft.write("gossip.keys", append([]byte(next), draft.oldKeyLine()...))
	})
	t.Log("the old ones go")
	reload(func(draft *stronghold) { draft.write("gossip.keys", []byte(next)) })

	stop()
	running.Wait()
	if err := failed.Load(); err != nil {
		t.Fatalf("of %d operations one failed: %v", done.Load(), *err)
	}
	for _, n := range s.nodes {
		require.Eventually(t, func() bool { return s.members(n) == 2 }, patience, 10*time.Millisecond)
		require.Zero(t, n.control.gossip.Refused())
		require.NotContains(t, n.keeper.GossipKeys(), oldKey[0])
		require.GreaterOrEqual(t, n.keeper.Generation(), uint64(4))
	}
	for _, b := range s.books {
		require.NotContains(t, b.String(), "refused")
	}
}

// revise changes a copy of the files, which then take their place all at once: the
// nodes look by themselves every now and then, and half a change is a bad one.
func (s *stronghold) revise(change func(draft *stronghold)) {
	draft := *s
	var err error
	draft.dir, err = os.MkdirTemp(filepath.Dir(s.dir), "tls.")
	require.NoError(s.t, err)
	files, err := os.ReadDir(s.dir)
	require.NoError(s.t, err)
	for _, f := range files {
		draft.write(f.Name(), s.read(f.Name()))
	}
	draft.kit, err = security.OpenKit(draft.dir)
	require.NoError(s.t, err)
	change(&draft)
	link := draft.dir + ".link"
	require.NoError(s.t, os.Symlink(draft.dir, link))
	require.NoError(s.t, os.Rename(link, s.dir))
}

func (s *stronghold) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stronghold) read(name string) []byte {
	b, err := os.ReadFile(s.path(name))
	require.NoError(s.t, err)
	return b
}

func (s *stronghold) write(name string, b []byte) {
	require.NoError(s.t, security.WritePrivate(s.path(name), b))
}

// renew replaces every certificate of the nodes.
func (s *stronghold) renew() {
	for _, n := range s.nodes {
		require.NoError(s.t, s.kit.MakeNode(n.cfg.Name, []string{"127.0.0.1"}, time.Hour))
	}
}

// oldKeyLine is the first line of the file of gossip keys.
func (s *stronghold) oldKeyLine() string {
	first, _, _ := strings.Cut(string(s.read("gossip.keys")), "\n")
	return first + "\n"
}

// TestChangedFilesAreTakenUp without being told, and bad ones are refused loudly.
func TestChangedFilesAreTakenUp(t *testing.T) {
	s := fortify(t, 1)
	s.write("n1.pem", []byte("spoilt"))
	s.logged(s.books[0], "changed security files are refused; what was in force before stays", "--tls-cert "+s.path("n1.pem"))
	conn, err := tls.Dial("tcp", s.nodes[0].addrs.http, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err, "the old certificate is in force")
	conn.Close()
	s.renew()
	s.logged(s.books[0], "changed security files are in force")
	require.WithinDuration(t, time.Now().Add(time.Hour), s.nodes[0].keeper.Expiry(), time.Minute)
}

// TestPlainTextStaysAsItWas: without files nothing is asked of anybody.
func TestPlainTextStaysAsItWas(t *testing.T) {
	n := start(t, config(t, "n1"))
	awaitReady(t, n)
	conn, err := net.Dial("tcp", n.addrs.http)
	require.NoError(t, err)
	conn.Close()
	c, err := client.Dial(t.Context(), []string{n.addrs.client})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Bucket("b").Put(t.Context(), "k", []byte("v"))
	require.NoError(t, err)
	require.NoError(t, n.ReloadSecurity())
}
