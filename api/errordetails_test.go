package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// described is what the words of google.rpc say of an error.
func described(t *testing.T, e *kindred.Error) (info *errdetails.ErrorInfo, bad *errdetails.BadRequest, retry *errdetails.RetryInfo) {
	for i, d := range api.Status(e).Details() {
		switch d := d.(type) {
		case *pb.Error:
			require.Zero(t, i, "our own words come first")
		case *errdetails.ErrorInfo:
			info = d
		case *errdetails.BadRequest:
			bad = d
		case *errdetails.RetryInfo:
			retry = d
		default:
			t.Fatalf("an unknown detail: %T", d)
		}
	}
	return info, bad, retry
}

func TestAStatusSaysItInTheWordsOfGoogleRPC(t *testing.T) {
	info, bad, retry := described(t, kindred.TooLarge("key", 4096, 4097, "use a shorter key"))
	require.True(t, proto.Equal(&errdetails.ErrorInfo{Reason: "too_large", Domain: "kindred.v1", Metadata: map[string]string{"outcome": "not_applied"}}, info), info)
	require.True(t, proto.Equal(&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{
		Field: "key", Description: "key has 4097 bytes, the limit is 4096: use a shorter key", Reason: "too_large"}}}, bad), bad)
	require.Nil(t, retry, "it would fail again")

	info, bad, retry = described(t, &kindred.Error{Code: kindred.CodeOverloaded, Message: "full", Outcome: kindred.NotApplied})
	require.Equal(t, "overloaded", info.Reason)
	require.Nil(t, bad)
	require.Equal(t, time.Second, retry.RetryDelay.AsDuration())

	info, _, retry = described(t, &kindred.Error{Code: kindred.CodeTimeout, Message: "1 of 2", Outcome: kindred.Unknown, Dot: "n1:7"})
	require.Equal(t, map[string]string{"outcome": "unknown", "dot": "n1:7"}, info.Metadata)
	require.Nil(t, retry, "whether to repeat a write of unknown outcome is not ours to say")
}

func TestDetailsCanAlwaysBeEncoded(t *testing.T) {
	const bad = "n\xff1"
	s := api.Status(&kindred.Error{Code: kindred.Code(bad), Message: bad, Field: bad, Dot: bad})
	require.Equal(t, codes.Internal, s.Code())
	require.Len(t, s.Details(), 3)
}
