package jepsen

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
)

// TestARefusedRetryIsNoRefusal: nobody knows what became of the first try, and a judge
// who was told "not applied" would accuse the store of a write that it may have done.
func TestARefusedRetryIsNoRefusal(t *testing.T) {
	of := func(o kindred.Outcome) workload.Result { return workload.Result{Outcome: o} }
	for _, row := range []struct{ first, second, want kindred.Outcome }{
		{kindred.Unknown, kindred.NotApplied, kindred.Unknown},
		{kindred.NotApplied, kindred.NotApplied, kindred.NotApplied},
		{kindred.Unknown, kindred.Applied, kindred.Applied},
		{kindred.NotApplied, kindred.Unknown, kindred.Unknown},
	} {
		require.Equal(t, row.want, again(of(row.first), of(row.second)).Outcome, "%v, then %v", row.first, row.second)
	}
}

// TestACallIsCounted: of a request that was sent once a store has no excuse for two
// write events, and the judges have to know which those are.
func TestACallIsCounted(t *testing.T) {
	put := workload.Intent{Kind: history.Put, Bucket: "b", Key: "k", Write: 1}
	const nobody = "127.0.0.1:1"
	nodes, err := DialNodes([]string{"n1"}, []string{nobody}, time.Second)
	require.NoError(t, err)
	defer nodes.Close()
	require.Equal(t, 1, nodes.Do(t.Context(), put).Attempts)
	mortal := Mortal{Names: []string{"n1"}, Addrs: []string{nobody}, Patience: time.Second}
	seen := map[int]bool{}
	for len(seen) < 2 {
		seen[mortal.Do(t.Context(), put).Attempts] = true
	}
	require.Equal(t, map[int]bool{1: true, 2: true}, seen, "half of those that die are repeated once")
}
