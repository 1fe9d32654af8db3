package ring

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What the tests build clusters from.

var testCluster = [16]byte{0: 'k', 15: 'd'}

func equal(int) uint32   { return 1 }
func mixed(i int) uint32 { return uint32(1 + i%4) }

// cluster makes n nodes, dealt out to zones in turn.
func cluster(n, zones int, capacity func(i int) uint32) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{Name: fmt.Sprintf("n%d", i+1), Zone: fmt.Sprintf("z%d", i%zones+1), Capacity: capacity(i)}
	}
	return nodes
}

func mustNew(t require.TestingT, partitions, replicas int, nodes []Node) *Layout {
	l, err := New(testCluster, partitions, replicas, nodes)
	require.NoError(t, err)
	return l
}

func mustChange(t require.TestingT, l *Layout, nodes []Node) *Layout {
	next, err := l.Change(nodes)
	require.NoError(t, err)
	return next
}

// enough is the number of partitions that the placement bars are stated for.
func enough(nodes int) int {
	q := 256
	for q < 16*nodes {
		q *= 2
	}
	return q
}

// copiesMoved counts the copies that must be sent somewhere.
func copiesMoved(from, to *Layout) int {
	count := 0
	for _, m := range Moves(from, to) {
		if m.To != "" {
			count++
		}
	}
	return count
}

var (
	nodeNames = []string{"ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay", "kiwi", "lynx"}
	zoneNames = []string{"", "east", "north", "south", "west"}
)

func drawNode(t *rapid.T, name string) Node {
	return Node{
		Name:     name,
		Zone:     rapid.SampledFrom(zoneNames).Draw(t, "zone of "+name),
		Capacity: rapid.OneOf(rapid.Just(uint32(1)), rapid.Uint32Range(0, 5), rapid.Uint32Range(0, 1000)).Draw(t, "capacity of "+name),
	}
}

// drawNodes draws a cluster of which one node at least may own something.
func drawNodes(t *rapid.T, least, most int) []Node {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(nodeNames), least, most, rapid.ID[string]).Draw(t, "nodes")
	nodes := make([]Node, len(names))
	for i, name := range names {
		nodes[i] = drawNode(t, name)
	}
	nodes[0].Capacity = max(1, nodes[0].Capacity)
	return nodes
}

func allUp(string) bool { return true }

func upBut(down ...string) func(string) bool {
	return func(name string) bool {
		for _, d := range down {
			if d == name {
				return false
			}
		}
		return true
	}
}

func fill(t *testing.T, nodes, zones int) *Layout {
	return mustNew(t, enough(nodes), 3, cluster(nodes, zones, equal))
}
