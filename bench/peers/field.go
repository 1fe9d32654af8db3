package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred/bench/driver"
	"github.com/kindredkv/kindred/bench/peers/contest"
	"github.com/kindredkv/kindred/bench/peers/loop"
	"github.com/kindredkv/kindred/bench/peers/table"
)

const (
	allPeers = "redis nats etcd olric cassandra"
	// warmup comes before every measurement: connections wake, caches fill.
	warmup = 200 * time.Millisecond
	// watched is how long the idle clusters are looked at.
	watched = 3 * time.Second
	// calmCores is what all contestants together may take before another one is asked,
	// and calmMax how long that is waited for: what one has left to do is not to be at the
	// expense of the next. The floor of the engine writes a hundred megabytes in its turn.
	calmCores, calmLook, calmMax = 0.3, 100 * time.Millisecond, 4 * time.Second
)

// checkPeers refuses names that nobody has.
func checkPeers(names []string) error {
	for _, n := range names {
		if !slices.Contains(strings.Fields(allPeers), n) {
			return fmt.Errorf("%q is not a peer: use some of %s", n, allPeers)
		}
	}
	return nil
}

// field is everybody who takes part.
type field struct {
	bin, dir    string
	progress    io.Writer
	contestants []*contest.Contestant
	missing     []table.Missing
}

func (f *field) close() {
	for _, c := range slices.Backward(f.contestants) {
		c.Close()
	}
}

// start starts Kindred, the floors, and the peers that are wanted.
func (f *field) start(ctx context.Context, peers []string) error {
	kvnode := filepath.Join(f.bin, "kvnode")
	for _, start := range []func() (*contest.Contestant, error){
		func() (*contest.Contestant, error) { return contest.Echo(ctx, f.dir) },
		func() (*contest.Contestant, error) { return contest.Pebble(ctx, f.dir) },
		func() (*contest.Contestant, error) { return contest.Kindred(ctx, f.dir, kvnode, false) },
		func() (*contest.Contestant, error) { return contest.Kindred(ctx, f.dir, kvnode, true) },
	} {
		if err := f.add(start()); err != nil {
			return err
		}
	}
	for _, name := range strings.Fields(allPeers) {
		if !slices.Contains(peers, name) {
			f.missing = append(f.missing, table.Missing{Name: name, Why: "it was not asked to take part"})
			continue
		}
		if err := f.startPeer(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// startPeer starts one peer. One that cannot run is missing, which the report says;
// it does not end the run.
func (f *field) startPeer(ctx context.Context, name string) error {
	err := f.tryPeer(ctx, name)
	if err == nil || ctx.Err() != nil {
		return err
	}
	why := err.Error()
	if missing := (*contest.MissingError)(nil); errors.As(err, &missing) {
		why = missing.Why
	}
	f.missing = append(f.missing, table.Missing{Name: name, Why: why})
	fmt.Fprintf(f.progress, "%s is missing: %s\n", name, why)
	return nil
}

func (f *field) tryPeer(ctx context.Context, name string) error {
	switch name {
	case "redis":
		if err := f.add(contest.Redis(ctx, f.dir, false)); err != nil {
			return err
		}
		return f.add(contest.Redis(ctx, f.dir, true))
	case "nats":
		return f.addBuilt(ctx, name, "nats-server", contest.Nats)
	case "etcd":
		return f.addBuilt(ctx, name, "etcd", contest.Etcd)
	case "olric":
		return &contest.MissingError{Name: name, Why: "the module proxy did not give its module out, so that nothing here builds or asks it"}
	}
	return &contest.MissingError{Name: name, Why: "it is a distribution of Java programs (cassandra.apache.org/download, Java 11 or 17), which nothing here installs or asks"}
}

// addBuilt starts a peer that is built from the module proxy.
func (f *field) addBuilt(ctx context.Context, name, program string, start func(ctx context.Context, dir, program string) (*contest.Contestant, error)) error {
	path := filepath.Join(f.bin, program)
	if _, err := exec.LookPath(path); err != nil {
		return &contest.MissingError{Name: name, Why: fmt.Sprintf("%s is not there (%v): make bench builds it", path, err)}
	}
	return f.add(start(ctx, f.dir, path))
}

// add takes a contestant in. One that failed half way is ended at once.
func (f *field) add(c *contest.Contestant, err error) error {
	if err != nil {
		if c != nil {
			c.Close()
		}
		return err
	}
	f.contestants = append(f.contestants, c)
	fmt.Fprintf(f.progress, "%s runs\n", c.Name)
	return nil
}

// rows are all questions.
func (f *field) rows() (rows []table.Row) {
	for _, c := range f.contestants {
		for _, q := range c.Questions {
			rows = append(rows, table.Row{Question: q.Name, Quality: q.Quality})
		}
	}
	return rows
}

// idle is how much of a core each takes while nobody asks it: that is not charged to
// the others, but it is time that they do not have.
func (f *field) idle(ctx context.Context) (facts []table.Fact) {
	before := make([]float64, len(f.contestants))
	for i, c := range f.contestants {
		before[i], _ = used(ctx, c.PIDs)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(watched):
	}
	for i, c := range f.contestants {
		after, err := used(ctx, c.PIDs)
		says := fmt.Sprintf("%.1f %% of a core", 100*(after-before[i])/watched.Seconds())
		if err != nil {
			says = err.Error()
		}
		facts = append(facts, table.Fact{Name: c.Name, Says: says})
	}
	return facts
}

// turn is a question and who is asked.
type turn struct {
	*contest.Contestant
	*contest.Question
}

// turns are all questions in the order of a round: closed loops, then what rests on
// them, then what needs something before it. Contestants take turns within each kind of question.
func (f *field) turns() (all []turn) {
	kinds := []func(q *contest.Question) bool{
		func(q *contest.Question) bool { return q.HalfOf == "" && q.Before == nil && q.Callers > 1 },
		func(q *contest.Question) bool { return q.HalfOf == "" && q.Before == nil && q.Callers == 1 },
		func(q *contest.Question) bool { return q.HalfOf != "" },
		func(q *contest.Question) bool { return q.Before != nil },
	}
	for _, is := range kinds {
		for _, c := range f.contestants {
			for i := range c.Questions {
				if is(&c.Questions[i]) {
					all = append(all, turn{c, &c.Questions[i]})
				}
			}
		}
	}
	return all
}

// measure asks every question once in each round.
func (f *field) measure(ctx context.Context, rounds int, each time.Duration) (samples []table.Sample) {
	turns := f.turns()
	for round := 1; round <= rounds; round++ {
		peaks := map[string]float64{}
		for i, t := range turns {
			if i == 0 || turns[i-1].Contestant != t.Contestant {
				f.calm(ctx)
			}
			if ctx.Err() != nil {
				return samples
			}
			s := t.sample(ctx, round, each, peaks[t.HalfOf]/2)
			peaks[t.Question.Name] = s.Throughput
			samples = append(samples, s)
			fmt.Fprintf(f.progress, "%d/%d %-28s %7.1f CPU µs %8.0f per s  p99 %.2f ms %s\n", round, rounds, s.Question, s.CPU, s.Throughput, s.P99, s.Failure)
		}
	}
	return samples
}

// calm waits until the contestants have done what they were left with.
func (f *field) calm(ctx context.Context) {
	var pids []int
	for _, c := range f.contestants {
		pids = append(pids, c.PIDs...)
	}
	for began := time.Now(); time.Since(began) < calmMax; {
		before, err := used(ctx, pids)
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(calmLook):
		}
		if after, err := used(ctx, pids); err != nil || after-before < calmCores*calmLook.Seconds() {
			return
		}
	}
}

// sample asks a question for a while.
func (t turn) sample(ctx context.Context, round int, each time.Duration, rate float64) table.Sample {
	s := table.Sample{Question: t.Question.Name, Round: round}
	if err := t.ask(ctx, &s, loop.Load{Callers: t.Callers, Time: each, Rate: rate, Seed: uint64(round)}); err != nil {
		s.Failure = err.Error()
	}
	return s
}

func (t turn) ask(ctx context.Context, s *table.Sample, l loop.Load) (err error) {
	if t.HalfOf != "" && l.Rate == 0 {
		return fmt.Errorf("there is no throughput of %s to take half of", t.HalfOf)
	}
	warm := l
	warm.Time = warmup
	if _, err := t.Ask(ctx, warm); err != nil {
		return err
	}
	if t.Before != nil {
		if err := t.Before(ctx); err != nil {
			return err
		}
	}
	if t.After != nil {
		defer func() { err = errors.Join(err, t.After(context.WithoutCancel(ctx))) }()
	}
	before, err := used(ctx, t.PIDs)
	if err != nil {
		return err
	}
	r, err := t.Ask(ctx, l)
	if err != nil {
		return err
	}
	after, err := used(ctx, t.PIDs)
	if err != nil {
		return err
	}
	fill(s, &r, after-before)
	return nil
}

func fill(s *table.Sample, r *loop.Result, cpuSeconds float64) {
	s.Operations, s.Failed, s.NotStarted, s.Failure = r.Operations, r.Failed, r.NotStarted, r.Failure
	s.Seconds = r.Took.Seconds()
	s.P50, s.P99, s.P999 = ms(r.P50), ms(r.P99), ms(r.P999)
	if r.Operations > 0 {
		s.Throughput = float64(r.Operations) / s.Seconds
		s.CPU = cpuSeconds * 1e6 / float64(r.Operations)
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// used is the processor time of processes and of this program together.
func used(ctx context.Context, pids []int) (seconds float64, err error) {
	processes := []driver.Process{driver.Own("bench")}
	for _, pid := range pids {
		processes = append(processes, driver.ByPID("", pid))
	}
	for _, p := range processes {
		r, err := p.Read(ctx)
		if err != nil {
			return 0, err
		}
		seconds += r.Seconds
	}
	return seconds, nil
}
