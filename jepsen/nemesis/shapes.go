package nemesis

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/kindredkv/kindred/local"
)

// ring lets every node reach a majority, and no two of them the same.
func ring() Kind {
	return Kind{
		Name: "ring", Touches: Network, NodesMin: 4,
		Doc:   "every node reaches its neighbours in a ring, a majority, and no two nodes reach the same",
		Holds: sloppily,
		New:   func(t Target) Nemesis { return &network{t, ringed} },
	}
}

func ringed(ctx context.Context, t Target) (string, error) {
	nodes := t.shuffled()
	for i, n := range nodes {
		if _, err := t.Cluster.Cut(ctx, local.Sides{Left: []string{n}, Right: acrossRing(nodes, i)}, false); err != nil {
			return "", err
		}
	}
	return "a ring of " + strings.Join(nodes, ","), nil
}

// acrossRing are the nodes that one of a ring does not reach. With itself it reaches a
// majority, as many on either side.
func acrossRing(nodes []string, i int) (across []string) {
	reach := (len(nodes)/2 + 1) / 2
	for d := reach + 1; d < len(nodes)-reach; d++ {
		across = append(across, nodes[(i+d)%len(nodes)])
	}
	return across
}

// bridge leaves one node that both halves reach.
func bridge() Kind {
	return Kind{
		Name: "bridge", Touches: Network, NodesMin: 3,
		Doc:   "two halves do not hear one another, and one node hears and is heard by both",
		Holds: sloppily,
		New:   func(t Target) Nemesis { return &network{t, bridged} },
	}
}

func bridged(ctx context.Context, t Target) (string, error) {
	nodes := t.shuffled()
	between, left, right := nodes[0], nodes[1:1+len(nodes)/2], nodes[1+len(nodes)/2:]
	_, err := t.Cluster.Cut(ctx, local.Sides{Left: left, Right: right}, false)
	return strings.Join(left, ",") + " - " + between + " - " + strings.Join(right, ","), err
}

// swizzle cuts nodes off one by one and lets them back in another order.
func swizzle() Kind {
	return Kind{
		Name: "swizzle", Touches: Network, NodesMin: 3,
		Doc:   "some nodes are cut off one by one, and come back one by one in another order",
		Holds: "everything; with more than half of the nodes cut off, strict requests are refused and sloppy ones may be",
		New:   func(t Target) Nemesis { return &swizzled{Target: t} },
	}
}

// swizzlePause is the longest time between two steps.
const swizzlePause = 500 * time.Millisecond

type swizzled struct {
	Target
	off []string
}

func (s *swizzled) Hurt(ctx context.Context) (string, error) {
	nodes := s.shuffled()
	off := nodes[:2+s.Random.IntN(len(nodes)-2)]
	what := strings.Join(off, ", then ") + " cut off"
	for i, n := range off {
		if i > 0 {
			if err := wait(ctx, time.Duration(s.Random.Int64N(int64(swizzlePause)))); err != nil {
				return what, err
			}
		}
		var others []string
		for _, other := range s.Nodes {
			if other != n {
				others = append(others, other)
			}
		}
		s.off = append(s.off, n)
		if _, err := s.Cluster.Cut(ctx, local.Sides{Left: []string{n}, Right: others}, false); err != nil {
			return what, err
		}
	}
	return what, nil
}

// Heal lets them back, and ends at the latest what is left then.
func (s *swizzled) Heal(ctx context.Context) error {
	var errs []error
	s.Random.Shuffle(len(s.off), func(i, j int) { s.off[i], s.off[j] = s.off[j], s.off[i] })
	for i, n := range s.off {
		if i > 0 {
			errs = append(errs, wait(ctx, time.Duration(s.Random.Int64N(int64(swizzlePause)))))
		}
		errs = append(errs, s.Cluster.Mend(ctx, n))
	}
	s.off = nil
	return errors.Join(errs...)
}

// shuffled are the nodes in a random order.
func (t Target) shuffled() []string {
	nodes := append([]string(nil), t.Nodes...)
	t.Random.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes
}

// fork is a generator for a goroutine of its own.
func (t Target) fork() *rand.Rand { return rand.New(rand.NewPCG(t.Random.Uint64(), t.Random.Uint64())) }
