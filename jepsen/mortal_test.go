package jepsen

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
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
