package antientropy

import (
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

func dots(counters ...uint64) (s vclock.DotSet) {
	for _, c := range counters {
		s.Add(vclock.Dot{Actor: dead, Counter: c})
	}
	return s
}

func from(lo uint64) (s vclock.DotSet) {
	s.AddSpan(dead, vclock.Span{Lo: lo, Hi: math.MaxUint64})
	return s
}

func round(number uint64) wire.Round { return wire.Round{Number: number, Proposer: 1} }

// R15: a member promises a higher round only, and nothing about itself.
func TestR15_PromisesOnlyRise(t *testing.T) {
	var p Promises
	report, promised := p.Report(dead, round(2), true, dots(1))
	require.True(t, report.Live)
	require.False(t, promised)
	report, promised = p.Report(dead, round(2), false, dots(1))
	require.True(t, promised)
	require.Equal(t, round(2), report.Promised)
	report, promised = p.Report(dead, round(1), false, dots(1))
	require.False(t, promised)
	require.Equal(t, round(2), report.Promised, "the proposer of round 1 learns why")
	report, promised = p.Report(dead, round(2), false, dots(3))
	require.False(t, promised)
	require.Equal(t, dots(1, 3).String(), report.Held.String(), "what it held when it promised, and what it holds")
}

// R14: between promise and outcome only those who promised the same may bring news.
func TestR14_NewsComesFromThoseWhoPromisedTheSame(t *testing.T) {
	var p Promises
	require.NoError(t, p.Refuse(dots(5), nil))
	p.Report(dead, round(2), false, dots(1))
	var refused *PromiseError
	require.ErrorAs(t, p.Refuse(dots(5), nil), &refused)
	require.Error(t, p.Refuse(dots(5), wire.Rounds{{Actor: dead, Round: round(1)}}))
	require.NoError(t, p.Refuse(dots(5), wire.Rounds{{Actor: dead, Round: round(2)}}))
	require.Equal(t, wire.Rounds{{Actor: dead, Round: round(2)}}, p.Rounds(dots(5)))

	p.Learn(wire.CloseRecord{Actor: dead, Round: round(2), Void: from(9)})
	require.NoError(t, p.Refuse(dots(5), nil), "closed: what is not void was held by somebody")
	require.ErrorAs(t, p.Refuse(dots(9), nil), &refused)
	require.True(t, refused.Void)
	p.Report(dead, round(3), false, dots(1))
	require.Error(t, p.Refuse(dots(5), nil), "a later round is under way (C10)")
}

// The outcome of a completed round is true for ever, in whatever order it comes.
func TestOutcomesUniteInAnyOrder(t *testing.T) {
	one := wire.CloseRecord{Actor: dead, Round: round(1), Void: from(9)}
	two := wire.CloseRecord{Actor: dead, Round: round(2), Void: func() vclock.DotSet { s := from(9); s.Union(dots(4)); return s }()}
	var a, b Promises
	a.Learn(one)
	fresh, changed := a.Learn(two)
	require.True(t, changed)
	require.Equal(t, dots(4).String(), fresh.String())
	b.Learn(two)
	_, changed = b.Learn(one)
	require.False(t, changed)
	require.Equal(t, a.Of(dead), b.Of(dead))
	require.Equal(t, two.Void.String(), a.Unswept().String())
	require.Empty(t, a.SetSwept(one.Void), "more has become void since")
	require.Equal(t, []vclock.Actor{dead}, a.SetSwept(two.Void))
	require.True(t, a.Unswept().IsEmpty())
}

// I11: a member keeps a bounded number of records.
func TestThePromisesOfAMemberAreBounded(t *testing.T) {
	var p Promises
	for i := range uint64(RecordsMax) {
		_, promised := p.Report(vclock.Actor{Disk: 1, Nonce: i + 1}, round(1), false, vclock.DotSet{})
		require.True(t, promised)
	}
	_, promised := p.Report(dead, round(1), false, vclock.DotSet{})
	require.False(t, promised)
	_, promised = p.Report(vclock.Actor{Disk: 1, Nonce: 1}, round(2), false, vclock.DotSet{})
	require.True(t, promised, "those that it has go on")
}

func record() Record {
	return Record{Actor: dead, Promised: round(3), Closed: round(2), Reported: dots(1, 4), Void: from(9), Swept: true}
}

func TestARecordComesBackAsItWasSaved(t *testing.T) {
	p := Promises{records: []Record{record()}}
	var rows storage.Batch
	p.Save(&rows, 5, 3, dead)
	store := memstore.New()
	require.NoError(t, store.Apply(&rows))
	snapshot, err := store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	back, err := ReadPromises(snapshot, 5, 3)
	require.NoError(t, err)
	require.Equal(t, p.records, back.records)
	none, err := ReadPromises(snapshot, 6, 3)
	require.NoError(t, err)
	require.Empty(t, none.records)
}

// The bytes are a contract with every disk in use.
func TestTheBytesOfARecordStandStill(t *testing.T) {
	require.Equal(t, "0101000000000000000300000000000000010000000000000002"+
		"0000000000000001d10100000000000000090000000000000009040000"+"0100d101000000000000000900000000000000090308",
		hex.EncodeToString(AppendRecord(nil, record())))
}

func TestADamagedRecordStopsTheStart(t *testing.T) {
	whole := AppendRecord(nil, record())
	for n := range whole {
		_, err := DecodeRecord(dead, whole[:n])
		require.Error(t, err, "cut to %d bytes", n)
	}
	_, err := DecodeRecord(vclock.Actor{Disk: 1, Nonce: 1}, whole)
	require.ErrorContains(t, err, "other actors")
	store := memstore.New()
	var rows storage.Batch
	rows.Set(storage.PromiseKey(nil, 5, 3, actorBytes(dead)), whole[:9])
	require.NoError(t, store.Apply(&rows))
	snapshot, err := store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	_, err = ReadPromises(snapshot, 5, 3)
	require.ErrorContains(t, err, "partition 5/3")
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(AppendRecord(nil, record()))
	f.Add(AppendRecord(nil, Record{Actor: dead, Promised: round(1)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := DecodeRecord(dead, b); err == nil {
			require.Equal(t, b, AppendRecord(nil, r))
		}
	})
}

// I11: records are bounded, whoever tells of outcomes.
func TestNoMoreIsLearnedThanIsKept(t *testing.T) {
	p := &Promises{}
	for i := range uint64(RecordsMax + 10) {
		a := vclock.Actor{Disk: 1, Nonce: i + 1}
		var void vclock.DotSet
		void.Close(a)
		p.Learn(wire.CloseRecord{Actor: a, Round: wire.Round{Number: 1, Proposer: 1}, Void: void})
	}
	require.Len(t, p.All(), RecordsMax)
}
