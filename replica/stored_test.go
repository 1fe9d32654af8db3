package replica

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
)

// Replicas are found by any row of theirs, and an erased one is not found any more; the
// hints of its partition and the replicas beside it stay.
func TestStoredReplicasAreFoundAndErased(t *testing.T) {
	store := memstore.New()
	actor := [16]byte{1}
	var rows storage.Batch
	rows.Set(storage.ClockKey(nil, 0, 3), []byte("clock"))
	rows.Set(storage.LogKey(nil, 0, 3, actor, 1), nil)
	rows.Set(storage.LogKey(nil, 7, 3, actor, 9), nil)
	rows.Set(storage.ObjectKey(nil, 7, 3, "b", "k"), nil)
	rows.Set(storage.ObjectKey(nil, 8, 3, "b", "k"), nil)
	rows.Set(storage.ValueKey(nil, 8, 5, actor, 1), nil)
	rows.Set(storage.ExpiryKey(nil, storage.PartitionMax, 3, 1, "b", "k"), nil)
	rows.Set(storage.HintKey(nil, 7, 3, "b", "k"), []byte("hint"))
	rows.Set(storage.HintKey(nil, 9, 3, "b", "k"), []byte("hint"))
	require.NoError(t, store.Apply(&rows))
	stored := func() []ID {
		snapshot, err := store.Snapshot()
		require.NoError(t, err)
		defer snapshot.Close()
		ids, err := Stored(snapshot)
		require.NoError(t, err)
		return ids
	}
	require.Equal(t, []ID{{0, 3}, {7, 3}, {8, 3}, {8, 5}, {storage.PartitionMax, 3}}, stored())

	var erase storage.Batch
	Erase(ID{7, 3}, &erase)
	Erase(ID{storage.PartitionMax, 3}, &erase)
	require.NoError(t, store.Apply(&erase))
	require.Equal(t, []ID{{0, 3}, {8, 3}, {8, 5}}, stored())
	hint, err := store.Get(storage.HintKey(nil, 7, 3, "b", "k"))
	require.NoError(t, err)
	require.Equal(t, []byte("hint"), hint)
}

// A row that cannot be read hides no replica: neither its own nor those behind it.
func TestStoredReplicasAreFoundBesideDamage(t *testing.T) {
	store := memstore.New()
	var rows storage.Batch
	rotten := storage.ObjectKey(nil, 3, 3, "b", "k")
	rows.Set(storage.ClockKey(nil, 3, 3), []byte("clock"))
	rows.Set(rotten, nil)
	rows.Set(storage.ObjectKey(nil, 4, 3, "b", "k"), nil)
	require.NoError(t, store.Apply(&rows))
	require.NoError(t, store.Sync())
	store.Rot(rotten)
	snapshot, err := store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	ids, err := Stored(snapshot)
	require.NoError(t, err)
	require.Equal(t, []ID{{3, 3}, {4, 3}}, ids)
}
