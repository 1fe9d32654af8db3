package jepsen

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/local"
)

const (
	// restPoll is how often nodes are asked whether they have come to rest, and
	// restPatience how long one may take to say so.
	restPoll     = 100 * time.Millisecond
	restPatience = 5 * time.Second
	// samplePoll is how often they are asked during a run, and how long one may take
	// to say so: one that is frozen is silent.
	samplePoll = 250 * time.Millisecond
)

// Rest waits until every write is settled at every home, and no guest keeps a
// hint. That is for clusters to which nobody writes any more.
func Rest(ctx context.Context, nodes []local.Node) error {
	for {
		problem := restless(ctx, nodes)
		if problem == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("jepsen: %s: %w", problem, ctx.Err())
		case <-time.After(restPoll):
		}
	}
}

// restless says who has not come to rest. A node that does not know, or does not say,
// is one of them (I12).
func restless(ctx context.Context, nodes []local.Node) string {
	for _, n := range nodes {
		r, err := replication(ctx, n, restPatience)
		switch {
		case err != nil:
			return err.Error()
		case r.Unknown != "":
			return r.Unknown
		case r.Settled != r.Replicas || r.Replicas == 0 || r.Hints.Hints > 0:
			return fmt.Sprintf("%s has settled %d of %d replicas and keeps %d hints", n.Name, r.Settled, r.Replicas, r.Hints.Hints)
		}
	}
	return ""
}

// sampling asks all nodes now and then until the end, which the function that it
// returns brings about.
func (r *run) sampling(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(samplePoll)
		defer tick.Stop()
		for {
			r.sampled(r.sample(ctx))
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
		r.sampled(r.sample(context.WithoutCancel(ctx)))
	}
}

func (r *run) sampled(s report.Sample) {
	r.samples = append(r.samples, s)
	if r.Sampled == nil {
		return
	}
	var sum report.Tally
	for _, one := range r.runners {
		t := one.tally()
		sum.Operations, sum.Answered = sum.Operations+t.Operations, sum.Answered+t.Answered
		sum.Refused, sum.Unknown = sum.Refused+t.Refused, sum.Unknown+t.Unknown
	}
	r.Sampled(s, sum)
}

// sample asks every node at once.
func (r *run) sample(ctx context.Context) report.Sample {
	s := report.Sample{At: r.since()}
	docs := make([]api.ReplicationDoc, len(r.nodes))
	errs := make([]error, len(r.nodes))
	var asked sync.WaitGroup
	for i, n := range r.nodes {
		asked.Go(func() { docs[i], errs[i] = replication(ctx, n, samplePoll) })
	}
	asked.Wait()
	for i, d := range docs {
		if errs[i] != nil || d.Unknown != "" {
			s.Silent++
			continue
		}
		s.Replicas, s.Open, s.Hints = s.Replicas+d.Replicas, s.Open+d.Replicas-d.Settled, s.Hints+d.Hints.Hints
	}
	return s
}

// replication is what a node says of its replicas.
func replication(ctx context.Context, n local.Node, patience time.Duration) (r api.ReplicationDoc, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	doc := struct {
		Replication *api.ReplicationDoc `json:"replication"`
	}{&r}
	if err := getJSON(ctx, n, "/v1/local", &doc); err != nil {
		return r, fmt.Errorf("jepsen: what %s says of its replicas: %w", n.Name, err)
	}
	return r, nil
}
