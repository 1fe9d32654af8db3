package client

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestReasonsOfSilence(t *testing.T) {
	for said, want := range map[error]string{
		status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:7420: connect: connection refused"`):           "unreachable: connection refused",
		status.Error(codes.Unavailable, `last connection error: connection error: desc = "transport: authentication handshake failed: EOF"`):                         "unreachable: EOF",
		status.Error(codes.Unavailable, `error reading from server: EOF`):                                                                                            "the connection broke: EOF",
		status.Error(codes.Unavailable, `error reading from server: read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer`):                              "the connection broke: connection reset by peer",
		status.Error(codes.Unavailable, "n1 is stopping"):                                                                                                            "n1 is stopping",
		fmt.Errorf("%w: %w", context.DeadlineExceeded, status.Error(codes.DeadlineExceeded, "context deadline exceeded")):                                            "no answer in time",
		fmt.Errorf("%w: %w", context.DeadlineExceeded, status.Error(codes.DeadlineExceeded, `x: connection error: desc = "transport: Error while dialing: dial y"`)): "unreachable: dial y",
		context.Canceled: "context canceled",
	} {
		require.Equal(t, want, silence(said))
	}
}
