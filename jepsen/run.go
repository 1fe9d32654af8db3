package jepsen

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

const (
	// agreeMax is how long clients wait at most before a disk is taken.
	agreeMax = 60 * time.Second
	// bucketMax is how long all nodes may take to know a bucket.
	bucketMax = 60 * time.Second
	// finalMax bounds the final reads of a run.
	finalMax = 2 * time.Minute
)

// Run carries out a plan: clients work while faults happen, everything is healed,
// the cluster comes to rest, every key is read at every node, and what clients were
// told is judged. An end of ctx ends the faults early; the rest is done all the same.
// An error says that the run could not be made; a broken promise is no error, but the
// verdict of the report.
func Run(ctx context.Context, p Plan) (*report.Run, error) {
	status, err := p.Cluster.Status()
	if err != nil {
		return nil, err
	}
	if err := p.Check(len(status.Nodes)); err != nil {
		return nil, err
	}
	if err := Fit(p.Cluster, nil); err != nil {
		return nil, err
	}
	r := &run{Plan: p.complete(), nodes: status.Nodes, begin: time.Now()}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	err = r.make(ctx)
	return r.report, errors.Join(err, r.close())
}

// run is a plan that is being carried out.
type run struct {
	Plan
	nodes []local.Node
	begin time.Time

	doors   []Doorway
	final   *Nodes
	runners []*runner
	gate    sync.RWMutex

	mu     sync.Mutex // for what is noted while clients work
	faults []history.Fault
	held   []report.Span

	// caught is what nemeses have caught the store at, ended why the storm ended early.
	caught  []string
	ended   string
	samples []report.Sample
	report  *report.Run
}

func (r *run) since() time.Duration { return time.Since(r.begin) }

func (r *run) names() (names, addrs []string) {
	for _, n := range r.nodes {
		names, addrs = append(names, n.Name), append(addrs, n.Client)
	}
	return names, addrs
}

// open makes the buckets, the doors and the runners.
func (r *run) open(ctx context.Context) (err error) {
	names, addrs := r.names()
	if r.final, err = DialNodes(names, addrs, finalPatience); err != nil {
		return err
	}
	if r.doors, err = r.Doors(ctx, r.nodes); err != nil {
		return err
	}
	if len(r.doors) == 0 {
		return &PlanError{Field: "Doors", Problem: "no door leads to the cluster"}
	}
	for i, kind := range r.Workloads {
		one := &runner{
			kind: kind, clients: r.Clients, seed: r.Seed + uint64(i), doors: r.doorsFor(kind), final: r.final,
			config: workload.Config{Bucket: string(kind) + r.Suffix, Keys: r.Keys, Nodes: len(r.nodes), SetElements: SetElements},
			n:      r.N, r: r.R, w: r.W, pause: r.Pause, since: r.since, gate: &r.gate,
		}
		if err := r.createBucket(ctx, addrs, one.config.Bucket); err != nil {
			return err
		}
		r.runners = append(r.runners, one)
	}
	return nil
}

// doorsFor leaves to clients that turn to another node each time the doors that let
// them.
func (r *run) doorsFor(kind workload.Kind) []Doorway {
	if kind != workload.Sessions {
		return r.doors
	}
	if chosen := slices.DeleteFunc(slices.Clone(r.doors), func(d Doorway) bool { return !d.Chooses }); len(chosen) > 0 {
		return chosen
	}
	return []Doorway{{Name: "one node", Door: r.final, Chooses: true}}
}

// createBucket makes a bucket with the quorums of the plan that every node knows.
func (r *run) createBucket(ctx context.Context, addrs []string, bucket string) error {
	kv, err := client.Dial(ctx, addrs, client.WithTimeout(bucketMax))
	if err != nil {
		return err
	}
	defer kv.Close()
	changed, err := kv.CreateBucket(ctx, bucket, kindred.BucketOptions{
		N: r.N, R: kindred.Count(r.R), W: kindred.Count(r.W), Sloppy: kindred.SloppyOr(!r.Strict),
	})
	if err == nil && len(changed.Unheard) > 0 {
		err = fmt.Errorf("jepsen: %v do not know the bucket %s", changed.Unheard, bucket)
	}
	return err
}

func (r *run) close() error {
	if r.final != nil {
		r.final.Close()
	}
	var errs []error
	for _, d := range r.doors {
		if d.Close != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}

// make lets it all happen.
func (r *run) make(ctx context.Context) error {
	// Who interrupts ends the faults. Operations under way go on: a history in which
	// nobody was answered in the end proves nothing.
	working := context.WithoutCancel(ctx)
	r.begin = time.Now()
	sampling := r.sampling(working)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	errs := make([]error, len(r.runners))
	for i, one := range r.runners {
		clients.Go(func() { errs[i] = one.work(working, stop) })
	}
	failed := r.happen(ctx)
	var stuck *nemesis.StuckError
	switch {
	case caught(failed):
		r.caught = append(r.caught, failed.Error())
		failed = r.back(working)
	case failed != nil && !errors.As(failed, &stuck):
		r.ended = failed.Error()
		failed = r.back(working)
	}
	worked := r.since()
	close(stop)
	clients.Wait()
	if err := errors.Join(errs...); err != nil {
		sampling()
		return err
	}
	rest, failed := r.rest(working, failed)
	sampling()
	if failed != nil {
		return failed
	}
	if rest.Problem == "" {
		r.readFinally(working)
	}
	r.conclude(ctx, worked, rest)
	r.report.Homes = r.homes(working)
	return nil
}

// caught: some nemeses see for themselves that a promise is broken.
func caught(err error) bool {
	var believed *nemesis.BelievedError
	var twin *nemesis.TwinError
	return errors.As(err, &believed) || errors.As(err, &twin)
}

// back heals everything, after a storm that has ended early.
func (r *run) back(ctx context.Context) error {
	if err := r.Cluster.Heal(ctx); err != nil {
		return err
	}
	if err := r.ready(ctx); err != nil {
		return &nemesis.StuckError{Err: err}
	}
	return nil
}

// happen is what goes wrong, and right again.
func (r *run) happen(ctx context.Context) error {
	if r.Script != nil {
		if err := r.Script(ctx, Events{Begin: r.beginEvent, Agree: r.agree}); err != nil || len(r.Nemeses) == 0 {
			return interrupted(ctx, err)
		}
	}
	if len(r.Nemeses) == 0 {
		t := time.NewTimer(r.Time)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		return nil
	}
	names, _ := r.names()
	storm := nemesis.Storm{
		Kinds: r.Nemeses, Seed: r.Seed, Longest: r.Longest, Since: r.since, Ready: r.ready, Agree: r.agree, Note: r.note,
		Target: nemesis.Target{Cluster: r.Cluster, Nodes: names, Disks: r.disks(), Wire: r.Wire},
	}
	_, err := storm.Run(ctx, r.Time)
	return interrupted(ctx, err)
}

// interrupted: that somebody has had enough is no failure.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// ready waits until every node is.
func (r *run) ready(ctx context.Context) error {
	_, _, err := local.Start(ctx, local.Options{Dir: r.Cluster.Dir()})
	return err
}

// agree keeps all clients from working until the cluster has come to rest.
func (r *run) agree(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, agreeMax)
	defer cancel()
	begin := r.since()
	r.gate.Lock()
	defer r.gate.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held = append(r.held, report.Span{Begin: begin, End: r.since()})
	}()
	return Rest(ctx, r.nodes)
}

// note keeps a fault as it was last told of.
func (r *run) note(f history.Fault) {
	r.mu.Lock()
	same := func(o history.Fault) bool { return o.Kind == f.Kind && o.Begin == f.Begin }
	if i := slices.IndexFunc(r.faults, same); i >= 0 {
		r.faults[i] = f
	} else {
		r.faults = append(r.faults, f)
	}
	r.mu.Unlock()
	if r.Tell != nil {
		r.Tell(f)
	}
}

// beginEvent is Events.Begin.
func (r *run) beginEvent(kind, what string) func() {
	f := history.Fault{Kind: kind, What: what, Begin: r.since()}
	r.note(f)
	return func() {
		f.End = r.since()
		f.Ready = f.End
		r.note(f)
	}
}

// rest waits until the cluster has come to rest. That it did not, or did not come
// back before, is part of the report; any other failure is one of the run.
func (r *run) rest(ctx context.Context, failed error) (report.Rest, error) {
	rest := report.Rest{Begin: r.since(), Max: r.RestMax}
	var stuck *nemesis.StuckError
	switch {
	case errors.As(failed, &stuck):
		rest.Problem = stuck.Error()
		return rest, nil
	case failed != nil:
		return rest, failed
	}
	ctx, cancel := context.WithTimeout(ctx, r.RestMax)
	defer cancel()
	if err := Rest(ctx, r.nodes); err != nil {
		rest.Problem = fmt.Sprintf("not at rest after %v: %v", r.RestMax, err)
	}
	rest.Took = r.since() - rest.Begin
	return rest, nil
}

// readFinally reads everything at every node, all workloads side by side.
func (r *run) readFinally(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, finalMax)
	defer cancel()
	var reads sync.WaitGroup
	for _, one := range r.runners {
		reads.Go(func() { one.finish(ctx) })
	}
	reads.Wait()
}

// conclude judges, and puts everything together.
func (r *run) conclude(ctx context.Context, worked time.Duration, rest report.Rest) {
	names, _ := r.names()
	r.report = &report.Run{
		Began: r.begin, Seed: r.Seed, Asked: r.Time, Worked: worked, Ended: r.since(), Interrupted: ctx.Err() != nil,
		Nodes: names, N: r.N, R: r.R, W: r.W, Strict: r.Strict, Pause: r.Pause, Nemeses: r.nemeses(), OverBudget: r.OverBudget,
		Faults: r.faults, Held: r.held, Caught: r.caught, EndedBy: r.ended, Samples: r.samples, Rest: rest,
	}
	slices.SortFunc(r.report.Faults, func(a, b history.Fault) int { return cmp.Compare(a.Begin, b.Begin) })
	for _, one := range r.runners {
		part := report.Part{Workload: string(one.kind), Bucket: one.config.Bucket, History: one.history(), Promised: r.promised()}
		for i := range one.clients {
			part.Doors = append(part.Doors, one.doors[i%len(one.doors)].Name)
		}
		part.Report = *checker.Check(&part.History, checker.Options{
			Properties: part.Promised, DisksKept: r.Script == nil && r.loses() == nemesis.Nothing,
		})
		r.report.Parts = append(r.report.Parts, part)
		if one.tally().Operations >= OpsMax {
			r.report.Notes = append(r.report.Notes, fmt.Sprintf("%s ended after %d operations, which is what a run keeps", one.kind, OpsMax))
		}
	}
}

// promised are the properties that these quorums promise.
func (r *run) promised() []checker.Property {
	all := checker.All()
	if r.R+r.W <= r.N {
		all = slices.DeleteFunc(all, func(p checker.Property) bool { return p == checker.Fresh || p == checker.Sessions })
	}
	return all
}
