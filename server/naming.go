package server

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// judgeCluster refuses a caller who wants another cluster than this node belongs to: he
// has known its address from before, or it was given the disk of another node. One of
// both that does not know its cluster yet is let through.
func (s *Server) judgeCluster(wanted, from string) *kindred.Error {
	if wanted == "" {
		return nil
	}
	own := s.cfg.Backend.Cluster()
	if own.ClusterID == "" || own.ClusterID == wanted {
		return nil
	}
	why := fmt.Sprintf("%s belongs to the cluster %s, and the caller wants %s: ask a member of that one who its nodes are; if %s is to be one of them, stop it and empty its data folder",
		own.Node, own.ClusterID, wanted, own.Node)
	if s.strangers.Met(time.Now(), why) {
		s.cfg.Logger.Warn("refused a caller", "from", from, "reason", why)
	}
	return &kindred.Error{Code: kindred.CodeWrongCluster, Outcome: kindred.NotApplied, Message: why}
}

// judgeCall is judgeCluster for a gRPC call, of which most name no cluster.
func (s *Server) judgeCall(ctx context.Context, method string) error {
	named := metadata.ValueFromIncomingContext(ctx, api.ClusterHeader)
	if len(named) == 0 || method == pb.Cluster_Describe_FullMethodName {
		return nil
	}
	if bad := s.judgeCluster(named[0], callerOf(ctx)); bad != nil {
		return api.Status(bad).Err()
	}
	return nil
}

func (s *Server) judgeUnary(ctx context.Context, ask any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := s.judgeCall(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handle(ctx, ask)
}

func (s *Server) judgeStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := s.judgeCall(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return handle(srv, stream)
}
