package jepsen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kindredkv/kindred/local"
)

// Network is what a [NetworkNemesis] makes fail; *local.Cluster is one.
type Network interface {
	Cut(ctx context.Context, s local.Sides, oneWay bool) (unlisted []string, err error)
	Slow(ctx context.Context, node string, delay time.Duration) error
	Heal(ctx context.Context) error
}

// NetworkNemesis hurts the network between nodes. Every hurt leaves a majority
// of the nodes that can talk to one another, and lasts until Heal.
type NetworkNemesis struct {
	Network Network
	Nodes   []string
	Random  *rand.Rand
	// SlowMax is the longest delay of a slow node.
	SlowMax time.Duration
}

// Hurt does one thing to the network, drawn at random, and says what.
func (n *NetworkNemesis) Hurt(ctx context.Context) (string, error) {
	nodes := append([]string(nil), n.Nodes...)
	n.Random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	minority := 1 + n.Random.IntN(max(1, (len(nodes)-1)/2))
	few, most := nodes[:minority], nodes[minority:]
	switch n.Random.IntN(4) {
	case 0:
		return n.cut(ctx, few, most, false)
	case 1: // the few are not heard
		return n.cut(ctx, few, most, true)
	case 2: // the few hear nothing
		return n.cut(ctx, most, few, true)
	}
	delay := time.Millisecond + time.Duration(n.Random.Int64N(int64(n.SlowMax)))
	return fmt.Sprintf("%s slow by %v", nodes[0], delay), n.Network.Slow(ctx, nodes[0], delay)
}

func (n *NetworkNemesis) cut(ctx context.Context, left, right []string, oneWay bool) (string, error) {
	_, err := n.Network.Cut(ctx, local.Sides{Left: left, Right: right}, oneWay)
	arrow := "|"
	if oneWay {
		arrow = "-/->"
	}
	return strings.Join(left, ",") + " " + arrow + " " + strings.Join(right, ","), err
}

// Heal ends all that Hurt has done.
func (n *NetworkNemesis) Heal(ctx context.Context) error { return n.Network.Heal(ctx) }
