package client

import (
	"slices"

	"github.com/kindredkv/kindred/ring"
)

// routes is what the client knows of the cluster at one moment: immutable,
// replaced as a whole.
type routes struct {
	clusterID string
	layout    *ring.Layout // nil before the cluster has one
	copies    int
	nodes     []*node // ordered by name
	byName    map[string]*node
}

func newRoutes(clusterID string, layout *ring.Layout, copies int, nodes []*node) *routes {
	r := &routes{clusterID: clusterID, layout: layout, copies: copies, nodes: nodes, byName: make(map[string]*node, len(nodes))}
	for _, n := range nodes {
		r.byName[n.name] = n
	}
	return r
}

// pick chooses the node to ask next: a home replica of the key that works and
// was not asked yet; failing that a working stranger, who forwards; failing
// that whoever is left. Who is not in the layout is asked only if nobody is known who
// is: it has no part in the cluster yet, or no more, or has one in another. Among
// equals the one with the fewest calls on their way wins, and turn decides who is
// looked at first. It returns nil when no node is known.
func (r *routes) pick(bucket, key string, turn uint32, asked []*node) *node {
	homes := r.homes(bucket, key)
	var best choice
	for i := range homes {
		home := r.byName[homes[(i+int(turn))%len(homes)]]
		if home != nil {
			best.consider(home, true, asked)
		}
	}
	if best.good() {
		return best.node
	}
	others := func(such func(name string) bool) {
		for i := range r.nodes {
			n := r.nodes[(i+int(turn))%len(r.nodes)]
			if such(n.name) && !slices.Contains(homes, n.name) {
				best.consider(n, false, asked)
			}
		}
	}
	if others(r.names); best.node == nil {
		others(func(string) bool { return true })
	}
	return best.node
}

// homes names the home replicas of a key, as far as they are known.
func (r *routes) homes(bucket, key string) []string {
	if r.layout == nil {
		return nil
	}
	return r.layout.Homes(r.layout.PartitionOf(bucket, key), r.copies)
}

// choice is the best node seen so far.
type choice struct {
	node  *node
	rank  rank
	times int // asked before by this operation
	home  bool
	load  int64
}

func (c *choice) consider(n *node, home bool, asked []*node) {
	other := choice{node: n, rank: n.rank(), home: home, load: n.load.Load()}
	for _, a := range asked {
		if a == n {
			other.times++
		}
	}
	if c.node == nil || other.better(c) {
		*c = other
	}
}

func (c *choice) better(than *choice) bool {
	switch {
	case c.rank != than.rank:
		return c.rank < than.rank
	case c.times != than.times:
		return c.times < than.times
	case c.home != than.home:
		return c.home
	}
	return c.load < than.load
}

// good reports whether no stranger could be better.
func (c *choice) good() bool { return c.node != nil && c.rank == healthy && c.times == 0 }

// newer reports whether a description tells more than r about the layout.
func (r *routes) newer(layout *ring.Layout) bool {
	switch {
	case layout == nil:
		return false
	case r.layout == nil:
		return true
	}
	return layout.Version().Compare(r.layout.Version()) > 0
}

// names reports whether the layout has a node of that name.
func (r *routes) names(name string) bool {
	if r.layout == nil {
		return false
	}
	_, ok := r.layout.Node(name)
	return ok
}
