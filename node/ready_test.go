package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

func TestHowOthersAreIsNoReason(t *testing.T) {
	layout := func(replicas int, names ...string) *ring.Layout {
		var nodes []ring.Node
		for _, name := range names {
			nodes = append(nodes, ring.Node{Name: name, Capacity: 1})
		}
		l, err := ring.New([16]byte{1}, 64, replicas, nodes)
		require.NoError(t, err)
		return l
	}
	alone, two := layout(1, "n1"), layout(2, "n1", "n2")
	three, five := layout(3, "n1", "n2", "n3"), layout(3, "n1", "n2", "n3", "n4", "n5")
	type state = kindred.MemberState
	for _, c := range []struct {
		layout  *ring.Layout
		others  []state // n2, n3, ...
		up      time.Duration
		tooFew  string
		calling string
	}{
		{layout: alone},
		{layout: three, others: []state{kindred.Alive, kindred.Alive}},
		{layout: three, others: []state{kindred.Alive, kindred.Dead}, up: greetPatience + 1},
		{layout: three, others: []state{kindred.Alive, kindred.Dead}, up: greetPatience, calling: "it is still calling n3"},
		{layout: three, others: []state{kindred.Alive, kindred.Suspect}, up: greetPatience + 1, calling: "it is still calling n3"},
		{layout: three, others: []state{kindred.Alive, kindred.Suspect}, up: trustPatience + 1},
		{layout: three, others: []state{kindred.Dead, kindred.Suspect}, up: time.Hour, tooFew: "it reaches 0 of 2 others, and a quorum takes 1"},
		{layout: five, others: []state{kindred.Dead, kindred.Dead, kindred.Dead, kindred.Alive}, up: time.Hour},
		{layout: two, others: []state{kindred.Dead}, up: time.Hour, tooFew: "it reaches 0 of 1 others, and a quorum takes 1"},
	} {
		members := []kindred.Member{{Name: "n1", State: kindred.Alive, Linked: true}, {Name: "n9", State: kindred.Suspect}} // no home
		for i, s := range c.others {
			members = append(members, kindred.Member{Name: []string{"n2", "n3", "n4", "n5"}[i], State: s, Linked: s == kindred.Alive})
		}
		l := neighbours(c.layout, members, "n1")
		require.Equal(t, c.tooFew, l.tooFew(c.layout), "%v", c.others)
		require.Equal(t, c.calling, l.ungreeted(c.up), "%v after %v", c.others, c.up)
	}
}
