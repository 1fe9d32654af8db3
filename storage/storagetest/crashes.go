package storagetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// keeps are the shares of unsynced data that a crash keeps, in per cent.
var keeps = [...]int{0, 50, 100}

func syncedSurvives(t *testing.T, b *bench) {
	random := seeded(t)
	b.apply("a=1", "b=1")
	b.apply("-b")
	b.sync()
	b.apply("c=unsynced")
	b.crash(0, random)
	require.Equal(t, []string{"a=1"}, b.rows(), "what was synced, and nothing that was not")
	b.apply("d=1")
	b.sync()
	b.sync()
	b.crash(0, random)
	require.Equal(t, []string{"a=1", "d=1"}, b.rows())
}

func crashKeepsAPrefix(t *testing.T, b *bench) {
	random := seeded(t)
	const batches = 400
	// The rows are large enough that the unsynced data is many blocks of a log.
	row := func(i int) string { return fmt.Sprintf("%04d=%0200d", i, i) }
	for i := range batches {
		b.apply(row(2*i), row(2*i+1))
		if i == batches/2 {
			b.sync()
		}
	}
	b.crash(50, random)
	rows := b.rows()
	require.Zero(t, len(rows)%2, "half a batch survived")
	require.GreaterOrEqual(t, len(rows), batches+2, "synced batches are gone")
	for i, have := range rows {
		require.Equal(t, row(i), have, "a batch is missing before others")
	}
}

// rangesGoTogether deletes a range in each of five tables with one batch, as a node does
// that gives up a replica, and writes into them anew. No crash leaves a part of that: a
// clock without its log, or new rows among old ones.
func rangesGoTogether(t *testing.T, b *bench) {
	random := seeded(t)
	const tables, rows = "celov", 60
	for turn := range 12 {
		var old, ranges, fresh []string
		for _, table := range tables {
			for i := range rows {
				old = append(old, fmt.Sprintf("%c%03d=%d%0200d", table, i, turn, i))
			}
			ranges = append(ranges, fmt.Sprintf("-%c:%c", table, table+1))
			fresh = append(fresh, fmt.Sprintf("%c%03d=%d", table, rows, turn))
		}
		b.apply(append(slices.Clone(ranges), old...)...)
		b.sync()
		b.apply(ranges...)
		b.apply(fresh...)
		b.crash(keeps[turn%len(keeps)], random)
		have := b.rows()
		if len(have) > 0 && len(have) < len(old) {
			require.Equal(t, fresh, have)
		} else if len(have) > 0 {
			require.Equal(t, old, have)
		}
	}
}

// history is the states that an engine has gone through and what was synced.
type history struct {
	states []model
	synced int
}

func (h *history) now() model { return h.states[len(h.states)-1] }

// randomHistories applies, syncs, closes and crashes at random, and checks after
// each crash that the engine is in one of the states since the last sync.
func randomHistories(t *testing.T, b *bench) {
	random := seeded(t)
	h := &history{states: []model{{}}}
	for range 600 {
		switch draw := random.IntN(100); {
		case draw < 80:
			changes := randomChanges(random)
			b.apply(changes...)
			h.states = append(h.states, h.now().after(changes))
		case draw < 90:
			b.sync()
			h.synced = len(h.states) - 1
		case draw < 92:
			b.reopen()
			h.synced = len(h.states) - 1
		case draw < 95:
			b.crash(keeps[random.IntN(len(keeps))], random)
			h.recovered(t, b.rows())
		default:
			require.Equal(t, h.now().rows(), b.rows())
		}
	}
}

// recovered finds the state that a crash has left and goes on from there.
func (h *history) recovered(t *testing.T, rows []string) {
	t.Helper()
	for i := len(h.states) - 1; i >= h.synced; i-- {
		if slices.Equal(h.states[i].rows(), rows) {
			h.states, h.synced = []model{h.states[i]}, 0
			return
		}
	}
	require.Fail(t, "the crash left a state that never was since the last sync",
		"%d states, the last synced: %v\nnow: %v", len(h.states)-h.synced, h.states[h.synced].rows(), rows)
}

func randomChanges(random *rand.Rand) []string {
	key := func() string { return fmt.Sprintf("%02d", random.IntN(50)) }
	changes := make([]string, random.IntN(6))
	for i := range changes {
		switch draw := random.IntN(10); {
		case draw < 7:
			size := random.IntN(300)
			changes[i] = fmt.Sprintf("%s=%d%s", key(), random.Uint32(), strings.Repeat("x", size))
		case draw < 9:
			changes[i] = "-" + key()
		default:
			changes[i] = "-" + key() + ":" + key()
		}
	}
	return changes
}

// whatOpenShowedIsDurable crashes twice: what the node saw after the first crash
// it may already have told others.
func whatOpenShowedIsDurable(t *testing.T, b *bench) {
	random := seeded(t)
	for i := range 100 {
		b.apply(fmt.Sprintf("%03d=%0300d", i, i))
	}
	b.crash(100, random)
	shown := b.rows()
	b.crash(0, random)
	require.Equal(t, shown, b.rows())
}

func closeSyncs(t *testing.T, b *bench) {
	b.apply("a=1")
	require.NoError(t, b.engine.Close())
	b.crash(0, seeded(t))
	require.Equal(t, []string{"a=1"}, b.rows())
}
