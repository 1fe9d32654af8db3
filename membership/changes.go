package membership

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// StageError says why a change cannot be staged.
type StageError struct{ Name, Reason, Fix string }

func (e *StageError) Error() string {
	return fmt.Sprintf("nothing is staged for %s: %s: %s", e.Name, e.Reason, e.Fix)
}

// refuseChange says why nothing can be changed before there is a layout, or at a removed node.
func (v *View) refuseChange() error {
	switch {
	case v.rec == nil:
		return &ring.CommitError{Reason: v.cfg.Self.Name + " has no layout yet", Fix: "form the cluster first (kvcli cluster status)"}
	case v.rec.course.Removed() != nil:
		return &ring.CommitError{Reason: v.cfg.Self.Name + " was removed from the cluster", Fix: "ask a member"}
	}
	return nil
}

// Stage notes what is to become of a node with the next commit, here or at any other node.
// Zone and capacity count with ring.Own only; ring.Keep takes back what was staged for the
// node.
//
// Errors: *[StageError], *ring.CommitError, *ring.LimitError, *ring.NodeError.
func (v *View) Stage(now time.Time, n ring.Node, intent ring.Intent) (Effects, error) {
	return v.StageAll(now, []ring.Staged{{Node: n, Intent: intent}})
}

// StageAll stages several changes, or none if one of them is refused.
//
// Errors: those of Stage.
func (v *View) StageAll(now time.Time, changes []ring.Staged) (Effects, error) {
	v.now = now
	if err := v.refuseChange(); err != nil {
		return Effects{}, err
	}
	staging := v.rec.staging
	for _, c := range changes {
		if err := v.refuseStage(c.Name, c.Intent); err != nil {
			return Effects{}, err
		}
		next, err := staging.Stage(v.cfg.Self.Name, v.rec.course.Tip(), c.Node, c.Intent)
		if err != nil {
			return Effects{}, err
		}
		staging = next
	}
	v.rec.staging, v.unsaved, v.voiced = staging, true, true
	return v.settle(), nil
}

// refuseStage finds what makes no sense, as far as it can be known now. A plan looks again.
func (v *View) refuseStage(name string, intent ring.Intent) error {
	_, member := v.doc.layout.Node(name)
	m := v.members[name]
	known := name == v.cfg.Self.Name || m != nil && (m.gossip == alive || m.linked)
	refuse := func(reason, fix string) error { return &StageError{Name: name, Reason: reason, Fix: fix} }
	switch {
	case intent == ring.Keep:
		if !slices.ContainsFunc(v.rec.staging.Pending(v.rec.course.Tip()), func(e ring.Staged) bool { return e.Name == name }) {
			return refuse("there is nothing to take back", "look at what is staged (kvcli cluster plan)")
		}
	case intent == ring.Own && m != nil && v.foreign(m):
		return refuse("it belongs to another cluster", "empty its data folder and start it again")
	case intent == ring.Own && !member && !known:
		return refuse("no such node is up", "start it first, with --join and the address of a member")
	case intent != ring.Own && !member && !v.needed[name]:
		return refuse("it is no member", "check the name (kvcli cluster members); to take back that it joins, clear")
	case intent == ring.Remove && v.Up(name):
		return refuse("it is up, and to remove it loses what only it has", "let it leave, or stop it for ever first")
	}
	return nil
}

// Clear takes back all that is staged.
//
// Error: *ring.CommitError.
func (v *View) Clear(now time.Time) (Effects, error) {
	v.now = now
	if err := v.refuseChange(); err != nil {
		return Effects{}, err
	}
	cleared := v.rec.staging.Clear(v.cfg.Self.Name, v.rec.course.Tip())
	if !cleared.Equal(v.rec.staging) {
		v.rec.staging, v.unsaved, v.voiced = cleared, true, true
	}
	return v.settle(), nil
}

// plannedChange is what a plan has predicted.
type plannedChange struct {
	version  ring.Version
	bytes    uint64
	duration time.Duration
}

// Plan says what a commit would do now. Bytes is what one copy of a partition holds,
// about; nil predicts no bytes. Loss says that the operator accepts what may be lost. The
// decision names the plan for Commit.
//
// Errors: *ring.CommitError, *ring.LimitError, *ring.NodeError.
func (v *View) Plan(now time.Time, loss bool, bytes func(ring.Partition) uint64) (*ring.Plan, *ring.Decision, error) {
	v.now = now
	plan, d, err := v.plan(bytes, loss)
	if err == nil && bytes != nil {
		v.planned = plannedChange{version: d.Version(), bytes: plan.Bytes, duration: v.Expect(plan)}
	}
	return plan, d, err
}

// SetRates says what a change takes as far as this node can tell: the usual rates, which
// count as long as no change has shown others, and one that no copy is sent faster than,
// zero for none.
func (v *View) SetRates(usual ring.Rates, most uint64) { v.cfg.Rates, v.mostRate = usual, most }

// Expect predicts how long a plan takes, zero if nobody can tell.
func (v *View) Expect(p *ring.Plan) time.Duration { return p.Duration(v.rates()) }

func (v *View) rates() ring.Rates {
	if v.rec == nil {
		return v.cfg.Rates
	}
	rates := v.rec.history.rates(v.cfg.Rates)
	if v.mostRate > 0 {
		rates.In, rates.Out = min(rates.In, v.mostRate), min(rates.Out, v.mostRate)
	}
	return rates
}

func (v *View) plan(bytes func(ring.Partition) uint64, loss bool) (*ring.Plan, *ring.Decision, error) {
	if err := v.refuseChange(); err != nil {
		return nil, nil, err
	}
	d, err := v.rec.course.Propose(v.rec.staging, loss)
	if err != nil {
		return nil, nil, err
	}
	if bytes == nil {
		bytes = func(ring.Partition) uint64 { return 0 }
	}
	return v.rec.course.Plan(v.rec.staging, d, ring.Situation{Bytes: bytes, Up: v.Up}), d, nil
}

// Commit proposes to all what is staged. Version is that of the plan which the operator
// has seen, with that loss or with none: if it would be another one by now, it is refused.
//
// Errors: *ring.CommitError, *ring.LimitError, *ring.NodeError.
func (v *View) Commit(now time.Time, version ring.Version, loss bool) (Effects, error) {
	v.now = now
	plan, d, err := v.plan(nil, loss)
	if err != nil {
		return Effects{}, err
	}
	lossless := d
	if loss {
		if _, lossless, err = v.plan(nil, false); err != nil {
			return Effects{}, err
		}
	}
	if d.Version() != version && lossless.Version() != version {
		return Effects{}, &ring.CommitError{Reason: fmt.Sprintf("the plan was %v, and would be %v by now", version, d.Version()), Fix: "look at the plan again"}
	}
	if len(plan.Refusals) > 0 {
		var why []string
		for _, p := range plan.Refusals {
			why = append(why, p.Text)
		}
		return Effects{}, &ring.CommitError{Reason: strings.Join(why, "; "), Fix: "stage something else"}
	}
	if err := v.rec.course.Commit(d); err != nil {
		return Effects{}, err
	}
	v.unsaved, v.voiced = true, true
	p := past{
		version: d.Version(), from: d.Parent(), at: now.UnixMilli(), by: v.cfg.Self.Name,
		changes: NodeChanges(plan.Takes[:min(len(plan.Takes), ring.NodesMax)]), loss: loss, copies: uint64(plan.Copies),
	}
	if v.planned.version == version {
		p.bytes, p.duration = v.planned.bytes, v.planned.duration
	}
	v.rec.history = v.rec.history.with(p)
	v.note("layout %v was committed here: %s", p.version, p.words())
	return v.settle(), nil
}

// words says what was committed.
func (p past) words() string {
	var all []string
	for _, c := range p.changes {
		text := c.Node + ": " + string(c.Intent)
		if c.Intent == kindred.IntentOwn {
			text += fmt.Sprintf(" (zone %q, capacity %d)", c.Zone, c.Capacity)
		}
		all = append(all, text)
	}
	if p.loss {
		all = append(all, "what may be lost is accepted")
	}
	return strings.Join(all, "; ")
}

// Complete says that this node has all that was acknowledged before the tip of that
// version (R25).
func (v *View) Complete(now time.Time, tip ring.Version) Effects {
	v.now = now
	if v.rec != nil && v.rec.course.Tip().Version() == tip {
		file, _ := v.rec.course.File(v.rec.course.Tip().Version())
		if mark := file.Mark(v.cfg.Self.Name); !mark.Complete && mark.Step != 0 {
			v.rec.course.SetComplete()
			v.unsaved, v.voiced = true, true
		}
	}
	return v.settle()
}

// Report notes for the history how many bytes this node was sent for the layout of that
// version, and how long that took. Others are told, so that it is to be called rarely: at
// the end, or every minute.
func (v *View) Report(now time.Time, version ring.Version, bytes uint64, took time.Duration) Effects {
	v.now = now
	if v.rec != nil {
		if at, known := v.rec.history.find(version); known {
			p := v.rec.history[at]
			p.nodes = map[string]outcome{v.cfg.Self.Name: {bytes: bytes, took: uint64(max(0, took.Milliseconds()))}}
			if v.rec.remember(v.rec.history.with(p)) {
				v.unsaved, v.voiced = true, true
			}
		}
	}
	return v.settle()
}
