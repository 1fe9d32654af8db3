package nemesis

import (
	"context"
	"fmt"
	"time"
)

// slowMax is the longest delay of a slow node: some thousand times that of a
// healthy link on one machine, and well below what is taken for a dead one.
const slowMax = 200 * time.Millisecond

// slow delays what one node sends to the others.
func slow() Kind {
	return Kind{
		Name: "slow", Touches: Network, NodesMin: 2,
		Doc:   fmt.Sprintf("what one node sends to the others is late by up to %v", slowMax),
		Holds: "everything",
		New:   func(t Target) Nemesis { return &network{t, delayed} },
	}
}

func delayed(ctx context.Context, t Target) (string, error) {
	node := t.One()
	delay := time.Duration(1+t.Random.IntN(int(slowMax/time.Millisecond))) * time.Millisecond
	return fmt.Sprintf("%s late by %v", node, delay), t.Cluster.Slow(ctx, node, delay)
}
