package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// What a layout lacks from its beginning comes with what can be done about it: no log
// says more.
func TestWhatALayoutLacksHasAFix(t *testing.T) {
	for _, c := range []struct {
		nodes []ring.Node
		fix   string
	}{
		{[]ring.Node{{Name: "n1", Zone: "z", Capacity: 1}}, "kvcli cluster join"},
		{[]ring.Node{{Name: "n1", Zone: "z", Capacity: 1}, {Name: "n2", Zone: "z", Capacity: 1}, {Name: "n3", Zone: "z", Capacity: 1}}, "kvcli cluster set-zone"},
	} {
		layout, err := ring.New([16]byte{1}, 8, 3, c.nodes)
		require.NoError(t, err)
		problems := layout.Check()
		require.NotEmpty(t, problems)
		view := nodeView{Name: "n1"}
		for _, p := range problems {
			view.Cluster.Problems = append(view.Cluster.Problems, p.Text)
		}
		var d diagnosis
		d.reported(&survey{Asked: kindred.Cluster{}, Nodes: []nodeView{view}})
		require.Len(t, d.problems, len(problems))
		all := ""
		for _, p := range d.problems {
			require.Equal(t, "layout", p.Kind, p.Problem)
			all += p.Fix
		}
		require.True(t, strings.Contains(all, c.fix), all)
	}
}
