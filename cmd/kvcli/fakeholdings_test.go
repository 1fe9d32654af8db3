package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// disk is what one node of the fake cluster has of a partition.
type disk struct {
	node      string
	partition int
	guest     bool
	dots      vclock.DotSet
}

// events are the write events from one to another of an actor.
func events(lo, hi uint64) (dots vclock.DotSet) {
	dots.AddSpan(vclock.Actor{Disk: 1, Nonce: 1}, vclock.Span{Lo: lo, Hi: hi})
	return dots
}

// Holdings says what is on the disks of the node. What it lists is 40 s old.
func (f *fakeCluster) Holdings(_ context.Context, node string, of []kindred.Holding) (kindred.Holdings, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := kindred.Holdings{At: fakeNow, Unknown: f.silent[node]}
	if !f.well && node == "n4" {
		return h, context.DeadlineExceeded
	}
	if f.arrives != nil {
		f.arrives(f)
	}
	for _, d := range f.disks {
		if d.node != node {
			continue
		}
		told := kindred.Holding{Partition: d.partition, N: 3, Guest: d.guest}
		dots := f.unshared(d)
		if len(of) == 0 {
			told.Since = fakeNow.Add(-40 * time.Second)
		} else {
			dots = d.dots.Intersect(askedOf(of, d.partition))
		}
		if told.Dots = dots.AppendTo(nil); !dots.IsEmpty() {
			h.Holdings = append(h.Holdings, told)
		}
	}
	return h, nil
}

func askedOf(of []kindred.Holding, partition int) (dots vclock.DotSet) {
	for _, h := range of {
		if h.Partition == partition {
			dots, _, _ = vclock.DecodeDotSet(h.Dots)
		}
	}
	return dots
}

// unshared are the dots of a disk that some other home has not. A guest knows of no
// home.
func (f *fakeCluster) unshared(d disk) (dots vclock.DotSet) {
	if d.guest {
		return d.dots
	}
	for _, home := range f.layout.Homes(ring.Partition(d.partition), 3) {
		var has vclock.DotSet
		for _, o := range f.disks {
			if o.node == home && o.partition == d.partition && !o.guest {
				has = o.dots
			}
		}
		dots.Union(d.dots.Minus(has))
	}
	return dots
}

// stopCluster is a cluster that is well, with a replica at each home of each of its
// eight partitions. Partition 1 has n1, n2 and n3 as homes, partition 4 n4, n3 and n2.
func stopCluster() *fakeCluster {
	f := newFakeCluster()
	f.well, f.known, f.silent = true, true, map[string]string{}
	f.change = func(node string, _ int, l *kindred.Local) {
		well := l.Replication.Replicas[0]
		l.Replication.Replicas = nil
		for _, p := range f.layout.Owned(node, 3) {
			well.Partition = int(p)
			l.Replication.Replicas = append(l.Replication.Replicas, well)
		}
		if f.ail != nil {
			f.ail(node, l)
		}
	}
	return f
}

// hold puts write events on the disks of some nodes.
func (f *fakeCluster) hold(partition int, dots vclock.DotSet, nodes ...string) {
	for _, node := range nodes {
		f.disks = append(f.disks, disk{node: node, partition: partition, dots: dots})
	}
}

// owe makes a node a guest that keeps write events as hints.
func (f *fakeCluster) owe(partition int, dots vclock.DotSet, guest string) {
	f.disks = append(f.disks, disk{node: guest, partition: partition, guest: true, dots: dots})
}

// Drain notes what was ordered; what stops is not safe to ask any more.
func (f *fakeCluster) Drain(_ context.Context, node string, undo, stop bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drains = append(f.drains, fmt.Sprintf("%s undo=%v stop=%v", node, undo, stop))
	return nil
}
