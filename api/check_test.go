package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

func TestWhatIsOutOfRangeIsNamed(t *testing.T) {
	put := func(change func(*pb.PutRequest)) *kindred.Error {
		m := &pb.PutRequest{Bucket: "carts", Key: []byte("alice")}
		change(m)
		_, err := api.ParsePut(m)
		return err
	}
	scan := func(m *pb.ScanRequest) *kindred.Error {
		m.Bucket = "carts"
		_, _, err := api.ParseScan(m)
		return err
	}
	for _, c := range []struct {
		got   *kindred.Error
		field string
		code  kindred.Code
		limit int64
	}{
		{put(func(m *pb.PutRequest) { m.Bucket = "" }), "bucket", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.Bucket = strings.Repeat("b", 256) }), "bucket", kindred.CodeTooLarge, 255},
		{put(func(m *pb.PutRequest) { m.Key = nil }), "key", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.Key = make([]byte, 4097) }), "key", kindred.CodeTooLarge, 4096},
		{put(func(m *pb.PutRequest) { m.Value = make([]byte, 8<<20+1) }), "value", kindred.CodeTooLarge, 8 << 20},
		{put(func(m *pb.PutRequest) { m.ContentType = strings.Repeat("x", 256) }), "content_type", kindred.CodeTooLarge, 255},
		{put(func(m *pb.PutRequest) { m.ContentType = "text/\n" }), "content_type", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.Context = make([]byte, 1<<20+1) }), "context", kindred.CodeTooLarge, 1 << 20},
		{put(func(m *pb.PutRequest) { m.RequestId = make([]byte, 15) }), "request_id", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.W = 17 }), "w", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.Pw = -3 }), "pw", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.Durability = 4 }), "durability", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.Durability = 257 }), "durability", kindred.CodeInvalid, 0},
		{put(func(m *pb.PutRequest) { m.Durability = -1 }), "durability", kindred.CodeInvalid, 0},
		{scan(&pb.ScanRequest{Prefix: make([]byte, 4097)}), "prefix", kindred.CodeTooLarge, 4096},
		{scan(&pb.ScanRequest{Cursor: make([]byte, 8193)}), "cursor", kindred.CodeTooLarge, 8192},
	} {
		require.NotNil(t, c.got, c.field)
		require.Equal(t, c.code, c.got.Code, c.field)
		require.Equal(t, c.field, c.got.Field)
		require.Equal(t, c.limit, c.got.Limit, c.field)
		require.Equal(t, kindred.NotApplied, c.got.Outcome, c.field)
	}
	require.Nil(t, put(func(m *pb.PutRequest) { m.Key, m.Value = make([]byte, 4096), make([]byte, 8<<20) }))
}

func TestACallOfNoKnownOpIsRefused(t *testing.T) {
	for _, call := range []*pb.Call{nil, {}, {Id: 3}} {
		_, err := api.ParseCall(call)
		require.Equal(t, "op", err.Field)
	}
	_, err := api.ParseCall(api.FormatCall(1, &kindred.Request{Op: kindred.OpScan}))
	require.Equal(t, "op", err.Field)
	require.Equal(t, "op", api.Check(&kindred.Request{Op: 77}).Field)
}

func TestCheckAlsoGuardsWhatHasNoMessage(t *testing.T) {
	ok := kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k"}
	bad := ok
	bad.Timeout = -time.Second
	require.Equal(t, "timeout", api.Check(&bad).Field)
	bad = ok
	bad.Durability = 9
	require.Equal(t, "durability", api.Check(&bad).Field)
	for _, limit := range []int{-1, 1001} {
		require.Equal(t, "limit", api.Check(&kindred.Request{Op: kindred.OpScan, Bucket: "b", Scan: kindred.Scan{Limit: limit}}).Field)
	}
	require.Nil(t, api.Check(&kindred.Request{Op: kindred.OpScan, Bucket: "b", Scan: kindred.Scan{Limit: 1000}}))
}

func TestTimeoutsRoundUpAndStayInRange(t *testing.T) {
	for d, want := range map[time.Duration]uint32{
		0: 0, -1: 0, 1: 1, time.Millisecond: 1, time.Millisecond + 1: 2, time.Second: 1000, 1 << 62: 1<<32 - 1,
	} {
		require.Equal(t, want, api.FormatGet(&kindred.Request{Timeout: d}).TimeoutMs, "%d", d)
	}
}

func TestAScanAsksForAPageOfWhatItWants(t *testing.T) {
	for want, page := range map[uint64]int{0: 0, 1: 1, 1000: 1000, 1001: 1000, 1 << 63: 1000} {
		r, total, err := api.ParseScan(&pb.ScanRequest{Bucket: "b", Limit: want})
		require.Nil(t, err)
		require.Equal(t, want, total)
		require.Equal(t, page, r.Scan.Limit)
	}
}
