package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
)

// cutting is an engine that can throw rows away.
type cutting struct{ *memstore.Store }

func (c cutting) Discard(low, high []byte) error {
	var rows storage.Batch
	rows.DeleteRange(low, high)
	return c.Apply(&rows)
}

// A shard takes many steps in one round: one may mark a block as damaged, and the
// next write a new key that lies in its range.
func TestWhatIsWrittenWithTheMarkIsNotDiscarded(t *testing.T) {
	q := newQuarantine(cutting{memstore.New()}, func() {})
	gap := storage.KeyRange{Low: []byte("b"), High: []byte("d")}
	var before, round storage.Batch
	before.Set([]byte("bb"), []byte("rotten"))
	before.Set([]byte("e"), []byte("sound"))
	require.NoError(t, q.apply(&before))

	round.DeleteRange(gap.Low, gap.High)
	round.Set([]byte("c"), []byte("new"))
	require.NoError(t, q.apply(&round))
	waiting, err := q.discard([]storage.KeyRange{gap}, &round)
	require.NoError(t, err)
	require.Zero(t, waiting)
	for row, want := range map[string]string{"c": "new", "e": "sound"} {
		value, err := q.engine.Get([]byte(row))
		require.NoError(t, err, row)
		require.Equal(t, want, string(value))
	}
	_, err = q.engine.Get([]byte("bb"))
	require.ErrorIs(t, err, storage.ErrNotFound)
}

// A block goes on behind its last row, up to somewhere before the first row of the next,
// and may begin before its first: what is discarded ends where a replica begins, never
// in the rows of one.
func TestWhatIsDiscardedGoesOnToTheNextReplica(t *testing.T) {
	q := newQuarantine(cutting{memstore.New()}, func() {})
	q.own([]ring.Partition{9, 2, 4, 7}, 3)
	objects := func(p uint32) (r storage.KeyRange) {
		r.Low, r.High = storage.ObjectsRange(p, 3)
		return r
	}
	row := storage.ObjectKey(nil, 4, 3, "b", "key")
	for _, c := range []struct {
		name       string
		part, wide storage.KeyRange
	}{
		{"one replica", objects(4), storage.KeyRange{Low: objects(2).High, High: objects(7).Low}},
		{"two replicas", storage.KeyRange{Low: objects(4).Low, High: objects(7).High}, storage.KeyRange{Low: objects(2).High, High: objects(9).Low}},
		{"its end", storage.KeyRange{Low: row, High: objects(4).High}, storage.KeyRange{Low: row, High: objects(7).Low}},
		{"its beginning", storage.KeyRange{Low: objects(4).Low, High: row}, storage.KeyRange{Low: objects(2).High, High: row}},
		{"the first", objects(2), storage.KeyRange{Low: []byte{storage.TableObject}, High: objects(4).Low}},
		{"the last", objects(9), storage.KeyRange{Low: objects(7).High, High: []byte{storage.TableObject + 1}}},
		{"no objects", storage.KeyRange{Low: []byte("a"), High: []byte("b")}, storage.KeyRange{Low: []byte("a"), High: []byte("b")}},
	} {
		require.Equal(t, c.wide, q.widened(c.part), c.name)
	}
}
