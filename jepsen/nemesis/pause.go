package nemesis

import "context"

// pause freezes one process.
func pause() Kind {
	return Kind{
		Name: "pause", Touches: Nodes, NodesMin: 2,
		Doc:   "the process of one node is frozen (SIGSTOP) and thawed",
		Holds: "everything; a client may wait for a moment",
		New:   func(t Target) Nemesis { return &paused{Target: t} },
	}
}

type paused struct {
	Target
	node string
}

func (p *paused) Hurt(ctx context.Context) (string, error) {
	p.node = p.One()
	return p.node + " frozen", p.Cluster.Pause(ctx, p.node)
}

func (p *paused) Heal(ctx context.Context) error {
	if p.node == "" {
		return nil
	}
	return p.Cluster.Resume(ctx, p.node)
}
