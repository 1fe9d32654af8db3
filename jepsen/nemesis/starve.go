package nemesis

import (
	"context"
	"errors"
	"time"
)

// starve leaves one process a tenth of the time.
func starve() Kind {
	return Kind{
		Name: "starve", Touches: Nodes, NodesMin: 2,
		Doc:   "the process of one node runs a tenth of the time (SIGSTOP and SIGCONT in turns)",
		Holds: "everything; a client may wait for a moment",
		New:   func(t Target) Nemesis { return &starved{Target: t} },
	}
}

// starveFrozen and starveAwake are one turn.
const (
	starveFrozen = 180 * time.Millisecond
	starveAwake  = 20 * time.Millisecond
)

type starved struct {
	Target
	repeated
	node string
}

func (s *starved) Hurt(ctx context.Context) (string, error) {
	s.node = s.One()
	what := s.node + " runs a tenth of the time"
	if err := s.Cluster.Pause(ctx, s.node); err != nil {
		return what, err
	}
	frozen := true
	s.begin(func(ctx context.Context) (time.Duration, error) {
		frozen = !frozen
		if frozen {
			return starveFrozen, s.Cluster.Pause(ctx, s.node)
		}
		return starveAwake, s.Cluster.Resume(ctx, s.node)
	})
	return what, nil
}

func (s *starved) Heal(ctx context.Context) error {
	if s.node == "" {
		return nil
	}
	return errors.Join(s.end(), s.Cluster.Resume(ctx, s.node))
}
