package server_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/server"
)

// tardy is a node whose quorum never comes: it answers when its time is over.
type tardy struct{ *memory }

func (tardy) Do(req *kindred.Request, done func(*kindred.Response)) {
	time.AfterFunc(req.Timeout, func() {
		done(&kindred.Response{Err: &kindred.Error{
			Code: kindred.CodeTimeout, Outcome: kindred.Unknown, Dot: "n1:7", Message: "w=2, 1 answered in time"}})
	})
}

// The client's deadline is the node's, less what the answer takes to travel: what
// the node knows of the outcome has to be heard.
func TestAnUnknownOutcomeIsHeardBeforeTheDeadline(t *testing.T) {
	h := open(t, func(c *server.Config) { c.Backend = tardy{newMemory(t)} })
	kv := h.kv(t)
	var dot string
	for try := 0; try < 5 && dot == ""; try++ { // a busy machine may take the time that is left
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := kv.Put(ctx, putAlice("v"))
		require.Equal(t, codes.DeadlineExceeded, status.Code(err))
		got := api.ErrorOf(err)
		require.Equal(t, kindred.Unknown, got.Outcome)
		dot = got.Dot
	}
	require.Equal(t, "n1:7", dot, "the client gave up before the node could say which write it was")
}

func TestADeadlineThatHasPassedLeavesNothingDone(t *testing.T) {
	h := open(t)
	kv := h.kv(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	_, err := kv.Put(ctx, putAlice("v"))
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))
	require.Empty(t, h.backend.requests())
}

func TestTheHeadersOfACallAreBounded(t *testing.T) {
	h := open(t)
	kv := h.kv(t)
	_, err := kv.Get(within(t), getAlice())
	require.NoError(t, err)
	large := metadata.AppendToOutgoingContext(within(t), "x-large", strings.Repeat("x", 1<<20))
	_, err = kv.Get(large, getAlice())
	require.Error(t, err)
	require.Len(t, h.backend.requests(), 1)
	_, err = kv.Get(within(t), getAlice())
	require.NoError(t, err, "and others go on")
}
