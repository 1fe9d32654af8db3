package transport

import (
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// frameOf is a sealed frame of messages.
func frameOf(msgs ...string) []byte {
	f := newFrame(nil, kindMessages)
	for _, m := range msgs {
		f = appendMessage(f, []byte(m))
	}
	sealFrame(f, uint32(len(msgs)))
	return f
}

func helloFrame(h hello) []byte {
	f := h.append(newFrame(nil, kindHello))
	sealFrame(f, 0)
	return f
}

// TestGolden holds the wire format to the bytes that other versions read.
func TestGolden(t *testing.T) {
	require.Equal(t, "15000000"+"0202"+"323438ff"+"02000000"+"05"+"68656c6c6f"+"00", hex.EncodeToString(frameOf("hello", "")))
	h := hello{VersionMin: 1, VersionMax: 2, Lane: Bulk, Cluster: [16]byte{0xc1, 15: 0xff}, Name: "n1", To: "n2"}
	require.Equal(t, "01020"+"1c10000000000000000000000000000ff"+"026e31"+"026e32", hex.EncodeToString(h.append(nil)))
	got, err := decodeHello(append(h.append(nil), "from a later version"...))
	require.NoError(t, err)
	require.Equal(t, h, got)
}

// TestEveryFlippedBitIsNoticed: no damage to a frame passes.
func TestEveryFlippedBitIsNoticed(t *testing.T) {
	whole := frameOf("hello", "", "world")
	for i := range len(whole) * 8 {
		bad := slices.Clone(whole)
		bad[i/8] ^= 1 << (i % 8)
		_, _, _, err := openFrame(bad)
		require.Error(t, err, "bit %d", i)
	}
	for i := range whole {
		_, _, _, err := openFrame(whole[:i])
		require.Error(t, err, "cut at %d", i)
	}
}

// FuzzFrame feeds bodies with a right checksum, which only a peer with a fault
// or a grudge would send.
func FuzzFrame(f *testing.F) {
	f.Add(uint32(2), frameOf("hello", "")[frameHeaderSize:])
	f.Add(uint32(1), []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add(uint32(1<<31), []byte{})
	f.Fuzz(func(t *testing.T, count uint32, body []byte) {
		if h, err := decodeHello(body); err == nil {
			again, err := decodeHello(h.append(nil))
			require.NoError(t, err)
			require.Equal(t, h, again)
		}
		b, err := openBatch(count, body)
		if err != nil {
			return
		}
		n, size := 0, 0
		for m := range b.All() {
			n++
			size += len(m)
		}
		require.Equal(t, int(count), n)
		require.LessOrEqual(t, size, b.Bytes())
	})
}

func TestBatchIsWhatWasSent(t *testing.T) {
	var got []string
	b := NewBatch([]byte("a"), nil, []byte("bc"))
	for m := range b.All() {
		got = append(got, string(m))
		_ = append(m, "must not reach into the next message"...)
	}
	require.Equal(t, []string{"a", "", "bc"}, got)
	for range b.All() {
		break
	}
	require.Equal(t, 3, b.Len())
}

// stranger says something to a transport and returns what ends the connection.
func stranger(t *testing.T, to *Transport, says ...[]byte) error {
	t.Helper()
	line := call(t, to, says...)
	if _, err := line.greeting(); err != nil {
		return err
	}
	for {
		frame, err := line.readFrame(frameBytesLimit)
		if err != nil {
			return err
		}
		if kind, _, body, err := openFrame(frame); kind == kindEnd || err != nil {
			return firstOf(err, endOf(body))
		}
	}
}

// TestBadFramesCloseTheirLink: each row is what a peer sends after (or instead
// of) its hello. Nothing is delivered, the link ends with the reason, and the
// peer is named in log and counters.
func TestBadFramesCloseTheirLink(t *testing.T) {
	hi := hello{VersionMin: frameVersion, VersionMax: frameVersion, Name: "n2", To: "n1"}
	good := helloFrame(hi)
	but := func(change func(*hello)) []byte {
		h := hi
		change(&h)
		return helloFrame(h)
	}
	damaged := frameOf("hello")
	damaged[len(damaged)-1] ^= 1
	future := frameOf("hello")
	future[versionOffset] = 3
	lying := newFrame(nil, kindMessages)
	sealFrame(lying, 3)
	beyond := append(newFrame(nil, kindMessages), 200, 1, 'x')
	sealFrame(beyond, 1)
	part := func(total uint32, body string) []byte {
		f := append(newFrame(nil, kindPart), body...)
		sealFrame(f, total)
		return f
	}
	odd := newFrame(nil, 77)
	sealFrame(odd, 0)
	damagedHello := helloFrame(hi)
	damagedHello[frameHeaderSize] ^= 1
	type what int
	const (
		fromAPeer what = iota
		fromAStranger
		refusal
	)
	tests := []struct {
		name   string
		frames [][]byte
		what   what
		reason string
	}{
		{"damaged", [][]byte{good, damaged}, fromAPeer, "checksum"},
		{"of a later format", [][]byte{good, future}, fromAPeer, "format version 3, this node knows 2"},
		{"fewer messages than it says", [][]byte{good, lying}, fromAPeer, "message 1 of 3"},
		{"a message beyond the end", [][]byte{good, beyond}, fromAPeer, "message 1 of 1"},
		{"of an unknown kind", [][]byte{good, odd}, fromAPeer, "unexpected kind 77"},
		{"a second hello", [][]byte{good, good}, fromAPeer, "unexpected kind 1"},
		{"empty", [][]byte{good, make([]byte, sizeBytes)}, fromAPeer, "0 bytes, want 14 to 1048576"},
		{"larger than any", [][]byte{good, {1, 0, 16, 0}}, fromAPeer, "1048577 bytes, want 14 to 1048576"},
		{"messages between parts", [][]byte{good, part(5, "he"), frameOf("hello")}, fromAPeer, "between the parts"},
		{"parts of two messages", [][]byte{good, part(5, "he"), part(6, "llo")}, fromAPeer, "part of another message"},
		{"too long a part", [][]byte{good, part(5, "he"), part(5, "llo!")}, fromAPeer, "more than their message"},
		{"an empty part", [][]byte{good, part(5, "")}, fromAPeer, "an empty part"},
		{"parts of too large a message", [][]byte{good, part(MessageBytesMax+1, "he")}, fromAPeer, "the limit is 41943040"},
		{"no hello", [][]byte{frameOf("hello")}, fromAStranger, "before the hello"},
		{"a large hello", [][]byte{{1, 16, 0, 0}}, fromAStranger, "4097 bytes, want 14 to 4096"},
		{"a damaged hello", [][]byte{damagedHello}, fromAStranger, "checksum"},
		{"a nameless hello", [][]byte{but(func(h *hello) { h.Name = "" })}, fromAStranger, "without a name"},
		{"an unknown lane", [][]byte{but(func(h *hello) { h.Lane = 9 })}, refusal, "unknown lane 9"},
		{"a hello of a later version", [][]byte{but(func(h *hello) { h.VersionMin, h.VersionMax = 3, 4 })}, refusal,
			"frame formats 3 to 4, this node 2 to 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			tr, err := Listen(Config{
				Name: "n1", Addr: "127.0.0.1:0",
				Receive: func(string, Batch) { t.Error("a bad frame was delivered") },
				Logger:  slog.New(slog.NewTextHandler(&log, nil)),
			})
			require.NoError(t, err)
			err = stranger(t, tr, append([][]byte{[]byte(preface)}, tt.frames...)...)
			require.ErrorContains(t, err, "the peer ended the link: ")
			require.ErrorContains(t, err, tt.reason)
			stats := tr.Stats()
			require.NoError(t, tr.Close())
			corrupt := uint64(0)
			for _, s := range stats {
				corrupt += s.CorruptIn
			}
			switch tt.what {
			case fromAPeer:
				require.Contains(t, log.String(), "peer=n2")
				require.EqualValues(t, 1, corrupt)
			case fromAStranger:
				require.Contains(t, log.String(), tt.reason)
				require.EqualValues(t, 1, corrupt)
			case refusal:
				require.Zero(t, corrupt)
			}
		})
	}
}

func TestLinksInAreLimited(t *testing.T) {
	tr, err := Listen(Config{Name: "n1", Addr: "127.0.0.1:0", Receive: func(string, Batch) {}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer tr.Close()
	tr.linksIn.Store(LinksInMax)
	require.ErrorContains(t, stranger(t, tr, known("n2")), "its limit of 4096 links")
	tr.linksIn.Store(0)
	tr.inMu.Lock()
	for i := range NamesMax {
		tr.in[strings.Repeat("x", i)] = &inbound{}
	}
	tr.inMu.Unlock()
	require.ErrorContains(t, stranger(t, tr, known("n3")), "its limit of 4096 peer names")
}
