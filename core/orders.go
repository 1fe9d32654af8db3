package core

import (
	"errors"
	"fmt"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/membership"
	"github.com/kindredkv/kindred/ring"
)

// intents are those of package ring by the words of the public contract.
var intents = map[kindred.Intent]ring.Intent{
	kindred.IntentKeep: ring.Keep, kindred.IntentOwn: ring.Own, kindred.IntentLeave: ring.Leave, kindred.IntentRemove: ring.Remove,
}

// Order stages changes as an operator orders them: all of them, or nothing. None takes
// back all that is staged.
func (c *Control) Order(now time.Time, changes []kindred.NodeChange) *kindred.Error {
	if c.view.Layout() == nil {
		return NoLayout(c.node)
	}
	if len(changes) == 0 {
		return orderError(c.Clear(now))
	}
	staged := make([]ring.Staged, len(changes))
	for i, change := range changes {
		staged[i] = ring.Staged{Node: ring.Node{Name: change.Node, Zone: change.Zone, Capacity: change.Capacity}, Intent: intents[change.Intent]}
	}
	return orderError(c.StageAll(now, staged))
}

// DescribePlan says what a commit would do now, in the words of the public contract; see
// Plan.
func (c *Control) DescribePlan(now time.Time, bytes func(ring.Partition) uint64) (kindred.LayoutPlan, *kindred.Error) {
	if c.view.Layout() == nil {
		return kindred.LayoutPlan{}, NoLayout(c.node)
	}
	p, d, err := c.Plan(now, false, bytes)
	if err != nil {
		return kindred.LayoutPlan{}, orderError(err)
	}
	return DescribePlan(c.node, p, d, membership.NodeChanges(p.Takes), c.view.Expect(p)), nil
}

// CommitPlan commits the plan of a version in readable form.
func (c *Control) CommitPlan(now time.Time, version string, loss bool) *kindred.Error {
	if c.view.Layout() == nil {
		return NoLayout(c.node)
	}
	var v ring.Version
	if n, err := fmt.Sscanf(version, "%d-%x", &v.Counter, &v.Hash); n != 2 || err != nil || v.String() != version {
		return kindred.Invalid("version", "%q is not the version of a plan, such as 2-9f2c66d01e6a74b8: ask for the plan first", version)
	}
	return orderError(c.Commit(now, v, loss))
}

// orderError is why an order was refused. Nothing was done then.
func orderError(err error) *kindred.Error {
	var commit *ring.CommitError
	var stage *membership.StageError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &commit):
		return &kindred.Error{Code: kindred.CodeUnsafe, Outcome: kindred.NotApplied, Message: commit.Reason + ": " + commit.Fix}
	case errors.As(err, &stage):
		return kindred.Invalid("node", "%v", err)
	}
	return kindred.Invalid("changes", "%v", err)
}
