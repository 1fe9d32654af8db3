package native

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// arrive is a batch as the other end opens it.
func arrive(t require.TestingT, b *Batch) frame {
	defer b.Free()
	pieces := b.segments(nil)
	b.seal(pieces)
	raw := bytes.Join(pieces, nil)
	require.Len(t, raw, b.Size())
	f, err := openFrame(raw, true)
	require.NoError(t, err)
	return f
}

func drawRequest(t *rapid.T) *kindred.Request {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aä\x00€")), 0, 9, -1)
	some := rapid.SliceOfN(rapid.Byte(), 0, 40)
	count := rapid.Map(rapid.IntRange(-2, 9), func(n int) kindred.Count { return kindred.Count(n) })
	q := &kindred.Request{
		Op:     kindred.Op(rapid.IntRange(int(kindred.OpGet), int(kindred.OpDelete)).Draw(t, "op")),
		Bucket: text.Draw(t, "bucket"), Key: string(some.Draw(t, "key")), Value: some.Draw(t, "value"),
		ContentType: text.Draw(t, "type"), Context: some.Draw(t, "context"),
		Resent: rapid.Bool().Draw(t, "resent"), R: count.Draw(t, "r"), W: count.Draw(t, "w"),
		PR: count.Draw(t, "pr"), PW: count.Draw(t, "pw"),
		Durability: kindred.Durability(rapid.IntRange(0, int(kindred.Sync)).Draw(t, "durability")),
		Sloppy:     kindred.Sloppiness(rapid.IntRange(0, int(kindred.Strict)).Draw(t, "sloppy")),
		Timeout:    time.Duration(rapid.Int64Range(-5, math.MaxInt64).Draw(t, "timeout")),
		TTL:        time.Duration(rapid.Int64Range(0, math.MaxInt64-int64(time.Millisecond)).Draw(t, "ttl")),
	}
	if rapid.Bool().Draw(t, "named") {
		copy(q.RequestID[:], some.Draw(t, "id"))
	}
	if rapid.Bool().Draw(t, "moment") {
		q.ExpiresAt = time.Unix(rapid.Int64Range(1, 1<<33).Draw(t, "at"), 123456789)
	}
	return q
}

// asMessages is what the other end makes of a request that travels as a message of
// kindred.v1.
func asMessages(t require.TestingT, id uint64, q *kindred.Request) (*kindred.Request, *kindred.Error) {
	raw, err := proto.Marshal(api.FormatCall(id, q))
	require.NoError(t, err)
	var c pb.Call
	require.NoError(t, proto.Unmarshal(raw, &c))
	return api.ParseCall(&c)
}

func TestInvariant3_ACallMeansWhatAMessageWouldMean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, sent := NewCalls(), rapid.SliceOfN(rapid.Custom(drawRequest), 1, 5).Draw(t, "calls")
		for i, q := range sent {
			b.AddCall(uint64(i)*1e9, q)
		}
		got, err := decodeCalls(arrive(t, b), nil)
		require.NoError(t, err)
		require.Len(t, got, len(sent))
		for i, c := range got {
			require.EqualValues(t, uint64(i)*1e9, c.ID)
			want, bad := asMessages(t, c.ID, sent[i])
			require.Equal(t, bad, api.Check(c.Request))
			if bad == nil {
				require.Equal(t, want, c.Request)
			}
		}
	})
}

func drawResponse(t *rapid.T) *kindred.Response {
	text := rapid.SampledFrom([]string{"", "n1", "ä", "\xff", "n1.7"})
	texts := rapid.SliceOfN(text, 0, 3)
	at := rapid.Map(rapid.Int64Range(-1, 1<<41), func(ms int64) time.Time {
		if ms < 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms)
	})
	size := rapid.SampledFrom([]int{0, 1, 100, apartBytes - 1, apartBytes, 3 * apartBytes})
	if rapid.IntRange(0, 3).Draw(t, "fails") == 0 {
		e := &kindred.Error{
			Code: kindred.Code(text.Draw(t, "code")), Message: text.Draw(t, "message"), Field: text.Draw(t, "field"),
			Limit: rapid.Int64().Draw(t, "limit"), Outcome: kindred.Outcome(rapid.IntRange(0, 5).Draw(t, "outcome")),
			Dot: text.Draw(t, "dot"), Need: rapid.Int().Draw(t, "need"), Got: rapid.IntRange(-9, 9).Draw(t, "got"),
		}
		for range rapid.IntRange(0, 3).Draw(t, "failed") {
			e.Failed = append(e.Failed, kindred.NodeFailure{Node: text.Draw(t, "node"), Reason: text.Draw(t, "reason")})
		}
		return &kindred.Response{Err: e}
	}
	p := &kindred.Response{
		Context: rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "context"), Replied: texts.Draw(t, "replied"), Guests: texts.Draw(t, "guests"),
		Receipt: kindred.Receipt{
			Dot: text.Draw(t, "receipt"), Stage: kindred.Stage(rapid.IntRange(0, 9).Draw(t, "stage")),
			Durability: kindred.Durability(rapid.IntRange(0, 9).Draw(t, "durability")),
			Acked:      texts.Draw(t, "acked"), Guests: texts.Draw(t, "hinted"), ExpiresAt: at.Draw(t, "expires"),
		},
	}
	for range rapid.IntRange(0, 4).Draw(t, "siblings") {
		p.Siblings = append(p.Siblings, kindred.Sibling{
			Dot: text.Draw(t, "dot"), ContentType: text.Draw(t, "type"), Node: text.Draw(t, "node"),
			Value: bytes.Repeat([]byte{7}, size.Draw(t, "size")), WrittenAt: at.Draw(t, "written"), ExpiresAt: at.Draw(t, "expiry"),
			Causes: kindred.Causes(rapid.Uint16().Draw(t, "causes")),
		})
	}
	return p
}

func TestInvariant3_AResultMeansWhatAMessageWouldMean(t *testing.T) {
	ops := []kindred.Op{kindred.OpGet, kindred.OpPut, kindred.OpDelete}
	rapid.Check(t, func(t *rapid.T) {
		b, sent := NewResults(), rapid.SliceOfN(rapid.Custom(drawResponse), 1, 4).Draw(t, "results")
		for i, p := range sent {
			b.AddResult(uint64(i), ops[i%3], p)
		}
		got, err := decodeResults(arrive(t, b), nil)
		require.NoError(t, err)
		require.Len(t, got, len(sent))
		for i, r := range got {
			raw, err := proto.Marshal(api.FormatResult(uint64(i), ops[i%3], sent[i]))
			require.NoError(t, err)
			var m pb.Result
			require.NoError(t, proto.Unmarshal(raw, &m))
			require.Equal(t, m.GetId(), r.ID)
			require.Equal(t, api.ParseResult(&m), r.Response)
		}
	})
}

// Whoever adds a field to the words has to say here whether a link carries it.
func TestEveryFieldTravels(t *testing.T) {
	for _, tt := range []struct {
		of     any
		fields int
	}{
		{kindred.Request{}, 20}, {kindred.Response{}, 9}, {kindred.Sibling{}, 7}, {kindred.Receipt{}, 6}, {kindred.Error{}, 9}, {kindred.NodeFailure{}, 2},
	} {
		kind := reflect.TypeOf(tt.of)
		require.Equal(t, tt.fields, kind.NumField(), "%s has got a field: let frames carry it, with another Version, and count it here", kind)
	}
}

func TestWhatIsKeptDoesNotHoldAFrame(t *testing.T) {
	b := NewCalls()
	for range 2 {
		b.AddCall(1, &kindred.Request{Op: kindred.OpPut, Value: bytes.Repeat([]byte{1}, 1000)})
	}
	f := arrive(t, b)
	got, err := decodeCalls(f, nil)
	require.NoError(t, err)
	clear(f.body)
	require.Equal(t, bytes.Repeat([]byte{1}, 1000), got[0].Request.Value, "a copy")

	b = NewCalls()
	b.AddCall(1, &kindred.Request{Op: kindred.OpPut, Value: bytes.Repeat([]byte{1}, 1000)})
	f = arrive(t, b)
	got, err = decodeCalls(f, nil)
	require.NoError(t, err)
	clear(f.body)
	require.Equal(t, make([]byte, 1000), got[0].Request.Value, "nearly all of the frame: it is not copied")

	b = NewCalls()
	b.AddCall(1, &kindred.Request{Op: kindred.OpPut, Value: bytes.Repeat([]byte{1}, 1000)})
	f = arrive(t, b)
	f.own = false
	got, err = decodeCalls(f, nil)
	require.NoError(t, err)
	clear(f.body)
	require.Equal(t, bytes.Repeat([]byte{1}, 1000), got[0].Request.Value, "somebody else's buffer")
}
