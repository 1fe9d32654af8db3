package client

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// naming names the cluster that is wanted with every stream and call over gRPC, as the
// hello of a native link does once for all. A pipeline is one stream. Who describes its
// cluster may belong to any: the client judges that itself.
func naming(cluster func() string) []grpc.DialOption {
	named := func(ctx context.Context, method string) context.Context {
		id := cluster()
		if id == "" || method == kindredv1.Cluster_Describe_FullMethodName {
			return ctx
		}
		return metadata.AppendToOutgoingContext(ctx, api.ClusterHeader, id)
	}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, ask, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(named(ctx, method), method, ask, answer, conn, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(named(ctx, method), desc, conn, method, opts...)
		}),
	}
}
