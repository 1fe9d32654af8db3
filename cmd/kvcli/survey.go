package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
)

// nodePatience is how long one node may take to say what it knows.
const nodePatience = 3 * time.Second

// nodeView is what one node said, or why it could not be asked.
type nodeView struct {
	Name string
	// Err says why the node could not be asked; the rest is then unknown.
	Err     error
	Cluster kindred.Cluster
	Local   kindred.Local
}

// replication is what the node knows of its replicas, or that it does not say.
func (v *nodeView) replication() kindred.Replication {
	if v.Local.Replication == nil {
		return kindred.Replication{Unknown: v.Name + " does not say how its replicas are: it is of another version"}
	}
	return *v.Local.Replication
}

// known reports whether the node said everything.
func (v *nodeView) known() bool { return v.Err == nil && v.replication().Unknown == "" }

// removed reports whether the node was removed from the cluster and is up all the same:
// it has no part in anything, however it is.
func (v *nodeView) removed() bool {
	return v.Err == nil && !v.Local.Ready && strings.Contains(v.Local.Reason, "was removed from the cluster")
}

// survey is what all nodes said.
type survey struct {
	// Asked is the node that said who the others are.
	Asked kindred.Cluster
	Nodes []nodeView
	// Change is how far it is with a change of the layout.
	Change changeDoc
}

// surveyCluster asks every node that is in the layout or a member of the gossip.
func surveyCluster(ctx context.Context, cl cluster) (*survey, error) {
	info, err := cl.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	change := changeOf(ctx, cl, info)
	names, err := everyNode(info, change)
	if err != nil {
		return nil, err
	}
	s := &survey{Asked: info, Nodes: make([]nodeView, len(names)), Change: change}
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, nodePatience)
			defer cancel()
			v := nodeView{Name: name}
			v.Cluster, v.Local, v.Err = cl.Describe(ctx, name)
			s.Nodes[i] = v
		})
	}
	asked.Wait()
	return s, ctx.Err()
}

// everyNode names the nodes of the layout, the members that have not left, and who counts
// until a change is done: an old owner may be stopped, and have what nobody else has.
func everyNode(info kindred.Cluster, change changeDoc) ([]string, error) {
	var names []string
	if len(info.Layout) > 0 {
		layout, err := layoutOf(info)
		if err != nil {
			return nil, err
		}
		for _, n := range layout.Nodes() {
			names = append(names, n.Name)
		}
	}
	for _, m := range info.Members {
		if m.State != kindred.Left {
			names = append(names, m.Name)
		}
	}
	for _, n := range change.Nodes {
		if !change.Settled && !n.Gone {
			names = append(names, n.Node)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
