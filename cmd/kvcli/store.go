package main

import (
	"context"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// dialer connects to a cluster.
type dialer func(ctx context.Context, addrs []string, opts ...client.Option) (cluster, error)

// cluster is what the commands ask of one; tests have one in memory.
type cluster interface {
	Bucket(name string) bucket
	Cluster(ctx context.Context) (kindred.Cluster, error)
	Describe(ctx context.Context, node string) (kindred.Cluster, kindred.Local, error)
	Inspect(ctx context.Context, bucket, key string, opts ...client.CallOption) ([]kindred.ReplicaView, error)
	RepairKey(ctx context.Context, bucket, key string, opts ...client.CallOption) ([]kindred.ReplicaView, error)
	RepairNode(ctx context.Context, node string, partition int) (int, error)
	Holdings(ctx context.Context, node string, of []kindred.Holding) (kindred.Holdings, error)
	Drain(ctx context.Context, node string, undo, stop bool) error
	Init(ctx context.Context, node string) error
	Buckets(ctx context.Context) ([]kindred.Bucket, error)
	BucketOptions(ctx context.Context, bucket string) (kindred.Bucket, error)
	CreateBucket(ctx context.Context, bucket string, options kindred.BucketOptions) (kindred.BucketChanged, error)
	ChangeBucket(ctx context.Context, bucket string, options kindred.BucketOptions) (kindred.BucketChanged, error)
	Changes(ctx context.Context, node string) (kindred.Changes, error)
	Stage(ctx context.Context, node string, changes ...kindred.NodeChange) (kindred.Changes, error)
	ClearStaged(ctx context.Context, node string) (kindred.Changes, error)
	Plan(ctx context.Context, node string) (kindred.LayoutPlan, error)
	Commit(ctx context.Context, node, version string, acceptLoss bool) (kindred.Changes, error)
	Close() error
}

// bucket is one space of keys; *client.Bucket is one.
type bucket interface {
	Get(ctx context.Context, key string, opts ...client.CallOption) (*client.Object, error)
	Put(ctx context.Context, key string, value []byte, opts ...client.CallOption) (*client.Receipt, error)
	Delete(ctx context.Context, key string, opts ...client.CallOption) (*client.Receipt, error)
	Wait(ctx context.Context, key, dot string, stage kindred.Stage, opts ...client.CallOption) (kindred.Stage, error)
	Page(ctx context.Context, opts ...client.ScanOption) (*client.Page, error)
}

// dialed is a client as the commands see it.
type dialed struct{ *client.Client }

func (d dialed) Bucket(name string) bucket { return d.Client.Bucket(name) }

func dialCluster(ctx context.Context, addrs []string, opts ...client.Option) (cluster, error) {
	c, err := client.Dial(ctx, addrs, opts...)
	if err != nil {
		return nil, err
	}
	return dialed{c}, nil
}
