package checker_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
)

func firstSeed(t *testing.T) uint64 {
	seed := flag.Lookup("seed").Value.(flag.Getter).Get().(uint64)
	if seed == 0 {
		seed = rand.Uint64N(1 << 40)
	}
	t.Logf("to repeat: go test -run '^%s$' -seed %d", t.Name(), seed)
	return seed
}

// TestRightStoreIsNeverAccused runs every workload against the right store, as
// one copy and as three with strict quorums.
func TestRightStoreIsNeverAccused(t *testing.T) {
	seed := firstSeed(t)
	var total checker.Counts
	for _, kind := range workload.Kinds() {
		for i := range uint64(6) {
			for _, q := range []struct{ n, r, w int }{{1, 1, 1}, {3, 2, 2}, {3, 3, 1}} {
				h, _ := simulate(seed+i, kind, none, q.n, q.r, q.w)
				report := checker.Check(&h, checker.Options{DisksKept: true})
				require.Equal(t, checker.OK, report.Status(), "seed %d, %s, %+v\n%s", seed+i, kind, q, report)
				add(&total, report.Counts)
			}
		}
	}
	t.Logf("%+v", total)
	require.Positive(t, total.Uncertain, "no write of unknown outcome")
	require.Positive(t, total.Surfaced, "none of them took effect")
	require.Positive(t, total.NotApplied, "no refused write")
	require.Positive(t, total.SiblingReads, "no contention")
	require.Positive(t, total.Superseded, "nothing was superseded")
	require.Zero(t, total.Vanished+total.Echoes)
}

// TestWeakQuorumsAreCountedAndNotAccused: R + W ≤ N promises no freshness, but
// everything else.
func TestWeakQuorumsAreCountedAndNotAccused(t *testing.T) {
	seed := firstSeed(t)
	stale := 0
	for i := range uint64(10) {
		h, _ := simulate(seed+i, workload.Register, none, 3, 1, 1)
		report := checker.Check(&h, checker.Options{Properties: []checker.Property{checker.Kept, checker.Exact, checker.StaysGone, checker.NotApplied, checker.UniqueDots}})
		require.Equal(t, checker.OK, report.Status(), "seed %d\n%s", seed+i, report)
		require.Equal(t, report.Counts.Reads, report.Counts.Exempt)
		stale += report.Counts.Stale
	}
	require.Positive(t, stale, "weak reads were never stale: the store is too kind to test this")
}

// TestTokensHoldWeakReadsToTheirSession: the same weak reads break a promise if
// tokens make one.
func TestTokensHoldWeakReadsToTheirSession(t *testing.T) {
	seed := firstSeed(t)
	caught := 0
	for i := range uint64(10) {
		h, _ := simulate(seed+i, workload.Sessions, none, 3, 1, 1)
		report := checker.Check(&h, checker.Options{Tokens: true, Properties: []checker.Property{checker.Sessions}})
		if report.Status() == checker.Violated {
			caught++
		}
		h, _ = simulate(seed+i, workload.Sessions, none, 1, 1, 1)
		report = checker.Check(&h, checker.Options{Tokens: true, Properties: []checker.Property{checker.Sessions}})
		require.Equal(t, checker.OK, report.Status(), "one copy never goes back: seed %d\n%s", seed+i, report)
	}
	require.Greater(t, caught, 5)
}

// TestPlantedFaultsAreFound plants each fault in many runs. Where it struck, the
// named property must be violated: in every run for faults that the end shows, in
// three of many for those that a run may cover up again.
func TestPlantedFaultsAreFound(t *testing.T) {
	seed := firstSeed(t)
	const runs = 6
	for _, tt := range []struct {
		fault    fault
		kind     workload.Kind
		property checker.Property
		least    int
	}{
		{loses, workload.Set, checker.Kept, runs},
		{loses, workload.Blind, checker.Kept, runs},
		{lastWriterWins, workload.Blind, checker.Kept, runs},
		{lastWriterWins, workload.Register, checker.Fresh, runs},
		{ignoresContexts, workload.Register, checker.Exact, runs},
		{ignoresContexts, workload.Set, checker.StaysGone, runs},
		{ignoresDeletes, workload.Recreate, checker.StaysGone, runs},
		{overreaches, workload.Blind, checker.Kept, runs},
		{overreaches, workload.Recreate, checker.Fresh, runs / 2},
		{resurrects, workload.Set, checker.StaysGone, runs},
		{resurrects, workload.Recreate, checker.StaysGone, runs},
		{acksEarly, workload.Register, checker.Fresh, runs / 2},
		{acksEarly, workload.Sessions, checker.Sessions, runs / 2},
		{readsOne, workload.Register, checker.Fresh, runs},
		{readsOne, workload.Sessions, checker.Sessions, runs / 2},
		{refusesWrongly, workload.Blind, checker.NotApplied, runs / 2},
		{refusesWrongly, workload.Set, checker.NotApplied, runs / 2},
		{invents, workload.Register, checker.Exact, runs},
		{crossesKeys, workload.Blind, checker.Exact, runs},
		{reusesDots, workload.Register, checker.UniqueDots, runs / 2},
		{mintsTwice, workload.Register, checker.UniqueDots, runs / 2},
	} {
		t.Run(fmt.Sprintf("%s/%s/%s", strings.ReplaceAll(string(tt.fault), " ", "_"), tt.kind, string(tt.property)), func(t *testing.T) {
			caught, struck, tries := 0, 0, runs
			if tt.least < runs {
				tries = 10 * runs // this fault is not seen by clients each time
			}
			var missed []uint64
			for i := uint64(0); caught < tt.least && struck < tries && i < 20*runs; i++ {
				h, s := simulate(seed+i, tt.kind, tt.fault, 3, 2, 2)
				if s.planted == 0 {
					continue // it had no occasion
				}
				struck++
				report := checker.Check(&h, checker.Options{DisksKept: true})
				v := report.Verdict(tt.property)
				if v.Status != checker.Violated {
					missed = append(missed, seed+i)
					continue
				}
				caught++
				requireEvidence(t, &h, v)
			}
			t.Logf("struck in %d runs, caught in %d", struck, caught)
			require.GreaterOrEqual(t, caught, tt.least, "missed with seeds %v", missed)
		})
	}
}

// requireEvidence: a finding names ops of the object that it is about.
func requireEvidence(t *testing.T, h *history.History, v checker.Verdict) {
	t.Helper()
	require.NotEmpty(t, v.Findings)
	for _, f := range v.Findings {
		require.Equal(t, v.Property, f.Property)
		require.NotEmpty(t, f.Text)
		require.NotEmpty(t, f.Ops)
		op := h.Ops[f.Ops[0]]
		require.Equal(t, f.Object, history.ID{Bucket: op.Bucket, Key: op.Key})
	}
}

// TestFindingsAreBounded: a thousand lost writes do not make a report of a
// thousand lines, but are counted.
func TestFindingsAreBounded(t *testing.T) {
	var h history.History
	for i := range 1000 {
		h.Ops = append(h.Ops, ack(history.Op{Process: i, Kind: history.Put, Bucket: "b", Key: "k", Write: history.WriteID(i + 1)}))
	}
	h.Ops = append(h.Ops, ack(history.Op{Invoke: 10, Complete: 10, Kind: history.Get, Bucket: "b", Key: "k", Final: true}))
	v := checker.Check(&h, checker.Options{}).Verdict(checker.Kept)
	require.Equal(t, 1000, v.Found)
	require.Len(t, v.Findings, checker.FindingsMax)
}

func ack(op history.Op) history.Op {
	op.Outcome = 1
	return op
}

// TestPropertiesThatNobodyKnowsAreUnknown: a slip of the pen must not be green.
func TestPropertiesThatNobodyKnowsAreUnknown(t *testing.T) {
	h, _ := simulate(1, workload.Set, none, 1, 1, 1)
	report := checker.Check(&h, checker.Options{Properties: []checker.Property{"C99"}})
	require.Equal(t, checker.Unknown, report.Status())
	require.Equal(t, checker.Unknown, (&checker.Report{}).Status(), "no verdicts are no proof")
	require.Equal(t, checker.Unknown, report.Verdict(checker.Kept).Status)
}

// TestSameHistorySameReport: judging has no order of its own.
func TestSameHistorySameReport(t *testing.T) {
	h, _ := simulate(firstSeed(t), workload.Register, acksEarly, 3, 2, 2)
	first := checker.Check(&h, checker.Options{})
	for range 5 {
		require.Equal(t, first, checker.Check(&h, checker.Options{}))
	}
}

func add(a *checker.Counts, b checker.Counts) {
	a.Reads += b.Reads
	a.FinalReads += b.FinalReads
	a.Writes += b.Writes
	a.Acknowledged += b.Acknowledged
	a.NotApplied += b.NotApplied
	a.Uncertain += b.Uncertain
	a.Surfaced += b.Surfaced
	a.Vanished += b.Vanished
	a.SiblingReads += b.SiblingReads
	a.SiblingsMost = max(a.SiblingsMost, b.SiblingsMost)
	a.Superseded += b.Superseded
	a.Exempt += b.Exempt
	a.Stale += b.Stale
	a.Echoes += b.Echoes
}
