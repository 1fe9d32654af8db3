package ring

import (
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNewSaysWhatItMade(t *testing.T) {
	l := mustNew(t, 256, 3, cluster(5, 2, mixed))
	require.Equal(t, testCluster, l.ClusterID())
	require.Equal(t, uint64(1), l.Version().Counter)
	require.Equal(t, 256, l.Partitions())
	require.Equal(t, 3, l.Replicas())
	require.Equal(t, cluster(5, 2, mixed), l.Nodes())
	n, ok := l.Node("n3")
	require.True(t, ok)
	require.Equal(t, Node{Name: "n3", Zone: "z1", Capacity: 3}, n)
	_, ok = l.Node("n6")
	require.False(t, ok)
	require.Empty(t, l.Check()[1:], "a note on the zones and nothing else")
}

func TestWhatNewRefuses(t *testing.T) {
	one := cluster(1, 1, equal)
	long := strings.Repeat("x", NameBytesMax+1)
	for _, c := range []struct {
		partitions, replicas int
		nodes                []Node
		want                 error
		says                 string
	}{
		{0, 3, one, &LimitError{}, "partitions is 0, allowed are 1 to 65536: choose a power of two"},
		{-4, 3, one, &LimitError{}, "partitions is 0"},
		{48, 3, one, &LimitError{}, "partitions is 48"},
		{PartitionsMax * 2, 3, one, &LimitError{}, "partitions is 131072"},
		{64, 0, one, &LimitError{}, "replicas is 0, allowed are 1 to 16"},
		{64, 17, one, &LimitError{}, "replicas is 17"},
		{64, 3, nil, &LimitError{}, "nodes with a capacity is 0"},
		{64, 3, []Node{{Name: "a"}}, &LimitError{}, "give at least one node a capacity of 1"},
		{64, 3, cluster(NodesMax+1, 1, equal), &LimitError{}, "nodes is 513"},
		{PartitionsMax, 3, cluster(200, 1, equal), &LimitError{}, "partitions × nodes is 13107200"},
		{64, 3, []Node{{Name: "", Capacity: 1}}, &NodeError{}, `node "" has no name`},
		{64, 3, []Node{{Name: long, Capacity: 1}}, &NodeError{}, "over 255 bytes"},
		{64, 3, []Node{{Name: "a", Zone: long, Capacity: 1}}, &NodeError{}, `node "a" has a zone of over 255 bytes`},
		{64, 3, []Node{{Name: "a\xff", Capacity: 1}}, &NodeError{}, "not UTF-8"},
		{64, 3, []Node{{Name: "a", Zone: "\xff", Capacity: 1}}, &NodeError{}, "not UTF-8"},
		{64, 3, []Node{{"a", "x", 1}, {"b", "x", 1}, {"a", "y", 1}}, &NodeError{}, `node "a" is named twice`},
	} {
		_, err := New(testCluster, c.partitions, c.replicas, c.nodes)
		require.IsType(t, c.want, err, c.says)
		require.ErrorContains(t, err, c.says)
		if c.partitions == 64 && c.replicas == 3 {
			_, err = mustNew(t, 64, 3, one).Change(c.nodes)
			require.ErrorContains(t, err, c.says)
		}
	}
}

func TestTheOrderOfNodesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		nodes, more := drawNodes(t, 1, 8), drawNodes(t, 1, 8)
		l := mustNew(t, 32, 3, nodes)
		seed := rapid.Int64().Draw(t, "seed")
		shuffled := func(nodes []Node) []Node {
			nodes = slices.Clone(nodes)
			rand.New(rand.NewSource(seed)).Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
			return nodes
		}
		again := mustNew(t, 32, 3, shuffled(nodes))
		require.Equal(t, l.AppendTo(nil), again.AppendTo(nil))
		require.Equal(t, mustChange(t, l, more).AppendTo(nil), mustChange(t, again, shuffled(more)).AppendTo(nil))
	})
}

func TestLayoutsDoNotShareTheCallersNodes(t *testing.T) {
	nodes := cluster(3, 1, equal)
	l := mustNew(t, 8, 2, nodes)
	bytes := l.AppendTo(nil)
	nodes[0].Name = "changed"
	l.Nodes()[1].Capacity = 99
	require.Equal(t, bytes, l.AppendTo(nil))
	mustChange(t, l, cluster(9, 1, equal))
	require.Equal(t, bytes, l.AppendTo(nil), "a change makes another layout")
}

func TestAHundredNodesArePlacedLikeFew(t *testing.T) {
	nodes := cluster(101, 5, mixed)
	l := mustNew(t, 2048, 3, nodes[:100])
	requireLawful(t, l, mustChange(t, l, nodes), nodes)
}

func BenchmarkPlace100NodesOn2048Partitions(b *testing.B) {
	l := mustNew(b, 2048, 3, cluster(100, 5, mixed))
	for name, run := range map[string]func(){
		"new":  func() { mustNew(b, 2048, 3, cluster(100, 5, mixed)) },
		"join": func() { mustChange(b, l, cluster(101, 5, mixed)) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				run()
			}
		})
	}
}
