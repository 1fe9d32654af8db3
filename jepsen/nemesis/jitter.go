package nemesis

import (
	"context"
	"fmt"
	"math"
	"time"
)

// jitterMax is the longest delay: longer than a heartbeat, shorter than what is taken
// for a dead link.
const jitterMax = 2 * time.Second

// jitter makes delays that change all the time, with a heavy tail.
func jitter() Kind {
	return Kind{
		Name: "jitter", Touches: Network, NodesMin: 2,
		Doc:   fmt.Sprintf("what every node sends is late by another time every moment: mostly milliseconds, now and then up to %v", jitterMax),
		Holds: "everything",
		New:   func(t Target) Nemesis { return &jittery{Target: t} },
	}
}

type jittery struct {
	Target
	repeated
}

func (j *jittery) Hurt(ctx context.Context) (string, error) {
	what, random := "delays that change all the time", j.fork()
	step := func(ctx context.Context) (time.Duration, error) {
		node := j.Nodes[random.IntN(len(j.Nodes))]
		// Pareto with an index of 1: half are below 2 ms, one in a hundred above 100 ms.
		late := min(time.Duration(float64(time.Millisecond)/math.Max(random.Float64(), 1e-6)), jitterMax)
		return time.Duration(20+random.IntN(80)) * time.Millisecond, j.Cluster.Slow(ctx, node, late.Round(time.Microsecond))
	}
	for _, node := range j.Nodes { // in force on return
		if err := j.Cluster.Slow(ctx, node, time.Millisecond); err != nil {
			return what, err
		}
	}
	j.begin(step)
	return what, nil
}

func (j *jittery) Heal(ctx context.Context) error {
	err := j.end()
	if healed := j.Cluster.Heal(ctx); healed != nil {
		return healed
	}
	return err
}
