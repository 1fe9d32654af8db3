package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

var update = flag.Bool("update", false, "rewrite the golden bytes")

var (
	actorA = vclock.Actor{Disk: 0xA1, Nonce: 0xA2}
	actorB = vclock.Actor{Disk: 0xB1, Nonce: 0xB2}
	head   = Head{Partition: 0x1234, N: 3}
	op     = OpID{Process: 0xC0FFEE, Seq: 300}
	id     = kindred.RequestID{1, 2, 3, 15: 16}
	round  = Round{Number: 300, Proposer: 0xC0FFEE}
	at     = ring.Progress{Tip: ring.Version{Counter: 300, Hash: 0x1A70}, Step: ring.Ahead}
	when   = time.UnixMilli(1_790_000_000_123).UTC()
)

func dot(a vclock.Actor, c uint64) vclock.Dot { return vclock.Dot{Actor: a, Counter: c} }

// closed is every dot of an actor from one on, without end.
func closed(a vclock.Actor, from uint64) (s vclock.DotSet) {
	s.AddSpan(a, vclock.Span{Lo: from, Hi: math.MaxUint64})
	return s
}

func record() Record {
	return Record{RequestID: id, Node: "n1", WrittenAt: when.UnixMilli(), Causes: kindred.CauseBlind | kindred.CauseCut, ExpiresAt: ExpiryAt(when.Add(time.Hour)), ContentType: "text/plain", Value: []byte("milk")}
}

func object() Object {
	seen := vclock.NewDotSet(dot(actorA, 1), dot(actorA, 2), dot(actorB, 7))
	o := vclock.New(dot(actorA, 3), record(), seen)
	o.Add(dot(actorB, 9), Record{Node: "n2", WrittenAt: 1, Value: []byte{}})
	return o
}

// messages has one of every kind with every field set.
func messages() []Message {
	o := object()
	dots := o.Dots()
	dots.Add(dot(actorB, 8))
	return []Message{
		&Write{
			Head: head, Op: op, Durability: kindred.Sync, Bucket: "carts", Key: "k\x00é", Delta: Delta{Siblings: o, Dots: dots},
			RequestIDs: []DotRequest{{Dot: dot(actorB, 8), ID: id}},
			Rounds:     Rounds{{Actor: actorA, Round: round}, {Actor: actorB, Round: round}},
			Void:       1 << 60,
			At:         at,
		},
		&WriteAck{Head: head, Op: op, Refused: "disk full", At: at},
		&AuditTree{Head: head, Op: op, Parts: []uint64{1, math.MaxUint64}},
		&AuditLeaves{Head: head, Op: op, Failed: "why", Parts: []AuditPart{{Index: 63, Leaves: bytes.Repeat([]byte{7}, AuditPartBytes)}}},
		&AuditList{Head: head, Op: op, Leaves: []uint32{0, 1, 700, 1023}, Known: dots},
		&AuditKeys{Head: head, Op: op, Failed: "why", Clock: dots, Leaves: []uint32{700}, Keys: []AuditKey{{Bucket: "carts", Key: "k", Hash: 9}}},
		&AuditFetch{Head: head, Op: op, Keys: []AuditName{{Bucket: "carts", Key: "k"}}},
		&AuditObjects{
			Head: head, Op: op, Failed: "why", Clock: dots, Objects: []AuditObject{{AuditName: AuditName{Bucket: "carts", Key: "k"}, Object: o}},
			Rounds: Rounds{{Actor: actorA, Round: round}},
		},
		&Read{Head: head, Op: op, Bucket: "carts", Key: "k", Inspect: true, Guest: true, At: at},
		&ReadReply{Head: head, Op: op, Failed: "why", Object: o, Context: "{a:1}", Clock: "{a:2}", Rounds: Rounds{{Actor: actorA, Round: round}}, Void: 300, At: at},
		&Forward{Head: head, Op: op, Request: kindred.Request{
			Op: kindred.OpPut, Bucket: "b", Key: "k", Value: []byte("v"), ContentType: "t", Context: []byte{1, 2}, RequestID: id,
			TTL: time.Minute, ExpiresAt: when, Resent: true,
			R: 1, W: kindred.CountQuorum, PR: kindred.CountAll, PW: 2, Durability: kindred.Batch, Sloppy: kindred.Strict, Timeout: 1500 * time.Millisecond,
			Dot: "a:7", Stage: kindred.Settled,
		}, Guest: true, At: at},
		&ForwardReply{Head: head, Op: op, Response: kindred.Response{
			Siblings: []kindred.Sibling{{Dot: "a:1", Value: []byte("v"), ContentType: "t", WrittenAt: when, Node: "n1", Causes: kindred.CauseBlind | 1<<15, ExpiresAt: when.Add(time.Hour)}},
			Context:  []byte{9},
			Receipt:  kindred.Receipt{Dot: "a:2", Stage: kindred.Replicated, Durability: kindred.Batch, Acked: []string{"n1", "n2"}, Guests: []string{"n2"}, ExpiresAt: when},
			Replicas: []kindred.ReplicaView{{Node: "n1", Guest: true, Err: "e", Context: "c", Clock: "d", Siblings: []kindred.SiblingView{{Dot: "a:1", Bytes: 3, ContentType: "t", WrittenAt: when, Node: "n1", Causes: kindred.CauseGuest, ExpiresAt: when}}}},
			Replied:  []string{"n3", "n4"},
			Guests:   []string{"n4"},
		}, At: at},
		&ForwardReply{Head: head, Op: op, Response: kindred.Response{Err: &kindred.Error{
			Code: kindred.CodeTimeout, Message: "m", Field: "f", Limit: -1, Outcome: kindred.Unknown, Dot: "a:1", Need: 2, Got: 1,
			Failed: []kindred.NodeFailure{{Node: "n2", Reason: "r"}},
		}}},
		&ScanRead{Head: head, Op: op, Bucket: "b", Prefix: "p", After: "pa", From: true, Limit: 100, Guest: true, At: at},
		&ScanReply{
			Head: head, Op: op, Failed: "f", Base: vclock.NewDotSet(dot(actorA, 1)), More: true, At: at,
			Keys: []ScanKey{{Key: "k", Dots: vclock.New(dot(actorB, 2), ExpiryAt(when), vclock.NewDotSet(dot(actorA, 4)))}},
		},
		&Layout{Bytes: []byte("layout")},
		&Hint{
			Head: head, Op: op, Durability: kindred.Sync, Bucket: "carts", Key: "k", Slots: AllSlots(3).Without(1),
			Delta: Delta{Siblings: o, Dots: dots}, RequestIDs: []DotRequest{{Dot: dot(actorB, 8), ID: id}},
			Rounds: Rounds{{Actor: actorA, Round: round}}, At: at,
		},
		&HintOffer{Head: head, Op: op, Dots: dots},
		&HintLacks{Head: head, Op: op, Failed: "why", Dots: dots},
		&CloseAsk{Head: head, Op: op, Layout: ring.Version{Counter: 7, Hash: 8}, Round: round, Actors: []vclock.Actor{actorA, actorB}},
		&CloseReply{Head: head, Op: op, Refused: "r", Reports: []CloseReport{
			{Actor: actorA, Live: true},
			{Actor: actorB, Promised: round, Closed: Round{Number: 1, Proposer: 2}, Held: vclock.NewDotSet(dot(actorB, 2)), Void: closed(actorB, 3)},
		}},
		&CloseTell{Head: head, Records: []CloseRecord{{Actor: actorA, Round: round, Void: closed(actorA, 1)}}},
		&TimeAsk{Head: head, Op: op},
		&TimeTell{Head: head, Op: op, Wall: when.UnixMilli()},
		&RebuildRead{Head: head, Op: op, From: true, Bucket: "carts", Key: "ann", BytesMax: 1 << 18},
		&RebuildPage{
			Head: head, Op: op, Failed: "why", Clock: dots, Knows: dots, More: true, EndBucket: "carts", EndKey: "k2",
			Rounds: Rounds{{Actor: actorA, Round: round}},
			Items:  []RebuildItem{{Bucket: "a", Key: "k1", Object: o}, {Bucket: "a", Key: "k2", Object: o}, {Bucket: "carts", Key: "k1", Object: o}},
		},
		&Clock{
			Head: head, Actor: actorA, Seq: 7, EchoActor: actorB, EchoSeq: 300, Ask: true, Vouch: true, Lost: true,
			Durable: dots, Common: o.Dots(), Digest: 0xD16E57, Outcomes: 0x0C1,
			At: at, Trusted: true, Former: true,
		},
		&Clock{Head: head, Actor: actorA, Seq: 1},
		&Pull{Head: head, Op: op, Dots: dots, Bare: true},
		&Pieces{
			Head: head, Op: op, Failed: "why", Base: vclock.NewDotSet(dot(actorA, 1), dot(actorA, 2)), More: true,
			Absent: vclock.NewDotSet(dot(actorB, 1)), Damaged: vclock.NewDotSet(dot(actorB, 3)),
			Pieces: []Piece{
				{Bucket: "carts", Key: "k\x00é", Object: o},
				{Bucket: "b", Key: "gone", Events: []DotRequest{{Dot: dot(actorB, 8), ID: id}, {Dot: dot(actorA, 9)}}},
				{Bucket: "carts", Key: "l", Object: vclock.New(dot(actorB, 2), record(), vclock.DotSet{})},
			},
		},
		&Buckets{Cluster: [16]byte{0xC1, 15: 0xC2}, Hash: 0xB0C, Registry: []byte("registry")},
	}
}

func TestEveryMessageComesBackAsItWas(t *testing.T) {
	for _, m := range messages() {
		b := Append(nil, m)
		got, err := Decode(b)
		require.NoError(t, err, "%T", m)
		require.Equal(t, m, got)
		kind, h, err := Peek(b)
		require.NoError(t, err)
		require.Equal(t, m.kind(), kind)
		require.Equal(t, m.head(), h)
	}
}

func TestTheBytesOfEveryMessageStandStill(t *testing.T) {
	var text strings.Builder
	for i, m := range messages() {
		fmt.Fprintf(&text, "%d %s\n%s\n", i, KindOf(m), hex.EncodeToString(Append(nil, m)))
	}
	const file = "testdata/messages.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text.String(), "the wire form changed: raise Format, or run with -update if it was never released")
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for _, m := range messages() {
		b := Append(nil, m)
		for n := range b {
			_, err := Decode(b[:n])
			require.Error(t, err, "%T cut to %d of %d bytes", m, n, len(b))
		}
		_, err := Decode(append(b, 0))
		require.ErrorContains(t, err, "too many", "%T", m)
	}
}

func TestAnUnknownFormatOrKindIsRefusedByItsNumber(t *testing.T) {
	b := Append(nil, &WriteAck{Head: head, Op: op})
	b[0] = 9
	_, err := Decode(b)
	require.ErrorContains(t, err, "format 9, this node speaks 2")
	b[0], b[1] = Format, 77
	_, err = Decode(b)
	require.ErrorContains(t, err, "unknown kind 77")
}

func TestALengthBeyondTheMessageAllocatesNothing(t *testing.T) {
	b := Append(nil, &ScanReply{Head: head, Op: op})
	b = b[:len(b)-3]                            // without the keys, whether there are more, and the layout
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0x0f) // keys: four thousand million
	_, err := Decode(b)
	require.ErrorContains(t, err, "bytes left")
}

func TestAValueApartLeavesOnlyItsLength(t *testing.T) {
	whole := record()
	whole.Value = bytes.Repeat([]byte("x"), 100_000)
	b := AppendApart(nil, whole)
	require.Less(t, len(b), 100)
	got, rest, err := DecodeRecord(b)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.True(t, got.Apart)
	require.EqualValues(t, 100_000, got.ValueBytes)
	require.Equal(t, b, AppendRecord(nil, got), "a record that is apart stays so")
}

func FuzzDecode(f *testing.F) {
	for _, m := range messages() {
		f.Add(Append(nil, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		require.Equal(t, b, Append(nil, m), "%T: what was accepted must be canonical", m)
	})
}

func storedHint() *StoredHint {
	o := object()
	dots := o.Dots()
	dots.Add(dot(actorB, 8))
	return &StoredHint{
		Slots: AllSlots(3), Since: when.UnixMilli(), Delta: Delta{Siblings: o, Dots: dots},
		RequestIDs: []DotRequest{{Dot: dot(actorB, 8), ID: id}},
	}
}

// The row of a hint outlives the process that wrote it, and the layout too.
func TestTheRowOfAHintStandsStill(t *testing.T) {
	row := AppendStoredHint(nil, storedHint())
	const file = "testdata/hint.golden"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(hex.EncodeToString(row)+"\n"), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), hex.EncodeToString(row)+"\n", "disks in use have the old form: give the new one another number")
	got, err := DecodeStoredHint(row)
	require.NoError(t, err)
	require.Equal(t, *storedHint(), got)
	for n := range row {
		_, err := DecodeStoredHint(row[:n])
		require.Error(t, err, "cut to %d of %d bytes", n, len(row))
	}
	row[0] = 9
	_, err = DecodeStoredHint(row)
	require.ErrorContains(t, err, "form 9, this node knows 1")
}

func FuzzDecodeStoredHint(f *testing.F) {
	f.Add(AppendStoredHint(nil, storedHint()))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeStoredHint(b)
		if err != nil {
			return
		}
		require.Equal(t, b, AppendStoredHint(nil, &h))
	})
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(AppendRecord(nil, record()))
	f.Add(AppendApart(nil, record()))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := DecodeRecord(b)
		if err != nil {
			return
		}
		require.Equal(t, b[:len(b)-len(rest)], AppendRecord(nil, r))
	})
}

// Apart is for rows. A store that took it from a peer would look in vain for the
// value's own row.
func TestAValueApartCannotBeSent(t *testing.T) {
	o := vclock.New(dot(actorA, 1), Record{Node: "n1", Apart: true, ValueBytes: 7}, vclock.DotSet{})
	for _, m := range []Message{
		&Write{Head: head, Op: op, Bucket: "b", Key: "k", Delta: Delta{Siblings: o, Dots: o.Dots()}},
		&ReadReply{Head: head, Op: op, Object: o},
	} {
		_, err := Decode(Append(nil, m))
		require.ErrorContains(t, err, "lies apart")
	}
}
