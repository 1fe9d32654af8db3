package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/core"
	views "github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/ring"
)

// fakeChanges changes the layout of a cluster in which n3 and n4 cannot be reached. A
// change that was committed goes on by itself: every question about it finds it further,
// and the sixth finds it settled.
type fakeChanges struct {
	course  *ring.Course
	staging ring.Staging
	// started are nodes that own nothing yet.
	started []string
	// on its way, and how many questions about it there were.
	next    *ring.Decision
	asked   int
	history []kindred.PastChange
	// meanwhile happens between a plan and its commit; a change that hangs gets no
	// further; a rival is settled in the place of what was committed; mute is why
	// nobody says anything about changes.
	meanwhile func()
	hangs     bool
	// stuck: n2 lost its disk while a change goes on, which can never end without a loss.
	stuck bool
	rival string
	mute  error
}

func newFakeChanges(layout *ring.Layout) fakeChanges {
	return fakeChanges{course: ring.NewCourse("n1", ring.First(layout))}
}

func (f *fakeChanges) Changes(_ context.Context, node string) (kindred.Changes, error) {
	if f.mute != nil {
		return kindred.Changes{}, f.mute
	}
	if node == "n3" || node == "n4" {
		return kindred.Changes{}, context.DeadlineExceeded
	}
	c := kindred.Changes{Node: node, History: f.history}
	taker := f.course.Tip()
	if f.next != nil {
		taker = f.next
	}
	for _, s := range f.staging.Pending(taker) {
		c.Staged = append(c.Staged, kindred.NodeChange{Node: s.Name, Intent: kindred.Intent(s.Intent.String()), Zone: s.Zone, Capacity: s.Capacity})
	}
	tip := f.course.Tip().Version().String()
	c.Progress = kindred.LayoutProgress{Tip: tip, Base: tip, Settled: f.next == nil}
	if f.next == nil {
		return c, nil
	}
	if f.rival != "" && f.asked > 0 {
		c.Progress = kindred.LayoutProgress{Tip: f.rival, Base: f.rival, Settled: true}
		return c, nil
	}
	if node == "n1" && !f.hangs {
		f.asked++
	}
	next := f.next.Version().String()
	switch {
	case f.asked <= 3:
		c.Progress.Next, c.Progress.Waits = next, []kindred.NodeFailure{{Node: "n3", Reason: "is not known to hold layout " + next}}
	case f.asked <= 5:
		c.Progress.Tip = next
		for _, n := range f.next.Layout().Nodes() {
			c.Progress.Nodes = append(c.Progress.Nodes, kindred.NodeProgress{Node: n.Name, Holds: true, Step: kindred.StepBoth, Complete: n.Name != "n2"})
		}
		for _, n := range f.course.Tip().Layout().Nodes() {
			if _, stays := f.next.Layout().Node(n.Name); !stays {
				c.Progress.Nodes = append(c.Progress.Nodes, kindred.NodeProgress{Node: n.Name, Holds: true, Step: kindred.StepBoth})
			}
		}
		c.Progress.Waits = []kindred.NodeFailure{{Node: "n2", Reason: "does not have all yet that it is to own"}}
		if f.stuck && !f.next.Loss() {
			f.asked = 4
			waits := kindred.IncompleteCopies{Node: node, Partitions: []int{1, 2, 5, 6, 7}, Waits: []string{"n2"}, Reason: "has not heard yet what they have"}
			if node == "n2" {
				waits = kindred.IncompleteCopies{Node: node, Partitions: []int{1, 2}, Hopeless: true, Reason: "may have lost writes when it went down"}
			}
			c.Progress.Incomplete = []kindred.IncompleteCopies{waits}
		}
		c.Progress.Transfer = kindred.Transfer{Copies: 4, Complete: 1, Bytes: 3 << 20, Rate: 1 << 20, Left: 9 * time.Second}
	default:
		f.course, f.next = ring.NewCourse("n1", f.next), nil
		c.Progress = kindred.LayoutProgress{Tip: next, Base: next, Settled: true}
		f.history[0].Outcome, f.history[0].Ended = "settled", f.history[0].Committed.Add(95*time.Second)
	}
	return c, nil
}

func (f *fakeChanges) Stage(ctx context.Context, node string, changes ...kindred.NodeChange) (kindred.Changes, error) {
	if err := kindred.CheckChanges(changes); err != nil {
		return kindred.Changes{}, err
	}
	intents := map[kindred.Intent]ring.Intent{kindred.IntentOwn: ring.Own, kindred.IntentLeave: ring.Leave, kindred.IntentRemove: ring.Remove}
	for _, c := range changes {
		staging, err := f.staging.Stage(node, f.course.Tip(), ring.Node{Name: c.Node, Zone: c.Zone, Capacity: c.Capacity}, intents[c.Intent])
		if err != nil {
			return kindred.Changes{}, err
		}
		f.staging = staging
	}
	return f.Changes(ctx, node)
}

func (f *fakeChanges) ClearStaged(ctx context.Context, node string) (kindred.Changes, error) {
	f.staging = f.staging.Clear(node, f.course.Tip())
	return f.Changes(ctx, node)
}

func (f *fakeChanges) Plan(_ context.Context, node string) (kindred.LayoutPlan, error) {
	plan, d, err := f.plan(false)
	if err != nil {
		return kindred.LayoutPlan{}, err
	}
	return core.DescribePlan(node, plan, d, views.NodeChanges(plan.Takes), plan.Duration(ring.Rates{In: 1 << 20, Out: 1 << 20})), nil
}

func (f *fakeChanges) plan(loss bool) (*ring.Plan, *ring.Decision, error) {
	d, err := f.course.Propose(f.staging, loss)
	if err != nil {
		return nil, nil, &client.Error{Op: "plan", Err: kindred.Invalid("changes", "%v", err)}
	}
	return f.course.Plan(f.staging, d, ring.Situation{
		Bytes: func(ring.Partition) uint64 { return 5 << 20 }, Up: func(name string) bool { return name != "n3" && name != "n4" },
	}), d, nil
}

func (f *fakeChanges) Commit(ctx context.Context, node, version string, loss bool) (kindred.Changes, error) {
	if f.meanwhile != nil {
		f.meanwhile()
	}
	seen, d, err := f.plan(false)
	if err == nil && d.Version().String() != version {
		return kindred.Changes{}, &kindred.Error{Code: kindred.CodeUnsafe, Outcome: kindred.NotApplied, Message: fmt.Sprintf("the plan is %v by now", d.Version())}
	}
	if err == nil && loss {
		_, d, err = f.plan(true)
	}
	if err != nil {
		return kindred.Changes{}, err
	}
	f.history = append([]kindred.PastChange{{
		Version: d.Version().String(), From: d.Parent().String(), Changes: views.NodeChanges(seen.Takes), Outcome: "running", Loss: loss,
		Committed: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), Copies: seen.Copies, Bytes: seen.Bytes, Expected: seen.Duration(ring.Rates{In: 1 << 20, Out: 1 << 20}), Moved: seen.Bytes,
	}}, f.history...)
	f.next, f.asked = d, 0
	return f.Changes(ctx, node)
}
