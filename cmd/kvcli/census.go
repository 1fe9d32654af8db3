package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// placed is one partition with so many replicas, of whom a clock is.
type placed struct{ partition, n int }

func placeOf(h *kindred.Holding) placed { return placed{h.Partition, h.N} }

// listing is what one node holds of a partition and does not know to be on the disk of
// every other home.
type listing struct {
	node  string
	guest bool
	dots  vclock.DotSet
	// age is how old the oldest of it is at least, zero if that is not known.
	age time.Duration
}

// share is what one node holds, on its disk, of the write events that were listed.
type share struct {
	node  string
	guest bool
	dots  vclock.DotSet
}

// census is who holds which write events. It is taken in two rounds: first nodes list
// what they do not know to be everywhere, and then all are asked for just these. So it
// costs by how much is not everywhere, and believes nobody about another.
type census struct {
	listed map[placed][]listing
	held   map[placed][]share
	// unknown are the nodes that could not be asked, and why.
	unknown map[string]string
}

func newCensus() *census {
	return &census{listed: map[placed][]listing{}, held: map[placed][]share{}, unknown: map[string]string{}}
}

// list asks the nodes what they hold and do not know to be everywhere.
func (c *census) list(ctx context.Context, cl cluster, nodes []string) {
	for node, h := range c.askAll(ctx, cl, nodes, nil) {
		for i := range h.Holdings {
			at := &h.Holdings[i]
			l := listing{node: node, guest: at.Guest}
			if !at.Since.IsZero() {
				l.age = max(h.At.Sub(at.Since), 0)
			}
			if dots, ok := c.parse(node, at); ok {
				l.dots = dots
				c.listed[placeOf(at)] = append(c.listed[placeOf(at)], l)
			}
		}
	}
}

// count asks the nodes what they hold of all that was listed.
func (c *census) count(ctx context.Context, cl cluster, nodes []string) {
	c.held = map[placed][]share{}
	of := c.question()
	if len(of) == 0 {
		return
	}
	for node, h := range c.askAll(ctx, cl, nodes, of) {
		for i := range h.Holdings {
			at := &h.Holdings[i]
			if dots, ok := c.parse(node, at); ok {
				c.held[placeOf(at)] = append(c.held[placeOf(at)], share{node, at.Guest, dots})
			}
		}
	}
	for _, shares := range c.held {
		slices.SortFunc(shares, func(a, b share) int { return cmp.Compare(a.node, b.node) })
	}
}

// question is everything that was listed, each partition once.
func (c *census) question() (of []kindred.Holding) {
	for _, p := range c.places() {
		var all vclock.DotSet
		for _, l := range c.listed[p] {
			all.Union(l.dots)
		}
		of = append(of, kindred.Holding{Partition: p.partition, N: p.n, Dots: all.AppendTo(nil)})
	}
	return of
}

// places are the partitions of which something was listed, in order.
func (c *census) places() []placed {
	places := make([]placed, 0, len(c.listed))
	for p := range c.listed {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b placed) int { return (a.partition-b.partition)*256 + a.n - b.n })
	return places
}

// askAll puts one question to several nodes at once. Who does not answer is unknown.
func (c *census) askAll(ctx context.Context, cl cluster, nodes []string, of []kindred.Holding) map[string]kindred.Holdings {
	answers := map[string]kindred.Holdings{}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, node := range nodes {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, nodePatience)
			defer cancel()
			h, err := cl.Holdings(ctx, node, of)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				c.unknown[node] = err.Error()
			case h.Unknown != "":
				c.unknown[node] = h.Unknown
			default:
				answers[node] = h
			}
		})
	}
	asked.Wait()
	return answers
}

func (c *census) parse(node string, h *kindred.Holding) (vclock.DotSet, bool) {
	dots, rest, err := vclock.DecodeDotSet(h.Dots)
	if err != nil || len(rest) > 0 {
		c.unknown[node] = "it answered with what is no set of write events"
		return vclock.DotSet{}, false
	}
	return dots, true
}

// eachOnce joins what one node holds as a home and as a guest: its disk is one.
func eachOnce(shares []share) (once []share) {
	for _, s := range shares {
		i := slices.IndexFunc(once, func(o share) bool { return o.node == s.node })
		if i < 0 {
			once = append(once, share{s.node, s.guest, s.dots.Clone()})
			continue
		}
		once[i].dots.Union(s.dots)
		once[i].guest = once[i].guest && s.guest
	}
	return once
}

// heldByFewer are those of the dots that fewer than so many of the shares have.
func heldByFewer(dots vclock.DotSet, shares []share, many int) vclock.DotSet {
	atLeast := make([]vclock.DotSet, many+1) // by number of holders
	atLeast[0] = dots
	for _, s := range shares {
		for i := many; i > 0; i-- {
			atLeast[i].Union(atLeast[i-1].Intersect(s.dots))
		}
	}
	return dots.Minus(atLeast[many])
}

// holders is a set of write events that the same nodes hold.
type holders struct {
	nodes, guests []string
	dots          vclock.DotSet
}

// byHolders splits the dots by who holds them. Those that more than most nodes hold are
// left out: there are as many sets as there are groups of nodes otherwise.
func byHolders(dots vclock.DotSet, shares []share, most int) []holders {
	groups := []holders{{dots: heldByFewer(dots, shares, most+1)}}
	for _, s := range shares {
		var next []holders
		for _, g := range groups {
			if apart := g.dots.Minus(s.dots); !apart.IsEmpty() {
				next = append(next, holders{g.nodes, g.guests, apart})
			}
			if with := g.dots.Intersect(s.dots); !with.IsEmpty() {
				h := holders{append(slices.Clone(g.nodes), s.node), g.guests, with}
				if s.guest {
					h.guests = append(slices.Clone(g.guests), s.node)
				}
				next = append(next, h)
			}
		}
		groups = next
	}
	return slices.DeleteFunc(groups, func(h holders) bool { return h.dots.IsEmpty() })
}
