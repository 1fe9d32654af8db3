package native

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"testing"
	"time"

	"github.com/kindredkv/kindred"
)

// again is what a decoder took, in the form that it has.
func again(t *testing.T, b *Batch) frame { return arrive(t, b) }

func FuzzCalls(f *testing.F) {
	for _, q := range []*kindred.Request{
		{Op: kindred.OpGet, Bucket: "b", Key: "k", R: kindred.CountAll, Timeout: time.Second},
		{Op: kindred.OpPut, Bucket: "b", Key: "k", Value: []byte("v"), Context: []byte("c"), TTL: time.Hour, RequestID: kindred.RequestID{1}},
		{Op: kindred.OpDelete, Bucket: "b", Key: "k", Context: []byte("c")},
	} {
		b := NewCalls()
		b.AddCall(7, q)
		f.Add(uint32(1), bytes.Clone(b.buf[headBytes:]))
	}
	f.Fuzz(func(t *testing.T, count uint32, body []byte) {
		calls, err := decodeCalls(frame{kind: kindCalls, count: count, body: body}, nil)
		if err != nil {
			return
		}
		b := NewCalls()
		for _, c := range calls {
			b.AddCall(c.ID, c.Request)
		}
		twice, err := decodeCalls(again(t, b), nil)
		if err != nil || len(twice) != len(calls) {
			t.Fatalf("%d calls, then %d: %v", len(calls), len(twice), err)
		}
	})
}

func FuzzResults(f *testing.F) {
	for _, p := range []*kindred.Response{
		{Siblings: []kindred.Sibling{{Dot: "n1.1", Value: []byte("v"), Node: "n1", WrittenAt: time.UnixMilli(1)}}, Context: []byte("c"), Replied: []string{"n1"}},
		{Err: &kindred.Error{Code: kindred.CodeTimeout, Message: "m", Outcome: kindred.Unknown, Failed: []kindred.NodeFailure{{Node: "n", Reason: "r"}}}},
	} {
		b := NewResults()
		b.AddResult(7, kindred.OpGet, p)
		f.Add(uint32(1), bytes.Clone(b.buf[headBytes:]))
	}
	b := NewResults()
	b.AddResult(7, kindred.OpPut, &kindred.Response{Receipt: kindred.Receipt{Dot: "n1.1", Acked: []string{"n1"}, ExpiresAt: time.UnixMilli(5)}})
	f.Add(uint32(1), bytes.Clone(b.buf[headBytes:]))
	f.Fuzz(func(t *testing.T, count uint32, body []byte) {
		results, err := decodeResults(frame{kind: kindResults, count: count, body: body}, nil)
		if err != nil {
			return
		}
		b := NewResults()
		for i := range results {
			op := kindred.OpGet
			if results[i].Response.Receipt.Dot != "" {
				op = kindred.OpPut
			}
			b.AddResult(results[i].ID, op, results[i].Response)
		}
		if twice, err := decodeResults(again(t, b), nil); err != nil || len(twice) != len(results) {
			t.Fatalf("%d results, then %d: %v", len(results), len(twice), err)
		}
	})
}

// FuzzLink gives both ends whatever bytes, as they are and as the body of a frame
// whose checksum is right.
func FuzzLink(f *testing.F) {
	hello := Hello{VersionMin: 1, VersionMax: 1, Authorization: "Bearer x", CallsMax: 9, Cluster: "17b25fec"}
	f.Add(byte(kindHello), hello.append(nil))
	f.Add(byte(kindEnd), appendError(nil, &kindred.Error{Code: kindred.CodeStopping, Message: "m"}))
	f.Add(byte(kindPing), []byte(nil))
	f.Fuzz(func(_ *testing.T, k byte, body []byte) {
		framed := append(make([]byte, headBytes), body...)
		framed[versionOffset], framed[kindOffset] = Version, k
		binary.LittleEndian.PutUint32(framed, uint32(len(framed)))
		sum := crc32.Update(crc32.Update(0, castagnoli, framed[:crcOffset]), castagnoli, framed[countOffset:])
		binary.LittleEndian.PutUint32(framed[crcOffset:], sum)
		for _, said := range [][]byte{body, framed, append([]byte(Preface), body...), append([]byte(Preface), framed...)} {
			if l, _, err := Accept(&hearing{said: said}); err == nil {
				_, _ = l.Calls()
				l.Close()
			}
			if l, _, err := Open(&hearing{said: said}, "", ""); err == nil {
				_, _ = l.Results()
				l.Close()
			}
			_, _ = newLink(&hearing{said: said}, 1<<20).Calls()
		}
	})
}

// hearing is a connection on which something was said.
type hearing struct {
	net.Conn
	said []byte
}

func (h *hearing) Read(p []byte) (int, error) {
	if len(h.said) == 0 {
		return 0, io.EOF
	}
	n := copy(p, h.said)
	h.said = h.said[n:]
	return n, nil
}

func (*hearing) Write(p []byte) (int, error) { return len(p), nil }
func (*hearing) Close() error                { return nil }
