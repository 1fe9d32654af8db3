package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/ring"
)

const (
	// refreshGap keeps a storm of bad news from becoming a storm of questions.
	refreshGap = 200 * time.Millisecond
	// newsGap is the same for nodes that work by another layout: calls wait for the
	// answer.
	newsGap = 20 * time.Millisecond
	// describedMax bounds the nodes that are asked before the seeds.
	describedMax = 3
	// describeMax bounds one question about the cluster.
	describeMax = 3 * time.Second
)

// description is what a node said of its cluster, and where it was asked.
type description struct {
	cluster kindred.Cluster
	local   kindred.Local
	addr    string
}

// refresh keeps the routes up to date until the client is closed.
func (c *Client) refresh() {
	for {
		// Jitter keeps clients that started together from asking together.
		regular := time.NewTimer(time.Duration((0.5 + rand.Float64()) * float64(c.settings.refresh)))
		select {
		case <-regular.C:
		case <-c.soon:
			c.pauseForNews(refreshGap/2 + rand.N(refreshGap))
		case <-c.news:
			// Someone has another layout: learn it before the next attempt.
		case <-c.ctx.Done():
		}
		regular.Stop()
		if c.ctx.Err() != nil {
			return
		}
		c.relearn()
		pauseFor(c.ctx, newsGap)
	}
}

// pauseForNews gives up the pause when a node has another layout.
func (c *Client) pauseForNews(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.news:
	case <-c.ctx.Done():
	}
}

// refreshNow asks for the layout of a node that refused a call because it works by
// another one.
func (c *Client) refreshNow(n *node) {
	c.ahead.Store(n)
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// refreshSoon asks for fresh routes without waiting for them.
func (c *Client) refreshSoon() {
	select {
	case c.soon <- struct{}{}:
	default:
	}
}

// relearn asks the nodes it knows, the most hopeful first, and then the seeds. If one
// has refused a call for its layout, that one comes first; but it may have been removed,
// and know no newer layout than the client: then others are asked too.
func (c *Client) relearn() {
	ctx, cancel := context.WithTimeout(c.ctx, c.settings.timeout)
	defer cancel()
	old, ahead := c.routes.Load(), c.ahead.Swap(nil)
	nodes := slices.Clone(old.nodes)
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	first := func(n *node) int {
		if n == ahead {
			return -1
		}
		return int(n.rank())
	}
	slices.SortStableFunc(nodes, func(a, b *node) int { return first(a) - first(b) })
	learnt := false
	for _, n := range nodes[:min(len(nodes), describedMax)] {
		d, err := describe(ctx, n.connection(), n.addr)
		if err != nil || c.learn(d) != nil {
			continue
		}
		if learnt = true; ahead == nil || c.routes.Load().layout != old.layout {
			return
		}
	}
	if learnt {
		return
	}
	d, err := c.askSeeds(ctx)
	if err == nil {
		err = c.learn(d)
	}
	if err != nil && c.ctx.Err() == nil {
		c.settings.log.Warn("no node describes the cluster", "err", err)
	}
}

// askSeeds asks every seed at once and returns the first answer, or a
// *DialError.
func (c *Client) askSeeds(ctx context.Context) (*description, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		i   int
		d   *description
		err error
	}
	answers := make(chan answer, len(c.seeds))
	for i, addr := range c.seeds {
		c.wg.Go(func() {
			d, err := c.askSeed(ctx, addr)
			answers <- answer{i, d, err}
		})
	}
	failed := &DialError{Failed: make([]DialFailure, len(c.seeds))}
	for range c.seeds {
		a := <-answers
		if a.err == nil {
			return a.d, nil
		}
		failed.Failed[a.i] = DialFailure{Addr: c.seeds[a.i], Err: a.err}
	}
	return nil, failed
}

func (c *Client) askSeed(ctx context.Context, addr string) (*description, error) {
	conn, err := connect(addr, &c.settings, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return describe(ctx, conn, addr)
}

// describe asks one node what it knows of the cluster.
func describe(ctx context.Context, conn *grpc.ClientConn, addr string) (*description, error) {
	return askWhat(ctx, conn, addr, &kindredv1.DescribeRequest{})
}

// describeWhole asks for its replicas too, which costs the node more.
func describeWhole(ctx context.Context, conn *grpc.ClientConn, addr string) (*description, error) {
	return askWhat(ctx, conn, addr, &kindredv1.DescribeRequest{Replication: true})
}

func askWhat(ctx context.Context, conn *grpc.ClientConn, addr string, ask *kindredv1.DescribeRequest) (*description, error) {
	ctx, cancel := context.WithTimeout(ctx, describeMax)
	defer cancel()
	m, err := kindredv1.NewClusterClient(conn).Describe(ctx, ask)
	if err != nil {
		return nil, withCause(ctx, err)
	}
	cluster, local := api.ParseDescribe(m)
	if cluster.Node == "" {
		return nil, errors.New("the node does not say its name")
	}
	return &description{cluster: cluster, local: local, addr: addr}, nil
}

// learn takes over what is new in a description.
func (c *Client) learn(d *description) error {
	old := c.routes.Load()
	if old.clusterID != "" && d.cluster.ClusterID != "" && d.cluster.ClusterID != old.clusterID {
		return fmt.Errorf("node %s at %s is of cluster %s, this client is of cluster %s", d.cluster.Node, d.addr, d.cluster.ClusterID, old.clusterID)
	}
	next := newRoutes(old.clusterID, old.layout, old.copies, nil)
	if next.clusterID == "" {
		next.clusterID = d.cluster.ClusterID
	}
	if d.cluster.Replicas > 0 {
		next.copies = d.cluster.Replicas
	}
	layout, err := decodeLayout(d.cluster.Layout)
	if err != nil {
		return fmt.Errorf("node %s sent a layout that cannot be read: %w", d.cluster.Node, err)
	}
	if old.newer(layout) {
		next.layout = layout
		c.settings.log.Info("a new layout", "version", layout.Version().String(), "from", d.cluster.Node)
	}
	next, err = c.renew(old, next, addresses(d))
	if err != nil {
		return err
	}
	c.routes.Store(next)
	c.retire(old, next)
	return nil
}

// decodeLayout reads a layout; nil means that there is none yet.
func decodeLayout(b []byte) (*ring.Layout, error) {
	if len(b) == 0 {
		return nil, nil
	}
	return ring.Decode(b)
}

// place is where a member can be reached, as a description says.
type place struct {
	addr, advertised string
	gone, left       bool
}

// addresses collects the members. Whoever answered can be reached where it was
// asked; what it advertises may be of no use from here.
func addresses(d *description) map[string]place {
	places := make(map[string]place, len(d.cluster.Members))
	for _, m := range d.cluster.Members[:min(len(d.cluster.Members), NodesMax)] {
		places[m.Name] = place{
			addr: m.ClientAddr, advertised: m.ClientAddr,
			gone: m.State == kindred.Dead, left: m.State == kindred.Left,
		}
	}
	self := places[d.cluster.Node]
	self.addr = d.addr
	places[d.cluster.Node] = self
	return places
}

// renew fills in the nodes of the next routes: those of the old ones that are
// still where they were, and new ones.
func (c *Client) renew(old, next *routes, places map[string]place) (*routes, error) {
	var nodes []*node
	for _, n := range old.nodes {
		p, known := places[n.name]
		if n.stays(p, known, next.names(n.name)) {
			n.gone.Store(p.gone)
			n.cluster.Store(&next.clusterID)
			nodes = append(nodes, n)
			delete(places, n.name)
		}
	}
	for name, p := range places {
		if p.left || p.addr == "" {
			continue
		}
		n, err := startNode(name, next.clusterID, p, &c.settings, c.lostNode)
		if err != nil {
			return nil, fmt.Errorf("node %s at %q: %w", name, p.addr, err)
		}
		n.gone.Store(p.gone)
		nodes = append(nodes, n)
	}
	slices.SortFunc(nodes, func(a, b *node) int { return strings.Compare(a.name, b.name) })
	return newRoutes(next.clusterID, next.layout, next.copies, nodes), nil
}

// stays reports whether a node is to be kept as it is. One that a description
// does not know stays while the layout names it, since who describes the cluster may be
// cut off from it; any other may be of another cluster by now. One that was found where it
// does not say it is stays until it fails there.
func (n *node) stays(p place, known, inLayout bool) bool {
	switch {
	case !known:
		return inLayout
	case p.left:
		return false
	case p.advertised != n.advertised:
		return false
	}
	return n.addr == n.advertised || n.rank() != doubted
}

// retire closes the nodes that are no longer used.
func (c *Client) retire(old, next *routes) {
	for _, n := range old.nodes {
		if next.byName[n.name] != n {
			c.settings.log.Info("a node is no longer used", "node", n.name, "addr", n.addr)
			n.close()
		}
	}
}

// lostNode is told when the stream to a node breaks.
func (c *Client) lostNode(n *node, err error) {
	c.settings.log.Warn("the stream to a node broke", "node", n.name, "addr", n.addr, "err", err)
	c.refreshSoon()
}

// withCause prefers the reason why a context ended to what gRPC made of it.
func withCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}
