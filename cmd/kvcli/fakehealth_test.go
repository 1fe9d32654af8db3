package main

import (
	"context"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// fakeNow is when the nodes of the fake cluster say what they know.
var fakeNow = time.Date(2026, 11, 20, 12, 1, 0, 0, time.UTC)

// Describe: n4 cannot be asked, n3 catches up and is cut off, n2 owes it hints. In
// a cluster that is well, all four are.
func (f *fakeCluster) Describe(ctx context.Context, node string) (kindred.Cluster, kindred.Local, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rounds[node]++
	info, err := f.Cluster(ctx)
	if err != nil {
		return info, kindred.Local{}, err
	}
	info.Node, info.Problems = node, nil
	for i := range info.Members {
		info.Members[i].State, info.Members[i].Linked = kindred.Alive, info.Members[i].Name != f.apart
	}
	l := kindred.Local{Node: node, Ready: true, Replication: wellReplication()}
	if f.change != nil {
		f.change(node, f.rounds[node], &l)
	}
	if f.well {
		return info, l, nil
	}
	switch node {
	case "n2":
		l.Replication.Hints = kindred.HintStatus{Hints: 2, Bytes: 300, HintsMax: 1000, BytesMax: 1 << 20,
			Debts: []kindred.HintDebt{{Target: "n3", Hints: 2, Bytes: 300, Oldest: fakeNow.Add(-14 * time.Second)}}}
		info.Problems = []string{"n3 cannot be reached at 127.0.0.1:7421"}
	case "n3":
		l.Ready, l.Reason = false, "1 partitions are catching up with n1"
		s := &l.Replication.Replicas[1]
		s.Trusted, s.Waits, s.Lag, s.LagSince, s.Unsettled = false, []string{"n1"}, 7, fakeNow.Add(-40*time.Second), 2
		s.Rebuild = kindred.Rebuild{State: "copying", Source: "n1", Began: fakeNow.Add(-40 * time.Second), Keys: 90, Bytes: 9000}
		l.Replication.Repairs.RebuildsFinished = 4
		info.Problems = []string{"n3 is under injected faults: cut from n2; DELETE /v1/local/faults or `kvcli local heal` ends them"}
	case "n4":
		return kindred.Cluster{}, kindred.Local{}, context.DeadlineExceeded
	}
	return info, l, nil
}

func wellReplication() *kindred.Replication {
	r := &kindred.Replication{At: fakeNow, Repairs: kindred.Repairs{PiecesReceived: 1234, PiecesSent: 5, Audits: 2, AuditedObjects: 200}}
	for p := range 2 {
		r.Replicas = append(r.Replicas, kindred.ReplicaStatus{
			Partition: p, N: 3, Trusted: true, LogRows: 10, Heard: fakeNow.Add(-time.Second),
			Audit: kindred.Audit{Ended: fakeNow.Add(-time.Hour), Complete: true},
		})
	}
	return r
}

// RepairNode begins an audit, which Describe shows as ended a minute later.
func (f *fakeCluster) RepairNode(_ context.Context, node string, partition int) (int, error) {
	switch {
	case partition > 7:
		return 0, kindred.Invalid("partition", "there is no partition %d: the cluster has 8, from 0", partition)
	case partition != kindred.AllPartitions:
		return 1, nil
	}
	return 2, nil
}

func (f *fakeCluster) RepairKey(ctx context.Context, bucket, key string, _ ...client.CallOption) ([]kindred.ReplicaView, error) {
	views, err := f.Inspect(ctx, bucket, key)
	if err == nil && bucket == "split" {
		views[1].Repaired = true
	}
	return views, err
}

// Wait: what is written in the bucket "slow" never settles.
func (b *fakeBucket) Wait(_ context.Context, key, dot string, stage kindred.Stage, _ ...client.CallOption) (kindred.Stage, error) {
	if b.name == "slow" {
		return kindred.Propagated, &client.StageError{
			Bucket: b.name, Key: key, Dot: dot, Want: stage, Reached: kindred.Propagated, Err: context.DeadlineExceeded,
		}
	}
	return stage, nil
}
