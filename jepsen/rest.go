package jepsen

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/local"
)

const (
	// restPoll is how often nodes are asked whether they have come to rest, and
	// restPatience how long one may take to say so.
	restPoll     = 100 * time.Millisecond
	restPatience = 5 * time.Second
)

// Rest waits until every write is settled at every home, and no guest keeps a
// hint. That is for clusters to which nobody writes any more.
func Rest(ctx context.Context, nodes []local.Node) error {
	for {
		problem, err := restless(ctx, nodes)
		if err != nil || problem == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("jepsen: %s: %w", problem, ctx.Err())
		case <-time.After(restPoll):
		}
	}
}

// restless says who has not come to rest. A node that does not know is one of
// them (I12).
func restless(ctx context.Context, nodes []local.Node) (string, error) {
	for _, n := range nodes {
		r, err := replication(ctx, n)
		switch {
		case err != nil:
			return "", err
		case r.Unknown != "":
			return r.Unknown, nil
		case r.Settled != r.Replicas || r.Replicas == 0 || r.Hints.Hints > 0:
			return fmt.Sprintf("%s has settled %d of %d replicas and keeps %d hints", n.Name, r.Settled, r.Replicas, r.Hints.Hints), nil
		}
	}
	return "", nil
}

// replication is what a node says of its replicas.
func replication(ctx context.Context, n local.Node) (r api.ReplicationDoc, err error) {
	ctx, cancel := context.WithTimeout(ctx, restPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP+"/v1/local", nil)
	if err != nil {
		return r, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return r, fmt.Errorf("jepsen: how the replicas of %s are: %w", n.Name, err)
	}
	defer resp.Body.Close()
	doc := struct {
		Replication *api.ReplicationDoc `json:"replication"`
	}{&r}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		return r, fmt.Errorf("jepsen: what %s says of its replicas: %w", n.Name, err)
	}
	return r, nil
}
