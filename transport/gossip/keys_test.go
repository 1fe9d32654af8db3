package gossip

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// journal is a log that can be read.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), text)
}

// joinKeyed starts a node with keys on loopback.
func joinKeyed(t *testing.T, name string, keys [][]byte, seeds ...string) (*Gossip, *journal) {
	t.Helper()
	log := &journal{}
	g, err := Start(Config{
		Name: name, BindAddr: "127.0.0.1:0", Seeds: seeds, Keys: keys, RejoinEvery: 100 * time.Millisecond,
		Known:  func() map[string]string { return map[string]string{"n1": "127.0.0.1:1"} },
		Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { g.Close() })
	return g, log
}

// Whoever has another key, or none, is refused by name and joins nothing.
func TestWrongKeysJoinNothing(t *testing.T) {
	one, log := joinKeyed(t, "n1", [][]byte{key(1)})
	two, _ := joinKeyed(t, "n2", [][]byte{key(1)}, one.Addr())
	eventually(t, func() bool { return len(one.Members()) == 1 && len(two.Members()) == 1 })
	for name, keys := range map[string][][]byte{"another key": {key(2)}, "no key": nil} {
		t.Run(name, func(t *testing.T) {
			before := one.Refused()
			stranger, own := joinKeyed(t, "n3", keys, one.Addr())
			eventually(t, func() bool { return one.Refused() > before })
			eventually(t, func() bool {
				return own.count("gossip: refused by another node: this node and it have no gossip key in common") > 0
			})
			require.Equal(t, 1, own.count("refused by another node"), "told once")
			require.Empty(t, stranger.Members())
			require.Len(t, one.Members(), 1)
		})
	}
	require.Positive(t, log.count("gossip: refused what is not encrypted with a key of this node"))
	require.Positive(t, log.count("from=127.0.0.1:"))
	require.Positive(t, log.count("member=n1"))
}

// A packet in plain text changes nothing, whatever it says.
func TestPlainPacketsAreRefused(t *testing.T) {
	one, log := joinKeyed(t, "n1", [][]byte{key(1)})
	conn, err := net.Dial("udp", one.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte{0, 1, 2, 3})
	require.NoError(t, err)
	eventually(t, func() bool { return one.Refused() == 1 })
	eventually(t, func() bool { return log.count("refused what is not encrypted") == 1 })
	require.Positive(t, log.count("from="+conn.LocalAddr().String()))
}

// The key of a running cluster changes in three steps; nobody is lost in between.
func TestKeysRotate(t *testing.T) {
	nodes := make([]*Gossip, 3)
	diaries := make([]*diary, 3)
	var seeds []string
	for i, name := range []string{"n1", "n2", "n3"} {
		diaries[i] = &diary{}
		g, err := Start(Config{Name: name, BindAddr: "127.0.0.1:0", Seeds: seeds, Keys: [][]byte{key(1)}, Events: diaries[i].add, Logger: quiet()})
		require.NoError(t, err)
		t.Cleanup(func() { g.Close() })
		nodes[i], seeds = g, append(seeds, g.Addr())
	}
	together := func() {
		t.Helper()
		eventually(t, func() bool {
			return len(nodes[0].Members()) == 2 && len(nodes[1].Members()) == 2 && len(nodes[2].Members()) == 2
		})
	}
	together()
	for step, keys := range [][][]byte{{key(1), key(2)}, {key(2), key(1)}, {key(2)}} {
		for i, n := range nodes {
			require.NoError(t, n.SetKeys(keys))
			meta := []byte{byte(step), byte(i)}
			require.NoError(t, n.UpdateMeta(meta))
			other := diaries[(i+1)%3]
			eventually(t, func() bool {
				e := other.last(Updated, n.cfg.Name)
				return e != nil && bytes.Equal(e.Meta, meta)
			})
		}
		together()
	}
	for i, n := range nodes {
		require.Zero(t, n.Refused(), n.cfg.Name)
		require.Equal(t, [][]byte{key(2)}, n.keyring.GetKeys())
		for _, k := range []Kind{Died, Left} {
			require.Nil(t, diaries[i].last(k, "n1"))
		}
	}
	late, _ := joinKeyed(t, "n4", [][]byte{key(1)}, nodes[0].Addr())
	eventually(t, func() bool { return nodes[0].Refused() > 0 })
	require.Empty(t, late.Members(), "the old key opens nothing")
	require.ErrorContains(t, nodes[0].SetKeys(nil), "no key is left")
	plain, _ := join(t, "n5", "")
	require.ErrorContains(t, plain.SetKeys([][]byte{key(1)}), "began without encryption")
}

// Keys are taken away while packets are being decrypted.
func TestManyKeysGo(t *testing.T) {
	one, _ := joinKeyed(t, "n1", [][]byte{key(1), key(2), key(3), key(4)})
	two, _ := joinKeyed(t, "n2", [][]byte{key(4), key(1)}, one.Addr())
	eventually(t, func() bool { return len(two.Members()) == 1 })
	require.NoError(t, one.SetKeys([][]byte{key(4), key(5)}))
	require.Equal(t, [][]byte{key(4), key(5)}, one.keyring.GetKeys())
	require.NoError(t, one.SetKeys([][]byte{key(5), key(4)}))
	require.Equal(t, key(5), one.keyring.GetPrimaryKey())
}
