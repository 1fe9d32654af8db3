package nemesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kindredkv/kindred/jepsen/history"
)

const (
	// LongestDefault is how long a hurt lasts at most, unless a Storm says otherwise.
	// Nodes take up to 16 s to agree that one of them is gone.
	LongestDefault = 20 * time.Second
	// shortest is how long a hurt lasts at least, brief at most three times of four:
	// most faults should come and go before anybody has noticed.
	shortest = 500 * time.Millisecond
	brief    = 4 * time.Second
	// calm is between two strokes, and twice that at most.
	calm = 500 * time.Millisecond
	// healMax is how long the end of a stroke may take.
	healMax = 2 * time.Minute
)

// Storm is stroke after stroke.
type Storm struct {
	// Kinds are what is drawn from: each comes once before one comes again.
	Kinds []Kind
	// Target is what they hurt; its Random is not used.
	Target Target
	Seed   uint64
	// Longest is how long a hurt lasts at most; 0 means LongestDefault.
	Longest time.Duration
	// Since is the clock of the run.
	Since func() time.Duration
	// Ready waits until every node is ready.
	Ready func(ctx context.Context) error
	// Agree waits until all replicas are known to be equal; see S3.
	Agree func(ctx context.Context) error
	// Note, if set, hears of every fault three times: when it is in force, when it
	// is healed, and when all nodes are ready.
	Note func(history.Fault)
}

// StuckError is a cluster that has not come back after its faults had ended. That
// is no failure of the storm, but a promise that was not kept.
type StuckError struct {
	// After are the faults that had been healed.
	After []history.Fault
	Err   error
}

func (e *StuckError) Error() string {
	text := "the cluster has not come back"
	for i, f := range e.After {
		text += map[bool]string{true: " after ", false: " with "}[i == 0] + f.Kind + " (" + f.What + ")"
	}
	return text + ": " + e.Err.Error()
}

func (e *StuckError) Unwrap() error { return e.Err }

// Run makes things go wrong until the time is over, then puts everything right and
// returns what happened, also with an error.
func (s Storm) Run(ctx context.Context, lasts time.Duration) ([]history.Fault, error) {
	var all []history.Fault
	for i, end := 0, s.Since()+lasts; ; i++ {
		p := s.plan(i)
		if s.Since()+p.quiet+shortest > end {
			return all, wait(ctx, end-s.Since())
		}
		if err := wait(ctx, p.quiet); err != nil {
			return all, err
		}
		faults, err := s.stroke(ctx, p, end)
		all = append(all, faults...)
		if err != nil {
			return all, err
		}
	}
}

// plan is what a stroke will be (S4).
type plan struct {
	kinds []Kind
	// quiet is before it, between the time from its first hurt to its second, lasts
	// the time from its last hurt to the first that is healed.
	quiet, between, lasts time.Duration
	// crossed: the first that hurts is the first to be healed.
	crossed bool
	// random is for what the kinds choose.
	random *rand.Rand
}

func (s Storm) plan(i int) plan {
	// Each round has an order of its own.
	round := rand.New(rand.NewPCG(s.Seed, uint64(i/len(s.Kinds))<<1)).Perm(len(s.Kinds))
	random := rand.New(rand.NewPCG(s.Seed, uint64(i)<<1|1))
	first := s.Kinds[round[i%len(s.Kinds)]]
	p := plan{
		kinds: []Kind{first}, random: random,
		quiet:   calm + time.Duration(random.Int64N(int64(calm))),
		between: time.Duration(random.Int64N(int64(brief))),
		lasts:   shortest + time.Duration(random.Int64N(int64(brief-shortest))),
		crossed: random.IntN(2) == 0,
	}
	longest := s.Longest
	if longest == 0 {
		longest = LongestDefault
	}
	if random.IntN(4) == 0 && longest > brief {
		p.lasts = brief + time.Duration(random.Int64N(int64(longest-brief)))
	}
	p.lasts = min(p.lasts, longest)
	if second, ok := s.beside(first, random); ok && random.IntN(3) == 0 {
		p.kinds = append(p.kinds, second)
	}
	return p
}

// beside draws a kind that may hurt at the same time (S1, S2).
func (s Storm) beside(first Kind, random *rand.Rand) (Kind, bool) {
	var fit []Kind
	for _, k := range s.Kinds {
		if k.Touches != first.Touches && (k.Loses == Nothing || first.Loses == Nothing) {
			fit = append(fit, k)
		}
	}
	if len(fit) == 0 {
		return Kind{}, false
	}
	return fit[random.IntN(len(fit))], true
}

// stroke hurts, waits, heals, and waits until all nodes are ready.
func (s Storm) stroke(ctx context.Context, p plan, end time.Duration) (faults []history.Fault, err error) {
	if err := s.died(); err != nil {
		return nil, stuck(ctx, nil, err)
	}
	for _, k := range p.kinds {
		if k.Loses == Disk {
			if err := s.Agree(ctx); err != nil {
				return nil, stuck(ctx, nil, fmt.Errorf("before the loss of a disk: %w", err))
			}
		}
	}
	target := s.Target
	target.Random = p.random
	hurts := make([]Nemesis, 0, len(p.kinds))
	for i, k := range p.kinds {
		if i > 0 {
			err = wait(ctx, min(p.between, end-s.Since()))
		}
		if err != nil || i > 0 && s.Since()+shortest > end {
			break
		}
		n := k.New(target)
		hurts = append(hurts, n)
		what, hurt := n.Hurt(ctx)
		faults = append(faults, history.Fault{Kind: k.Name, What: what, Begin: s.Since()})
		if hurt != nil {
			err = fmt.Errorf("nemesis %s: %s: %w", k.Name, what, hurt)
			break
		}
		s.note(faults[i])
	}
	if err == nil {
		err = wait(ctx, min(p.lasts, end-s.Since()))
	}
	return faults, errors.Join(err, s.heal(ctx, p, hurts, faults))
}

// heal ends a stroke, even if the run is to end now (S5).
func (s Storm) heal(ctx context.Context, p plan, hurts []Nemesis, faults []history.Fault) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healMax)
	defer cancel()
	var errs []error
	for i := range hurts {
		if !p.crossed {
			i = len(hurts) - 1 - i
		}
		if err := hurts[i].Heal(ctx); err != nil {
			errs = append(errs, fmt.Errorf("nemesis %s is not healed: %w", p.kinds[i].Name, err))
		}
		faults[i].End = s.Since()
		s.note(faults[i])
	}
	// Ready would start it again, and nobody would hear of it.
	if err := s.died(); err != nil {
		return stuck(context.Background(), faults, err)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if err := s.Ready(ctx); err != nil {
		return stuck(context.Background(), faults, err)
	}
	for i := range faults {
		faults[i].Ready = s.Since()
		s.note(faults[i])
	}
	return nil
}

// stuck is why a cluster has not come back, unless somebody has given up waiting.
func stuck(ctx context.Context, after []history.Fault, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return &StuckError{After: after, Err: err}
}

func (s Storm) note(f history.Fault) {
	if s.Note != nil {
		s.Note(f)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
