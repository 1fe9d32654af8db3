package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

func FuzzParseCursor(f *testing.F) {
	f.Add(Cursor{}.Bytes())
	f.Add(Cursor{Partition: 7, From: true, After: "k"}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCursor(b)
		if err == nil && len(b) > 0 {
			require.Equal(t, b, c.Bytes())
		}
	})
}

// FuzzMessage: whatever a member sends, a node goes on. It may spoil what it is trusted
// with, but not end the process.
func FuzzMessage(f *testing.F) {
	for _, m := range conversation(f) {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wire.Decode(b)
		if err != nil {
			return
		}
		r := newRig(t, 3, smallPages())
		for i := range 8 {
			r.do("n1", put(fmt.Sprint("key-", i), "v"))
		}
		r.cut("n3")
		r.do("n1", put("key-1", "w"))
		r.do("n2", del("key-2"))
		r.heal()
		r.nodes["n1"].shard.Message(r.now, "n2", m)
		r.settle()
		for range 5 {
			r.pass(time.Second)
		}
	})
}

// conversation is a sample of what nodes say to one another: requests and their
// forwarding, hints, exchange, a close, an audit and what it restores, and a rebuild.
func conversation(t testing.TB) (said [][]byte) {
	r := newRig(t, 5, smallPages())
	kinds := map[wire.Kind]int{}
	r.heard = func(m wire.Message) {
		if kinds[wire.KindOf(m)]++; kinds[wire.KindOf(m)] <= 3 {
			said = append(said, wire.Append(nil, m))
		}
	}
	for i := range 20 {
		key := fmt.Sprint("key-", i)
		r.do(r.stranger(key), put(key, "v"))
		r.do(r.home(key, 0), get(key))
	}
	r.do("n1", kindred.Request{Op: kindred.OpScan, Bucket: "b"})
	const key = "cart"
	homes := r.homesOf(key)
	r.lose = func(_, to string, m wire.Message) bool { return to == homes[2] && wire.KindOf(m) == wire.KindWrite }
	r.do(homes[0], put(key, "pulled"))
	r.heal()
	r.wait(3 * time.Second)
	r.cut(homes[2])
	r.do(homes[0], put(key, "hinted"))
	r.heal()
	r.wait(3 * time.Second)
	r.holdSyncs = true
	r.loseTail(homes[0], key, r.samePlace(key))
	r.holdSyncs = false
	r.wait(time.Minute)
	r.wait(time.Minute)
	require.Nil(t, r.do(homes[0], put(key, "damaged")).Err)
	r.wait(3 * time.Second)
	var rows storage.Batch
	rows.Delete(storage.ObjectKey(nil, r.placeOf(key).Partition, 3, "b", key))
	require.NoError(t, r.nodes[homes[1]].engine.Apply(&rows))
	r.nodes[homes[1]].shard.Audit(r.placeOf(key))
	r.wait(2 * time.Minute)
	r.wipe("n2", 77<<32)
	r.rebuild("n2", "")
	r.wait(30 * time.Second)
	require.Greater(t, len(kinds), 22, "%v", kinds)
	return said
}
