package nemesis

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// clock makes wall clocks wrong.
func clock() Kind {
	return Kind{
		Name: "clock", Touches: Nodes,
		Doc:   "the wall clocks of a minority of the nodes jump: by seconds or hours, to 1970 or 2262, once or all the time",
		Holds: "everything but the moment at which a value is hidden that expires, and which of two concurrent writes is the last where that is asked for",
		New:   func(t Target) Nemesis { return &jumping{Target: t} },
	}
}

type jumping struct {
	Target
	repeated
	wrong []string
}

// clocks are where one may jump to.
func (t Target) clocks(now time.Time) time.Duration {
	sign := time.Duration(1 - 2*t.Random.IntN(2))
	switch t.Random.IntN(4) {
	case 0:
		return sign * time.Duration(1+t.Random.IntN(60)) * time.Second
	case 1:
		return sign * time.Duration(1+t.Random.IntN(60)) * time.Minute
	case 2:
		return time.Unix(0, 0).Sub(now).Round(time.Second)
	}
	return time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).Sub(now).Round(time.Second)
}

func (j *jumping) Hurt(ctx context.Context) (string, error) {
	j.wrong, _ = j.Few()
	what := ""
	offsets := make([]time.Duration, len(j.wrong))
	for i, n := range j.wrong {
		offsets[i] = j.clocks(time.Now())
		if err := j.Cluster.SetClock(ctx, n, offsets[i]); err != nil {
			return what, err
		}
		what += fmt.Sprintf("%s by %v, ", n, offsets[i])
	}
	if j.Random.IntN(3) > 0 {
		return what + "once", nil
	}
	right, node := false, j.wrong[0]
	j.begin(func(ctx context.Context) (time.Duration, error) {
		right = !right
		offset := offsets[0]
		if right {
			offset = 0
		}
		return 200 * time.Millisecond, j.Cluster.SetClock(ctx, node, offset)
	})
	return what + node + " forth and back", nil
}

func (j *jumping) Heal(ctx context.Context) error {
	errs := []error{j.end()}
	for _, n := range j.wrong {
		errs = append(errs, j.Cluster.SetClock(ctx, n, 0))
	}
	return errors.Join(errs...)
}
