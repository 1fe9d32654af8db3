package transport

import (
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
	require.Equal(t, "0102"+"87c97301"+"02000000"+"05"+"68656c6c6f"+"00", hex.EncodeToString(frameOf("hello", "")))
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

// stranger opens a stream to a transport by hand and sends frames.
func stranger(t *testing.T, to *Transport, frames ...[]byte) error {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+to.Addr(), append(to.dialOptions("to"), grpc.WithTransportCredentials(to.dialCredentials("to", nil)))...)
	require.NoError(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &linkStream, linkMethod)
	require.NoError(t, err)
	for _, f := range frames {
		require.NoError(t, stream.SendMsg(&f))
	}
	for {
		var answer []byte
		if err := stream.RecvMsg(&answer); err != nil {
			return err
		}
	}
}

// TestBadFramesCloseTheirLink: each row is what a peer sends after (or instead
// of) its hello. Nothing is delivered, the link ends with the reason, and the
// peer is named in log and counters.
func TestBadFramesCloseTheirLink(t *testing.T) {
	good := helloFrame(hello{VersionMin: 1, VersionMax: 1, Name: "n2", To: "n1"})
	damaged := frameOf("hello")
	damaged[len(damaged)-1] ^= 1
	future := frameOf("hello")
	future[0] = 2
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
	tests := []struct {
		name   string
		frames [][]byte
		code   codes.Code
		reason string
	}{
		{"damaged", [][]byte{good, damaged}, codes.DataLoss, "checksum"},
		{"of a later format", [][]byte{good, future}, codes.DataLoss, "format version 2, this node knows 1"},
		{"fewer messages than it says", [][]byte{good, lying}, codes.DataLoss, "message 1 of 3"},
		{"a message beyond the end", [][]byte{good, beyond}, codes.DataLoss, "message 1 of 1"},
		{"of an unknown kind", [][]byte{good, odd}, codes.DataLoss, "unexpected kind 77"},
		{"a second hello", [][]byte{good, good}, codes.DataLoss, "unexpected kind 1"},
		{"empty", [][]byte{good, {}}, codes.DataLoss, "0 bytes"},
		{"messages between parts", [][]byte{good, part(5, "he"), frameOf("hello")}, codes.DataLoss, "between the parts"},
		{"parts of two messages", [][]byte{good, part(5, "he"), part(6, "llo")}, codes.DataLoss, "part of another message"},
		{"too long a part", [][]byte{good, part(5, "he"), part(5, "llo!")}, codes.DataLoss, "more than their message"},
		{"an empty part", [][]byte{good, part(5, "")}, codes.DataLoss, "an empty part"},
		{"parts of too large a message", [][]byte{good, part(MessageBytesMax+1, "he")}, codes.DataLoss, "the limit is 41943040"},
		{"no hello", [][]byte{frameOf("hello")}, codes.InvalidArgument, "before the hello"},
		{"a short hello", [][]byte{helloFrame(hello{})[:20]}, codes.InvalidArgument, "checksum"},
		{"a nameless hello", [][]byte{helloFrame(hello{VersionMin: 1, VersionMax: 1, To: "n1"})}, codes.InvalidArgument, "without a name"},
		{"an unknown lane", [][]byte{helloFrame(hello{VersionMin: 1, VersionMax: 1, Lane: 9, Name: "n2", To: "n1"})}, codes.Unimplemented, "unknown lane 9"},
		{"a hello of a later version", [][]byte{helloFrame(hello{VersionMin: 2, VersionMax: 3, Name: "n2", To: "n1"})}, codes.FailedPrecondition, "frame formats 2 to 3, this node 1 to 1"},
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
			err = stranger(t, tr, tt.frames...)
			require.Equal(t, tt.code, status.Code(err), err)
			require.ErrorContains(t, err, tt.reason)
			stats := tr.Stats()
			require.NoError(t, tr.Close())
			corrupt := uint64(0)
			for _, s := range stats {
				corrupt += s.CorruptIn
			}
			if tt.code == codes.DataLoss {
				require.Contains(t, log.String(), "peer=n2")
				require.EqualValues(t, 1, corrupt)
			} else if tt.code == codes.InvalidArgument {
				require.Contains(t, log.String(), tt.reason)
				require.EqualValues(t, 1, corrupt)
			}
		})
	}
}

func TestLinksInAreLimited(t *testing.T) {
	tr, err := Listen(Config{Name: "n1", Addr: "127.0.0.1:0", Receive: func(string, Batch) {}, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer tr.Close()
	tr.linksIn.Store(LinksInMax)
	greeting := helloFrame(hello{VersionMin: 1, VersionMax: 1, Name: "n2", To: "n1"})
	require.ErrorContains(t, stranger(t, tr, greeting), "its limit of 4096 links")
	tr.linksIn.Store(0)
	tr.inMu.Lock()
	for i := range NamesMax {
		tr.in[strings.Repeat("x", i)] = &inbound{}
	}
	tr.inMu.Unlock()
	greeting = helloFrame(hello{VersionMin: 1, VersionMax: 1, Name: "n3", To: "n1"})
	require.ErrorContains(t, stranger(t, tr, greeting), "its limit of 4096 peer names")
}
