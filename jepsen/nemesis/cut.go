package nemesis

import (
	"context"
	"strings"

	"github.com/kindredkv/kindred/local"
)

const sloppily = "everything; a side that cannot reach W homes writes to guests, or refuses where it is told to be strict"

// cut parts a minority of the nodes from the others.
func cut() Kind {
	return Kind{
		Name: "cut", Touches: Network, NodesMin: 2,
		Doc:   "a minority of the nodes and the others do not hear one another",
		Holds: sloppily,
		New:   func(t Target) Nemesis { return &network{t, parted} },
	}
}

// oneWay is a cut where one of the sides still hears the other.
func oneWay() Kind {
	return Kind{
		Name: "one-way", Touches: Network, NodesMin: 2,
		Doc:   "a minority of the nodes hears nothing from the others, or is not heard by them",
		Holds: sloppily,
		New:   func(t Target) Nemesis { return &network{t, half} },
	}
}

// network is a nemesis that the faults of the cluster's network end.
type network struct {
	Target
	hurt func(context.Context, Target) (string, error)
}

func (n *network) Hurt(ctx context.Context) (string, error) { return n.hurt(ctx, n.Target) }

// Heal ends all cuts and all slowness.
func (n *network) Heal(ctx context.Context) error { return n.Cluster.Heal(ctx) }

func parted(ctx context.Context, t Target) (string, error) {
	few, most := t.Few()
	_, err := t.Cluster.Cut(ctx, local.Sides{Left: few, Right: most}, false)
	return strings.Join(few, ",") + " | " + strings.Join(most, ","), err
}

func half(ctx context.Context, t Target) (string, error) {
	from, to := t.Few()
	if t.Random.IntN(2) == 0 {
		from, to = to, from
	}
	_, err := t.Cluster.Cut(ctx, local.Sides{Left: from, Right: to}, true)
	return strings.Join(from, ",") + " -/-> " + strings.Join(to, ","), err
}
