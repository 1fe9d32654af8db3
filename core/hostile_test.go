package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/wire"
)

// A scan of three homes waits for the second of them, whatever becomes of peers
// that are no homes.
func TestAScanWaitsForItsHomesAndForNobodyElse(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	r.do("n1", put("k", "v"))
	cursor := Cursor{Partition: r.headOf("k").Partition}.Bytes()
	home := r.home("k", 0)
	var late []Send
	r.lose = func(from, to string, m wire.Message) bool {
		if wire.KindOf(m) == wire.KindScanReply && from == r.home("k", 1) {
			late = append(late, Send{To: to, Msg: m})
			return true
		}
		return wire.KindOf(m) == wire.KindScanReply
	}
	token := r.ask(home, kindred.Request{Op: kindred.OpScan, Bucket: "b", Scan: kindred.Scan{Cursor: cursor}})
	for _, name := range r.names {
		if !r.nodes[name].shard.Has(replica.ID(r.headOf("k"))) {
			r.nodes[home].shard.SetLink(r.now, name, false)
		}
	}
	r.settle()
	require.NotContains(t, r.answers, token)
	r.lose = func(string, string, wire.Message) bool { return false }
	r.deliver(r.home("k", 1), late[0])
	r.settle()
	require.Len(t, r.answers[token].Keys, 1)
	r.idle()
}
