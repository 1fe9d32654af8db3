package server

import (
	"context"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// Founder makes the first layout of a new cluster.
type Founder interface {
	// Init makes it of the node and of all that it sees. It is refused where there
	// is a layout.
	Init(ctx context.Context) *kindred.Error
}

// Init implements the gRPC service. It answers with what the node then knows.
func (d *clusterDoor) Init(ctx context.Context, _ *pb.InitRequest) (*pb.DescribeResponse, error) {
	if d.cfg.Founder == nil {
		return nil, api.Status(kindred.Invalid("init", "this node takes no orders to make a layout")).Err()
	}
	if err := d.cfg.Founder.Init(ctx); err != nil {
		return nil, api.Status(err).Err()
	}
	c, l := d.cfg.Backend.Cluster(), d.local()
	return api.FormatDescribe(&c, &l), nil
}
