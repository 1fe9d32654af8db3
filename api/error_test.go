package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

func TestAnErrorTravelsWholeInAStatus(t *testing.T) {
	for outcome, code := range []kindred.Code{kindred.CodeInvalid, kindred.CodeTimeout, kindred.CodeUnavailable} {
		sent := filled[kindred.Error]()
		sent.Code, sent.Outcome = code, kindred.Outcome(outcome)
		err := api.Status(sent).Err()
		require.Equal(t, sent, api.ErrorOf(err))
		require.Equal(t, sent, api.ErrorOf(fmt.Errorf("put carts/alice: %w", err)), "wrapped")
	}
}

func TestEachCodeHasItsGRPCCode(t *testing.T) {
	for code, want := range map[kindred.Code]codes.Code{
		kindred.CodeInvalid:      codes.InvalidArgument,
		kindred.CodeBadContext:   codes.InvalidArgument,
		kindred.CodeTooLarge:     codes.OutOfRange,
		kindred.CodeSiblings:     codes.FailedPrecondition,
		kindred.CodeUnavailable:  codes.Unavailable,
		kindred.CodeWrongRing:    codes.Unavailable,
		kindred.CodeWrongCluster: codes.Unavailable,
		kindred.CodeNoLayout:     codes.Unavailable,
		kindred.CodeStopping:     codes.Unavailable,
		kindred.CodeOverloaded:   codes.ResourceExhausted,
		kindred.CodeDiskFull:     codes.ResourceExhausted,
		kindred.CodeTimeout:      codes.DeadlineExceeded,
		kindred.CodeInternal:     codes.Internal,
		"from the future":        codes.Internal,
	} {
		require.Equal(t, want, api.Status(&kindred.Error{Code: code, Message: "m"}).Code(), string(code))
	}
}

// I10: only a node can say what happened; the road cannot.
func TestAFailureOfTheRoadLeavesTheOutcomeUnknown(t *testing.T) {
	for _, c := range []struct {
		err  error
		want kindred.Code
	}{
		{status.Error(codes.Unavailable, "connection reset"), kindred.CodeUnavailable},
		{status.Error(codes.DeadlineExceeded, "too late"), kindred.CodeTimeout},
		{status.Error(codes.Canceled, "gone"), kindred.CodeTimeout},
		{status.Error(codes.ResourceExhausted, "message larger than max"), kindred.CodeOverloaded},
		{status.Error(codes.Unimplemented, "unknown service"), kindred.CodeInvalid},
		{status.Error(codes.OutOfRange, "beyond"), kindred.CodeTooLarge},
		{status.Error(codes.DataLoss, "?"), kindred.CodeInternal},
		{fmt.Errorf("dial: %w", context.DeadlineExceeded), kindred.CodeTimeout},
		{context.Canceled, kindred.CodeTimeout},
		{io.ErrUnexpectedEOF, kindred.CodeInternal},
	} {
		got := api.ErrorOf(c.err)
		require.Equal(t, c.want, got.Code, "%v", c.err)
		require.Equal(t, kindred.Unknown, got.Outcome, "%v", c.err)
		require.NotEmpty(t, got.Message)
	}
}

func TestNoErrorIsNoError(t *testing.T) {
	require.Nil(t, api.ErrorOf(nil))
	require.Nil(t, api.FormatError(nil))
	require.Nil(t, api.ParseError(nil))
	require.NoError(t, api.Status(nil).Err())
	require.Equal(t, "x", api.ErrorOf(fmt.Errorf("w: %w", &kindred.Error{Code: "x"})).Error()[:1])
	require.True(t, errors.Is(api.ErrorOf(api.Status(&kindred.Error{Code: kindred.CodeTimeout}).Err()),
		&kindred.Error{Code: kindred.CodeTimeout}))
}

// Invariant 3: bytes that are no text must not end a pipeline.
func TestTextThatIsNoUTF8IsRepaired(t *testing.T) {
	bad := "n\xff1"
	travel(t, api.FormatError(&kindred.Error{Code: kindred.Code(bad), Message: bad, Field: bad, Dot: bad,
		Failed: []kindred.NodeFailure{{Node: bad, Reason: bad}}}))
	travel(t, api.FormatGetResponse(&kindred.Response{Replied: []string{bad},
		Siblings: []kindred.Sibling{{Dot: bad, ContentType: bad, Node: bad}}}))
	travel(t, api.FormatPutResponse(&kindred.Response{Receipt: kindred.Receipt{Dot: bad, Acked: []string{bad}}}))
	travel(t, api.FormatInspectResponse(&kindred.Response{Replicas: []kindred.ReplicaView{{Node: bad, Err: bad, Context: bad, Clock: bad,
		Siblings: []kindred.SiblingView{{Dot: bad, ContentType: bad, Node: bad}}}}}))
	travel(t, api.FormatDescribe(
		&kindred.Cluster{Node: bad, ClusterID: bad, LayoutVersion: bad, Problems: []string{bad},
			Members: []kindred.Member{{Name: bad, Zone: bad, State: kindred.MemberState(bad), ClientAddr: bad, PeerAddr: bad, GossipAddr: bad, HTTPAddr: bad}}},
		&kindred.Local{Node: bad, Version: bad, Reason: bad}))
	require.Equal(t, "n\uFFFD1", api.FormatError(&kindred.Error{Message: bad}).Message)
	_, ok := status.FromError(api.Status(&kindred.Error{Code: kindred.CodeTimeout, Message: bad}).Err())
	require.True(t, ok)
	require.Equal(t, kindred.CodeTimeout, api.ErrorOf(api.Status(&kindred.Error{Code: kindred.CodeTimeout, Message: bad}).Err()).Code)
}

// Invariant 2: numbers of a newer server promise nothing here.
func TestWordsOfANewerServerPromiseNothing(t *testing.T) {
	for _, n := range []int32{-1, 99, 256, 258, 1 << 30} {
		require.Equal(t, kindred.Unknown, api.ParseError(&pb.Error{Outcome: pb.Outcome(n)}).Outcome)
		r := api.ParsePutResponse(&pb.PutResponse{Receipt: &pb.Receipt{Stage: pb.Stage(n), Durability: pb.Durability(n)}}).Receipt
		require.Equal(t, kindred.StageNone, r.Stage)
		require.Equal(t, kindred.DurabilityDefault, r.Durability)
	}
	for _, m := range []*pb.Result{{}, nil, {Op: &pb.Result_Error{}}} {
		err := api.ParseResult(m).Err
		require.NotNil(t, err, "silence is not success")
		require.Equal(t, kindred.CodeInternal, err.Code)
		require.Equal(t, kindred.Unknown, err.Outcome)
	}
}
