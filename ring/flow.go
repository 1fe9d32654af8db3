package ring

// network is a flow network with whole capacities and small non-negative
// costs. Its maximum flow of least cost is found by the primal-dual method:
// vertices carry prices such that no arc with room left costs less than the
// difference of its ends' prices; flow is pushed along arcs that cost exactly
// that, as much as fits (Dinic's algorithm); then prices are raised.
type network struct {
	arcs        []arc
	first, last []int32 // of a vertex's arcs; -1 for none
	price       []int32
	dist        []int32
	current     []int32 // where the search for more flow goes on
}

// arc i and arc i^1 are the two directions of one edge.
type arc struct {
	to, next int32
	room     int32 // capacity that is left
	cost     int32
}

const none = -1

func newNetwork(vertices, edges int) *network {
	g := &network{
		arcs:    make([]arc, 0, 2*edges),
		first:   make([]int32, vertices),
		last:    make([]int32, vertices),
		price:   make([]int32, vertices),
		dist:    make([]int32, vertices),
		current: make([]int32, vertices),
	}
	for v := range vertices {
		g.first[v], g.last[v] = none, none
	}
	return g
}

// edge adds an edge and returns its number. Edges are tried in the order they
// were added.
func (g *network) edge(from, to, room, cost int) int {
	e := len(g.arcs)
	g.link(from, arc{to: int32(to), next: none, room: int32(room), cost: int32(cost)})
	g.link(to, arc{to: int32(from), next: none, room: 0, cost: int32(-cost)})
	return e
}

func (g *network) link(from int, a arc) {
	i := int32(len(g.arcs))
	g.arcs = append(g.arcs, a)
	if g.last[from] == none {
		g.first[from] = i
	} else {
		g.arcs[g.last[from]].next = i
	}
	g.last[from] = i
}

// used reports whether anything flows through an edge of capacity 1.
func (g *network) used(edge int) bool { return g.arcs[edge].room == 0 }

// appendUsed appends the ends of a vertex's edges of capacity 1 that are used.
func (g *network) appendUsed(ends []int, from int) []int {
	for e := g.first[from]; e != none; e = g.arcs[e].next {
		if e&1 == 0 && g.used(int(e)) {
			ends = append(ends, int(g.arcs[e].to))
		}
	}
	return ends
}

// maximize pushes as much as possible from source to sink at the least cost,
// and returns how much that is.
func (g *network) maximize(source, sink int) int {
	flow := 0
	for g.reprice(source, sink) {
		for g.measure(source, sink) {
			copy(g.current, g.first)
			for {
				pushed := g.push(source, sink, 1<<30)
				if pushed == 0 {
					break
				}
				flow += int(pushed)
			}
		}
	}
	return flow
}

// excess is what an arc costs beyond the difference of prices, never negative
// while there is room.
func (g *network) excess(from int32, a arc) int32 {
	return a.cost + g.price[from] - g.price[a.to]
}

// reprice finds the cheapest way from the source to every vertex that is no
// dearer to reach than the sink, and raises prices by that much, so that the
// cheapest ways to the sink become free. It returns false when no way to the
// sink is left.
func (g *network) reprice(source, sink int) bool {
	for v := range g.dist {
		g.dist[v] = none
	}
	queues := [][]int32{{int32(source)}} // vertices by tentative distance
	for d := int32(0); int(d) < len(queues) && g.dist[sink] == none; d++ {
		for i := 0; i < len(queues[d]); i++ {
			v := queues[d][i]
			if g.dist[v] != none {
				continue
			}
			g.dist[v] = d
			for e := g.first[v]; e != none; e = g.arcs[e].next {
				a := g.arcs[e]
				if a.room == 0 || g.dist[a.to] != none {
					continue
				}
				at := d + g.excess(v, a)
				for len(queues) <= int(at) {
					queues = append(queues, nil)
				}
				queues[at] = append(queues[at], a.to)
			}
		}
	}
	far := g.dist[sink]
	if far == none {
		return false
	}
	for v, d := range g.dist {
		if d == none { // dearer than the sink
			d = far
		}
		g.price[v] += d
	}
	return true
}

// measure counts the free arcs on the shortest way from the source to every
// vertex nearer than the sink. It returns false when no free way to the sink is
// left.
func (g *network) measure(source, sink int) bool {
	for v := range g.dist {
		g.dist[v] = none
	}
	g.dist[source] = 0
	queue := []int32{int32(source)}
	for i := 0; i < len(queue); i++ {
		v := queue[i]
		for e := g.first[v]; e != none; e = g.arcs[e].next {
			a := g.arcs[e]
			if a.room == 0 || g.dist[a.to] != none || g.excess(v, a) != 0 {
				continue
			}
			g.dist[a.to] = g.dist[v] + 1
			if int(a.to) == sink {
				return true
			}
			queue = append(queue, a.to)
		}
	}
	return false
}

// push sends up to limit along one shortest free way and returns how much. A
// way that led nowhere is not tried again until the next measure.
func (g *network) push(from, sink int, limit int32) int32 {
	if from == sink {
		return limit
	}
	for ; g.current[from] != none; g.current[from] = g.arcs[g.current[from]].next {
		e := g.current[from]
		a := g.arcs[e]
		if a.room == 0 || g.dist[a.to] != g.dist[from]+1 || g.excess(int32(from), a) != 0 {
			continue
		}
		if pushed := g.push(int(a.to), sink, min(limit, a.room)); pushed > 0 {
			g.arcs[e].room -= pushed
			g.arcs[e^1].room += pushed
			return pushed
		}
	}
	return 0
}
