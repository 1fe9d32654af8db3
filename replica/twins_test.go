package replica

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// R19: a client that overwrites a value has overwritten what its request meant,
// although a retry gave that a second dot which the client has not seen. The
// simulator found that the coordinator of the overwriting put kept the second.
func TestWhoeverOverwritesOneDotOfARequestOverwritesTheOther(t *testing.T) {
	for name, overwrite := range map[string]func(k *Key, seen vclock.DotSet, rows *storage.Batch){
		"put": func(k *Key, seen vclock.DotSet, rows *storage.Batch) {
			k.Write(seen, wire.Record{RequestID: kindred.RequestID{2}, Value: []byte("new")}, rows)
		},
		"delete": func(k *Key, seen vclock.DotSet, rows *storage.Batch) { k.Delete(seen, kindred.RequestID{2}, rows) },
	} {
		a, b := newSite(t, 1), newSite(t, 2)
		once := wire.Record{RequestID: kindred.RequestID{1}, Value: []byte("old")}
		var delta wire.Delta
		a.step("k", func(k *Key, rows *storage.Batch) { k.Write(none, once, rows) })
		b.step("k", func(k *Key, rows *storage.Batch) { _, delta = k.Write(none, once, rows) })
		seenAtA := a.filled("k")
		a.join("k", delta)
		require.Len(t, a.filled("k").Versions, 2)

		a.step("k", func(k *Key, rows *storage.Batch) { overwrite(k, seenAtA.Seen(), rows) })
		require.NotContains(t, texts(a.filled("k")), "old", name)
	}
}

// R19: a replica that drops a late retry says so to readers, also while its
// clock has a gap below the retry's dot.
func TestALateRetryThatIsDroppedIsRemembered(t *testing.T) {
	a, b := newSite(t, 1), newSite(t, 2)
	once := wire.Record{RequestID: kindred.RequestID{1}, Value: []byte("old")}
	a.step("k", func(k *Key, rows *storage.Batch) { k.Write(none, once, rows) })
	seenAtA := a.filled("k")
	a.put("k", seenAtA.Seen(), []byte("new"))
	b.put("elsewhere", none, []byte("not yet at a: a gap"))
	var late wire.Delta
	b.step("k", func(k *Key, rows *storage.Batch) { _, late = k.Write(none, once, rows) })
	a.join("k", late)
	require.Equal(t, []string{"new"}, texts(a.filled("k")))
	for d := range late.Dots.Dots() {
		o := a.filled("k")
		require.True(t, o.Context.Contains(d), "or a read of both shows the old value again")
	}
}
