package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

func TestAReceiptWaitsForItsStage(t *testing.T) {
	f := cluster(t, 3)
	carts := dial(t, f).Bucket("carts")
	receipt, err := carts.Put(t.Context(), "alice", []byte("milk"))
	require.NoError(t, err)
	require.NoError(t, receipt.Wait(t.Context(), kindred.Replicated), "it is that already")
	require.Zero(t, f.stages.Load(), "and nobody was asked")

	require.NoError(t, receipt.Wait(t.Context(), kindred.Settled))
	require.EqualValues(t, kindred.Settled, f.stages.Load(), "one question after another")

	stage, err := carts.Wait(t.Context(), "alice", receipt.Dot, kindred.StageNone)
	require.NoError(t, err)
	require.Equal(t, kindred.Settled, stage)
}

func TestAStageThatDoesNotComeIsSaidSo(t *testing.T) {
	f := cluster(t, 3)
	carts := dial(t, f).Bucket("carts")
	receipt, err := carts.Put(t.Context(), "alice", []byte("milk"))
	require.NoError(t, err)
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- receipt.Wait(ctx, kindred.Audited) }()
	require.Eventually(t, func() bool { return f.stages.Load() > uint64(kindred.Settled) },
		20*time.Second, time.Millisecond, "who asks again has had an answer")
	giveUp()
	err = <-ended
	var late *client.StageError
	require.ErrorAs(t, err, &late)
	require.Equal(t, kindred.Settled, late.Reached)
	require.Equal(t, kindred.Audited, late.Want)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, kindred.Applied, kindred.OutcomeOf(err), "the write is done all the same")
	require.ErrorContains(t, err, "of carts/alice is settled, not audited")

	_, err = carts.Wait(t.Context(), "alice", "", kindred.Settled)
	require.True(t, kindred.HasCode(err, kindred.CodeInvalid))
	require.ErrorAs(t, (&client.Receipt{Dot: "n1:1"}).Wait(t.Context(), kindred.Settled), &late)
}
