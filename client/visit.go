package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// Cluster asks a node that works what it knows of the cluster. Another node
// may know something else: see [Client.Describe].
func (c *Client) Cluster(ctx context.Context) (kindred.Cluster, error) {
	var found kindred.Cluster
	err := c.visit(ctx, &kindred.Request{}, "describe", func(ctx context.Context, n *node, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		d, err := describe(ctx, n.connection(), n.addr)
		if err == nil {
			found = d.cluster
		}
		return err
	})
	return found, err
}

// Describe asks one node, by name, what it knows of the cluster, of itself and of
// its replicas.
func (c *Client) Describe(ctx context.Context, name string) (kindred.Cluster, kindred.Local, error) {
	n := c.routes.Load().byName[name]
	if n == nil {
		return kindred.Cluster{}, kindred.Local{}, c.unknownNode(name)
	}
	d, err := describeWhole(ctx, n.connection(), n.addr)
	if err != nil {
		return kindred.Cluster{}, kindred.Local{}, &nodeError{"describe", n.name, n.addr, err}
	}
	return d.cluster, d.local, nil
}

// Nodes names the nodes that the client can connect to, in order.
func (c *Client) Nodes() []string {
	nodes := c.routes.Load().nodes
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.name
	}
	return names
}

// RepairNode asks one node, by name, for an exchange and an audit of its replica of
// a partition, or of all of its replicas ([kindred.AllPartitions]). It returns how
// many they are, and does not wait until they are done: [Client.Describe] shows it.
func (c *Client) RepairNode(ctx context.Context, name string, partition int) (replicas int, err error) {
	n := c.routes.Load().byName[name]
	if n == nil {
		return 0, c.unknownNode(name)
	}
	ctx, cancel := context.WithTimeout(ctx, describeMax)
	defer cancel()
	m, err := kindredv1.NewClusterClient(n.connection()).RepairNode(ctx, api.FormatRepairNode(partition))
	if err != nil {
		return 0, fmt.Errorf("kindred: repair %s at %s: %w", n.name, n.addr, answer(err))
	}
	return int(m.GetReplicas()), nil
}

// Holdings asks one node, by name, what it holds of some write events: all of it is on
// its disk by then. Without any it lists those that it holds and does not know to be on
// the disk of every other home.
func (c *Client) Holdings(ctx context.Context, name string, of []kindred.Holding) (kindred.Holdings, error) {
	n := c.routes.Load().byName[name]
	if n == nil {
		return kindred.Holdings{}, c.unknownNode(name)
	}
	ctx, cancel := context.WithTimeout(ctx, describeMax)
	defer cancel()
	m, err := kindredv1.NewClusterClient(n.connection()).Holdings(ctx, api.FormatHoldings(of))
	if err != nil {
		return kindred.Holdings{}, &nodeError{"ask for the holdings of", n.name, n.addr, err}
	}
	return api.ParseHoldingsResponse(m), nil
}

// Drain asks one node, by name, for one of: to refuse the requests of clients and say
// that it is not ready; to undo that; to do it and stop. It does not wait: what the
// node holds reaches the others by itself, and [Client.Holdings] shows whether it has.
func (c *Client) Drain(ctx context.Context, name string, undo, stop bool) error {
	n := c.routes.Load().byName[name]
	if n == nil {
		return c.unknownNode(name)
	}
	ctx, cancel := context.WithTimeout(ctx, describeMax)
	defer cancel()
	_, err := kindredv1.NewClusterClient(n.connection()).DrainNode(ctx, &kindredv1.DrainNodeRequest{Undo: undo, Stop: stop})
	if err != nil {
		return fmt.Errorf("kindred: drain %s at %s: %w", n.name, n.addr, answer(err))
	}
	return nil
}

func (c *Client) unknownNode(name string) *kindred.Error {
	return kindred.Invalid("node", "no node is called %q, or it has no client address: the nodes are %q", name, c.Nodes())
}

// Inspect asks every home replica what it holds of a key.
func (c *Client) Inspect(ctx context.Context, bucket, key string, opts ...CallOption) ([]kindred.ReplicaView, error) {
	return c.views(ctx, kindred.OpInspect, bucket, key, opts, kindredv1.ClusterClient.Inspect)
}

// RepairKey makes the home replicas of a key equal and says what each held before,
// and which of them were behind.
func (c *Client) RepairKey(ctx context.Context, bucket, key string, opts ...CallOption) ([]kindred.ReplicaView, error) {
	return c.views(ctx, kindred.OpRepair, bucket, key, opts, kindredv1.ClusterClient.RepairKey)
}

// viewsOf is a question whose answer is what each replica holds.
type viewsOf func(kindredv1.ClusterClient, context.Context, *kindredv1.InspectRequest, ...grpc.CallOption) (*kindredv1.InspectResponse, error)

func (c *Client) views(ctx context.Context, op kindred.Op, bucket, key string, opts []CallOption, put viewsOf) ([]kindred.ReplicaView, error) {
	req := c.Bucket(bucket).request(op, key, opts)
	if err := api.Check(req); err != nil {
		return nil, err
	}
	var views []kindred.ReplicaView
	err := c.visit(ctx, req, op.String(), func(ctx context.Context, n *node, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		asked := *req
		asked.Timeout = patience - patience/answerMargin
		m, err := put(kindredv1.NewClusterClient(n.connection()), ctx, api.FormatInspect(&asked))
		if err == nil {
			views = api.ParseInspectResponse(m).Replicas
		}
		return err
	})
	return views, err
}

// ask is visit unwatched.
func (c *Client) ask(ctx context.Context, req *kindred.Request, verb string, put question) error {
	now := time.Now()
	p := newPursuit(now, false, c.timeout(ctx, req, now))
	ctx, cancel := context.WithDeadline(ctx, p.deadline)
	defer cancel()
	defer context.AfterFunc(c.ctx, cancel)()
	var asked []*node
	for ctx.Err() == nil {
		switch p.next(time.Now()) {
		case giveUp:
			return c.unvisited(ctx, &p, req, verb)
		case wait, hedge:
			pauseFor(ctx, time.Until(p.wake()))
			continue
		}
		n := c.routes.Load().pick(req.Bucket, req.Key, c.turn.Add(1), asked)
		if n == nil || (p.costs() && !c.retries.spend()) {
			p.denied(time.Now(), ask)
			continue
		}
		asked = append(asked, n)
		if visitOne(ctx, &p, n, put) {
			return nil
		}
	}
	return c.unvisited(ctx, &p, req, verb)
}

// question is put to one node, which should answer within the patience.
type question func(ctx context.Context, n *node, patience time.Duration) error

// visitOne puts a question to one node and reports whether it was answered.
func visitOne(ctx context.Context, p *pursuit, n *node, put question) bool {
	now := time.Now()
	p.sent(now, ask)
	err := put(ctx, n, min(p.patience, p.deadline.Sub(now)))
	if err == nil {
		return true
	}
	p.refused(time.Now(), p.round, n.name, answer(err), rand.Float64())
	return false
}

func (c *Client) unvisited(ctx context.Context, p *pursuit, req *kindred.Request, verb string) *Error {
	cause := ctx.Err()
	if c.ctx.Err() != nil {
		cause = ErrClosed
	}
	return &Error{
		Op: verb, Bucket: req.Bucket, Key: req.Key,
		Err: p.verdict(cause), Attempts: p.attempts, cause: cause,
	}
}
