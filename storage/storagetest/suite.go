package storagetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// Disk is what an engine keeps its rows on. It starts empty.
type Disk interface {
	// Open returns an engine on what the disk holds. The suite has closed the one
	// before, or cut its power.
	Open() (storage.Engine, error)

	// CutPower takes the power from the open engine, which is not used again. The
	// disk keeps what was synced and about keepPercent of the rest, as random
	// draws it.
	CutPower(keepPercent int, random *rand.Rand)
}

// Run runs the suite, each test on a new disk.
func Run(t *testing.T, newDisk func(t *testing.T) Disk) {
	tests := []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"S1_BatchIsAppliedWholly", batchIsAppliedWholly},
		{"S1_ChangesTakeEffectInOrder", changesTakeEffectInOrder},
		{"S1_DeleteRangeIsHalfOpen", deleteRangeIsHalfOpen},
		{"S1_DeleteRangeSparesLaterChanges", deleteRangeSparesLaterChanges},
		{"S1_LimitsAreRefusedWholly", limitsAreRefusedWholly},
		{"S1_EmptyKeysAreRefused", emptyKeysAreRefused},
		{"S2_EmptyValues", emptyValues},
		{"S2_LargeValues", largeValues},
		{"S2_CallerOwnsValues", callerOwnsValues},
		{"S2_BatchIsReused", batchIsReused},
		{"S2_ScanOrderAndBounds", scanOrderAndBounds},
		{"S2_ScanStops", scanStops},
		{"S2_ScanOfRowsOfEveryTable", scanOfRowsOfEveryTable},
		{"S3_CrashKeepsAPrefix", crashKeepsAPrefix},
		{"S3_RangesGoTogether", rangesGoTogether},
		{"S3_RandomHistories", randomHistories},
		{"S3_WhatOpenShowedIsDurable", whatOpenShowedIsDurable},
		{"S4_SyncedSurvives", syncedSurvives},
		{"S4_SyncCoversConcurrentCallers", syncCoversConcurrentCallers},
		{"S5_SnapshotStandsStill", snapshotStandsStill},
		{"S5_SnapshotsUnderWriters", snapshotsUnderWriters},
		{"S6_AbsentIsNotFound", absentIsNotFound},
		{"S7_ClosedIsClosed", closedIsClosed},
		{"S7_CloseSyncs", closeSyncs},
		{"S7_CloseUnderUse", closeUnderUse},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := &bench{t: t, disk: newDisk(t)}
			b.open()
			t.Cleanup(func() { _ = b.engine.Close() })
			test.run(t, b)
		})
	}
}

// bench is one disk with the engine that is open on it.
type bench struct {
	t      *testing.T
	disk   Disk
	engine storage.Engine
}

func (b *bench) open() {
	b.t.Helper()
	engine, err := b.disk.Open()
	require.NoError(b.t, err)
	b.engine = engine
}

func (b *bench) reopen() {
	b.t.Helper()
	require.NoError(b.t, b.engine.Close())
	b.open()
}

func (b *bench) crash(keepPercent int, random *rand.Rand) {
	b.t.Helper()
	b.disk.CutPower(keepPercent, random)
	b.open()
}

// apply applies one batch of changes written as "key=value", "-key" for a delete
// and "-from:to" for a range.
func (b *bench) apply(changes ...string) {
	b.t.Helper()
	require.NoError(b.t, b.engine.Apply(batchOf(changes...)))
}

func (b *bench) sync() {
	b.t.Helper()
	require.NoError(b.t, b.engine.Sync())
}

func (b *bench) snapshot() storage.Snapshot {
	b.t.Helper()
	snapshot, err := b.engine.Snapshot()
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = snapshot.Close() })
	return snapshot
}

// rows returns all that the engine holds, as "key=value".
func (b *bench) rows() []string {
	b.t.Helper()
	snapshot, err := b.engine.Snapshot()
	require.NoError(b.t, err)
	rows := scan(b.t, snapshot, "", "")
	require.NoError(b.t, snapshot.Close())
	return rows
}

func scan(t *testing.T, from storage.Snapshot, lo, hi string) []string {
	t.Helper()
	rows := []string{}
	require.NoError(t, from.Scan([]byte(lo), []byte(hi), func(key, value []byte) bool {
		rows = append(rows, fmt.Sprintf("%s=%s", key, value))
		return true
	}))
	return rows
}

// seeded returns a source of randomness whose seed is printed if the test fails.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("KINDRED_SEED"); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "KINDRED_SEED must be a number")
		seed = given
	}
	t.Logf("KINDRED_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
