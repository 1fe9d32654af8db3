package node

import (
	"testing"

	"github.com/stretchr/testify/require"

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
	q := newQuarantine(cutting{memstore.New()})
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
