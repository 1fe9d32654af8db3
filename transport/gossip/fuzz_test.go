package gossip

import (
	"bytes"
	"compress/lzw"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/stretchr/testify/require"
)

// hostile is a network with one node and whoever sends to it: what the node sends
// goes nowhere.
type hostile struct {
	packets chan *memberlist.Packet
	streams chan net.Conn
}

func (h *hostile) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IPv4(10, 0, 0, 1), 7402, nil
}
func (h *hostile) WriteTo([]byte, string) (time.Time, error) { return time.Now(), nil }
func (h *hostile) PacketCh() <-chan *memberlist.Packet       { return h.packets }
func (h *hostile) StreamCh() <-chan net.Conn                 { return h.streams }
func (h *hostile) Shutdown() error                           { return nil }
func (h *hostile) DialTimeout(string, time.Duration) (net.Conn, error) {
	return nil, net.ErrClosed
}

// besiege starts a node whose only company is the fuzzer, for one test.
func besiege(t testing.TB, keys [][]byte) (*Gossip, *hostile) {
	g, h := alone(t, keys)
	t.Cleanup(func() { g.Close() })
	return g, h
}

func alone(t testing.TB, keys [][]byte) (*Gossip, *hostile) {
	h := &hostile{packets: make(chan *memberlist.Packet), streams: make(chan net.Conn)}
	g, err := start(Config{Name: "n1", BindAddr: "127.0.0.1:7402", Keys: keys, Logger: quiet()}, h)
	require.NoError(t, err)
	return g, h
}

// packet sends a packet; the node has taken the one before when it takes this.
func (h *hostile) packet(b []byte) {
	from := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 7402}
	h.packets <- &memberlist.Packet{Buf: bytes.Clone(b), From: from, Timestamp: time.Now()}
}

// stream sends a stream and waits until the node has closed it.
func (h *hostile) stream(t testing.TB, b []byte) {
	here, there := net.Pipe()
	h.streams <- there
	require.NoError(t, here.SetDeadline(time.Now().Add(20*time.Second)))
	go func() {
		_, _ = here.Write(b) // the node may stop reading when it has seen enough
		if c, ok := here.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
			return
		}
		time.AfterFunc(time.Millisecond, func() { here.Close() })
	}()
	_, _ = here.Read(make([]byte, 1<<16))
	here.Close()
}

// nodeInputs is how much a node is told before another takes its place: who is told of
// thousands of members that do not answer does little else than look for them.
const nodeInputs = 500

func renew(t testing.TB, old *Gossip, keys [][]byte) (*Gossip, *hostile) {
	if old != nil {
		require.NoError(t, old.Close())
	}
	return alone(t, keys)
}

// FuzzGossip: whatever arrives by packet and by stream, with and without
// encryption, the node goes on, and members stay within what was told.
func FuzzGossip(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	var open, keyed *Gossip
	var toOpen, toKeyed *hostile
	f.Cleanup(func() {
		for _, g := range []*Gossip{open, keyed} {
			if g != nil {
				g.Close()
			}
		}
	})
	inputs := 0
	f.Fuzz(func(t *testing.T, b []byte) {
		if inputs%nodeInputs == 0 {
			open, toOpen = renew(t, open, nil)
			keyed, toKeyed = renew(t, keyed, [][]byte{key(1)})
		}
		inputs++
		for _, h := range []*hostile{toOpen, toKeyed} {
			h.packet(b)
			h.stream(t, b)
		}
		require.Empty(t, keyed.Members(), "told without the key")
		for _, m := range open.Members() {
			require.NotEqual(t, "n1", m.Name)
		}
	})
}

// seeds are messages of memberlist's that a peer would send, and their like.
func seeds(t testing.TB) [][]byte {
	all := [][]byte{
		{}, {0}, {6, 0, 0, 0}, {7, 1, 0, 4, 3, 0x81}, {8, 255, 255, 255}, {9}, {10, 0, 0, 0, 0, 0}, {12, 0, 0, 0, 0},
		{244, 5, 'l', 'a', 'b', 'e', 'l'}, {244, 255},
		append([]byte{9, 0xff, 0xff, 0xff, 0xff}, make([]byte, 64)...),
		// n2 is told of once: memberlist handles news that wait from the newest on
		alive("n2", []byte{0, 'm'}), alive("n4", nil), alive("n1", []byte{1}), alive("n3", make([]byte, 600)),
		{3, 0x82, 0xa4, 'N', 'o', 'd', 'e', 0xa2, 'n', '2', 0xab, 'I', 'n', 'c', 'a', 'r', 'n', 'a', 't', 'i', 'o', 'n', 0x01},
		// a push-pull that announces a million nodes
		append([]byte{6, 0x83, 0xa5}, append([]byte("Nodes"), append([]byte{0xce, 0, 0x10, 0, 0, 0xac}, "UserStateLen\x00\xa4Join\xc3"...)...)...),
	}
	var squeezed bytes.Buffer
	w := lzw.NewWriter(&squeezed, lzw.LSB, 8)
	_, err := w.Write(bytes.Repeat([]byte{9, 9, 9, 9}, 1<<16))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	bomb := append([]byte{9, 0x82, 0xa4}, "Algo\x00\xa3Buf"...)
	bomb = append(bomb, 0xc5, byte(squeezed.Len()>>8), byte(squeezed.Len()))
	return append(all, append(bomb, squeezed.Bytes()...))
}

// alive is the news of a member in memberlist's own form.
func alive(name string, meta []byte) []byte {
	b := []byte{4, 0x86, 0xab}
	b = append(b, "Incarnation\x01\xa4Node"...)
	b = append(append(b, 0xa0|byte(len(name))), name...)
	b = append(append(b, 0xa4), "Addr\xc4\x04\x0a\x00\x00\x02\xa4Port\xcd\x1c\xea\xa4Meta"...)
	b = append(append(b, 0xc5, byte(len(meta)>>8), byte(len(meta))), meta...)
	return append(append(b, 0xa3), "Vsn\xc4\x06\x01\x05\x02\x00\x00\x00"...)
}

// TestSeedsAreUnderstood: the fuzzer begins from something that a node takes.
func TestSeedsAreUnderstood(t *testing.T) {
	g, h := besiege(t, nil)
	for _, s := range seeds(t) {
		h.packet(s)
		h.stream(t, s)
	}
	eventually(t, func() bool {
		for _, m := range g.Members() {
			if m.Name == "n2" && string(m.Meta) == "m" {
				return true
			}
		}
		return false
	})
}
