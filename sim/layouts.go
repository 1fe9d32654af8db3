package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
)

// Layouts is what operators do to the layout while everything else goes on (I8).
type Layouts struct {
	// Change is the mean time between two changes, zero for none at all. Spares are the
	// nodes that no layout has in the beginning.
	Change time.Duration
	Spares int
	// Rival of the changes are committed on two sides of a cut, Again of them are followed
	// by another one before they can have settled, and after Harm of them some owners,
	// old or new, lose power or their disks. Return of the nodes that were removed come
	// back, though nobody expected it.
	Rival, Again, Harm, Return float64
	// Back of the changes bring a node back that was removed or has left, with what is left
	// on its disk. After Torn of those that is interrupted.
	Back, Torn float64
	// Soon is how long after a change all that is about.
	Soon time.Duration
}

// WithLayouts is the configuration of a seed in which the layout changes all the time.
func WithLayouts(seed uint64, c Config) Config {
	r := rand.New(rand.NewPCG(seed, 0x1A40))
	l := &c.Layouts
	l.Change, l.Soon = span(r, time.Second, 5*time.Second), span(r, 50*time.Millisecond, 2*time.Second)
	if c.Rotate > 0 { // a long storm
		l.Change, l.Soon = span(r, 3*time.Second, 30*time.Second), span(r, 50*time.Millisecond, 10*time.Second)
	}
	l.Spares = 1 + r.IntN(3)
	l.Rival, l.Again, l.Harm, l.Return = often(r, 0.5), often(r, 0.6), often(r, 0.8), often(r, 1)
	if l.Torn = often(r, 1); r.IntN(3) > 0 {
		l.Back, l.Return = 0.3+0.7*r.Float64(), 0.5*l.Return+0.5
		l.Change /= 2
	}
	return c
}

// everyNode is how many there are, members of the first layout or not.
func (c *Config) everyNode() int { return c.Nodes + c.Layouts.Spares }

// decided is a change that some operator has committed, and whom it says to be gone.
type decided struct {
	version, parent ring.Version
	gone            nodes
}

// startChanges begins the chain of changes.
func (r *run) startChanges() { r.chain(30, r.cfg.Layouts.Change, r.unless(IncidentChange, r.change)) }

// change is one change, or two of them that know nothing of one another.
func (r *run) change(draw chance) {
	l := &r.cfg.Layouts
	if draw.with(1).happens(l.Rival) {
		r.rivals(draw.with(2))
	} else {
		r.changeAt(draw.with(3), nil)
	}
	if draw.with(4).happens(l.Again) {
		r.agenda.after(draw.with(5).about(l.Soon), func() {
			if !r.calm {
				r.changeAt(draw.with(6), nil)
			}
		})
	}
	for i := range uint64(3) {
		if !draw.with(7, i).happens(l.Harm) {
			continue
		}
		r.agenda.after(draw.with(8, i).about(l.Soon), func() { r.harm(draw.with(9, i)) })
	}
}

// rivals cuts the cluster into two sides, and has each commit something.
func (r *run) rivals(draw chance) {
	c, left := cut{}, make([]bool, len(r.nodes))
	for i := range r.nodes {
		left[i] = draw.with(1, uint64(i)).happens(0.5)
	}
	for i := range r.nodes {
		for j := range r.nodes {
			c[[2]int{i, j}] = left[i] != left[j]
		}
	}
	r.broke(FaultRivals)
	r.cutOff(c, "rivals")
	r.agenda.after(draw.with(2).about(r.cfg.Fault.CutFor+r.cfg.Layouts.Soon), func() { r.heal(c) })
	for side := range uint64(2) {
		r.agenda.after(draw.with(3, side).about(r.cfg.Layouts.Soon/2), func() {
			if !r.calm {
				r.changeAt(draw.with(4, side), func(n *node) bool { return left[n.index] == (side == 0) })
			}
		})
	}
}

// harm is what happens to an owner, old or new, while owners change.
func (r *run) harm(draw chance) {
	n := r.nodes[draw.with(1).below(len(r.nodes))]
	if r.calm || !n.up || n.phase == nil || n.phase.Settled() || !r.occurs(IncidentHarm) {
		return
	}
	r.hits.add(HarmedWhileMoving)
	if draw.with(2).happens(0.3) && r.mayLose(n) && !n.voting {
		r.wipe(n, draw.with(3))
		return
	}
	r.kill(n, float64(draw.with(4).below(3))/2, draw.with(5))
}

// changeAt draws a change and an operator among those nodes, and does it.
func (r *run) changeAt(draw chance, among func(*node) bool) {
	kinds := []func(chance) *task{r.joining, r.leaving, r.replacing, r.reshaping, r.removing, r.clearing}
	t := (*task)(nil)
	if draw.with(4).happens(r.cfg.Layouts.Back / 2) {
		if t = r.returning(draw.with(5)); t == nil {
			t = r.removing(draw.with(6))
		}
	}
	if t == nil {
		t = kinds[draw.with(1).below(len(kinds))](draw.with(2))
	}
	r.attempt(t, draw.with(3), among)
}

// attempt has an operator among those nodes do it.
func (r *run) attempt(t *task, draw chance, among func(*node) bool) {
	if t != nil {
		t.run, t.draw, t.among = r, draw, among
		t.try()
	}
}

// task is what one operator wants, and tries again and again for a while.
type task struct {
	run   *run
	draw  chance
	among func(*node) bool
	fault Fault
	// stage stages it at a node.
	stage func(now time.Time, c *core.Control) error
	// clear takes back what is staged, instead of a commit.
	clear bool
	tries int
	// patient: it does not wait while the layout is left alone, and is tried for longer.
	patient bool
	// inCalm: it is for the end, when nothing else goes wrong.
	inCalm bool
	// over is called when it was committed, or not.
	over func(committed bool)
}

// triesMost is how often an operator tries what is refused.
const triesMost = 8

// try does it at some node, or later.
func (t *task) try() {
	r := t.run
	n := t.operator()
	switch {
	case n == nil || r.calm && !t.inCalm || t.tries == triesMost && !t.patient, t.tries == 4*triesMost:
		t.end(false)
		return
	case !t.patient && r.agenda.now < r.quietUntil:
		r.agenda.after(t.draw.with(98).about(returnWithin/4), t.try)
		return
	}
	t.tries++
	n.act(func() {
		n.helm.put(func(now time.Time, c *core.Control) {
			err := t.commit(now, n, c)
			if err == nil {
				t.end(true)
				return
			}
			r.hits.add(ChangeRefused)
			r.trace.say(n.name, "refused", "%v", err)
			r.agenda.after(t.draw.with(uint64(t.tries)).about(time.Second), t.try)
		})
	})
}

func (t *task) end(committed bool) {
	if t.over != nil {
		over := t.over
		t.over = nil
		over(committed)
	}
}

// operator is a node that is asked to commit, nil if there is none.
func (t *task) operator() *node {
	r := t.run
	first := t.draw.with(99, uint64(t.tries)).below(len(r.nodes))
	for i := range r.nodes {
		n := r.nodes[(first+i)%len(r.nodes)]
		if n.up && !n.paused && n.phase != nil && !n.phase.Removed() && (t.among == nil || t.among(n)) {
			return n
		}
	}
	return nil
}

// commit stages the change and commits it.
func (t *task) commit(now time.Time, n *node, c *core.Control) error {
	r := t.run
	if err := t.stage(now, c); err != nil {
		return err
	}
	if t.clear {
		r.hits.add(StagingCleared)
		return c.Clear(now)
	}
	plan, d, err := c.Plan(now, false, nil)
	if err != nil {
		return err
	}
	if len(plan.Refusals) > 0 {
		return errors.New(plan.Refusals[0].Text)
	}
	if owning(d.Layout()) < r.cfg.Replicas {
		return errors.Join(errors.New("clients ask for more homes than that"), c.Clear(now))
	}
	if err := c.Commit(now, d.Version(), false); err != nil {
		return err
	}
	r.broke(t.fault)
	r.hits.add(ChangeCommitted)
	r.trace.say(n.name, "commit", "%v after %v: %v, gone %v", d.Version(), d.Parent(), d.Layout().Nodes(), d.Gone())
	r.decide(d)
	return nil
}

// decide notes what was committed, and who is gone by it.
func (r *run) decide(d *ring.Decision) {
	gone := r.setOf(d.Gone())
	r.decisions = append(r.decisions, decided{d.Version(), d.Parent(), gone})
	if again := gone & r.back; again != 0 {
		r.broke(FaultRemoveAgain)
	}
	r.gone, r.back = r.gone|gone, r.back&^gone
}

// The changes. Each is nil where it makes no sense now.

func (r *run) members() []ring.Node { return r.layout.Nodes() }

func (r *run) isMember(n *node) bool {
	_, member := r.layout.Node(n.name)
	return member
}

// someMember draws a member that the layout can do without.
func (r *run) someMember(draw chance) *node {
	if owning(r.layout) <= r.cfg.Replicas {
		return nil
	}
	members := r.members()
	return r.byName[members[draw.below(len(members))].Name]
}

// owning is how many nodes a layout gives something.
func owning(l *ring.Layout) (many int) {
	for _, m := range l.Nodes() {
		if m.Capacity > 0 {
			many++
		}
	}
	return many
}

// newcomer draws a node that is no member, and starts it.
func (r *run) newcomer(draw chance) *node {
	first := draw.below(len(r.nodes))
	for i := range r.nodes {
		n := r.nodes[(first+i)%len(r.nodes)]
		if r.isMember(n) || r.gone.has(n) {
			continue
		}
		if n.away && !n.up {
			n.away = false
			n.boot()
			r.linksChanged()
		}
		return n
	}
	return nil
}

// own stages that a node is a member.
func (r *run) own(n *node, capacity int) func(time.Time, *core.Control) error {
	return func(now time.Time, c *core.Control) error {
		return c.Stage(now, ring.Node{Name: n.name, Zone: r.zoneOf(n.index), Capacity: uint32(capacity)}, ring.Own)
	}
}

func (r *run) joining(draw chance) *task {
	n := r.newcomer(draw.with(1))
	if n == nil {
		return nil
	}
	return &task{fault: FaultJoin, stage: r.own(n, 1+draw.with(2).below(2))}
}

func (r *run) leaving(draw chance) *task {
	n := r.someMember(draw)
	if n == nil {
		return nil
	}
	return &task{fault: FaultLeave, stage: func(now time.Time, c *core.Control) error {
		return c.Stage(now, ring.Node{Name: n.name}, ring.Leave)
	}}
}

func (r *run) replacing(draw chance) *task {
	members := r.members()
	out, in := r.byName[members[draw.with(1).below(len(members))].Name], r.newcomer(draw.with(2))
	if in == nil {
		return nil
	}
	return &task{fault: FaultReplace, stage: func(now time.Time, c *core.Control) error {
		if err := r.own(in, 1)(now, c); err != nil {
			return err
		}
		return c.Stage(now, ring.Node{Name: out.name}, ring.Leave)
	}}
}

// reshaping gives a member another capacity, or another zone.
func (r *run) reshaping(draw chance) *task {
	members := r.members()
	n := members[draw.with(1).below(len(members))]
	if n.Capacity = uint32(1 + draw.with(2).below(4)); draw.with(3).happens(0.4) {
		n.Zone = r.zoneOf(draw.with(4).below(len(r.nodes)))
	}
	return &task{fault: FaultReshape, stage: func(now time.Time, c *core.Control) error {
		return c.Stage(now, n, ring.Own)
	}}
}

func (r *run) clearing(chance) *task {
	return &task{clear: true, fault: FaultReshape, stage: func(time.Time, *core.Control) error { return nil }}
}

// asked is the node of that number, or another one where that is none that clients ask.
func (r *run) asked(i int) *node {
	if r.steady() {
		return r.nodes[i]
	}
	for j := range r.nodes {
		n := r.nodes[(i+j)%len(r.nodes)]
		if !n.away && (n.phase == nil || !n.phase.Removed()) {
			return n
		}
	}
	return r.nodes[i]
}

// isOut reports whether a node is away for good, or was told that it has no place.
func (n *node) isOut() bool {
	return n.away || n.run.gone.has(n) || n.phase != nil && n.phase.Removed()
}

// isHome reports whether a node is a home of a replica by the newest layout.
func (r *run) isHome(n *node, id replica.ID) bool {
	return n.up && slices.Contains(r.layout.Homes(ring.Partition(id.Partition), r.cfg.Replicas), n.name)
}

// settleWithin is how long after the last fault every node works by one settled layout.
const settleWithin = 10 * time.Minute

// settleLayouts lets all nodes come to rest at one layout (R23, I8).
func (r *run) settleLayouts() {
	r.awaitLayouts()
	if r.steady() || r.oracle.finding != nil {
		return
	}
	began, revived, lossAfter := r.agenda.now, false, settleWithin/5
	for r.oracle.finding == nil {
		text := r.unsettled()
		if text == "" {
			break
		}
		since := r.agenda.now - began
		if since > settleWithin {
			r.oracle.find("I8", "%v after everything ended: %s", since, text)
		}
		if !revived && since > settleWithin/10 {
			revived = true
			r.revive()
		}
		if revived && r.gone != 0 && since > lossAfter {
			lossAfter *= 2
			r.acceptLoss()
		}
		r.pass(time.Second)
	}
	for _, n := range r.nodes {
		if r.isMember(n) {
			r.gone.remove(n)
		}
	}
	for _, d := range r.decisions {
		if !r.used[d.version] {
			r.hits.add(RivalLost)
		}
	}
	r.calmAt = r.agenda.now
}

// revive starts the members that an operator wanted to remove, and then did not.
func (r *run) revive() {
	for _, n := range r.nodes {
		if n.away && !n.up && r.isMember(n) {
			n.away = false
			r.restart(n)
		}
	}
}

// acceptLoss has an operator accept what may be lost: where a node is gone, and another
// one cannot be sure of what it had, nobody can tell what only these two had (R25). Who
// will not come back is said to be gone again: a later change, by somebody who had not
// heard of it or has cleared what was staged, may have left that out, so that all wait for
// the node as a member once more, or as an owner of before that gives away what it has.
func (r *run) acceptLoss() {
	for _, n := range r.nodes {
		if !n.up || !r.isMember(n) || n.phase == nil || n.phase.Removed() {
			continue
		}
		n.helm.put(func(now time.Time, c *core.Control) {
			own, _ := r.layout.Node(n.name)
			own.Capacity = own.Capacity%4 + 1
			err := c.Clear(now) // what was staged may make no sense any more
			if err == nil {
				err = c.Stage(now, own, ring.Own)
			}
			for _, dead := range r.nodes {
				if err == nil && r.gone.has(dead) && !dead.up && isVoter(n.phase, dead.name) {
					err = c.Stage(now, ring.Node{Name: dead.name}, ring.Remove)
				}
			}
			if err == nil {
				var d *ring.Decision
				if _, d, err = c.Plan(now, true, nil); err == nil {
					if err = c.Commit(now, d.Version(), true); err == nil {
						r.decide(d)
					}
				}
			}
			r.trace.say(n.name, "accept", "loss: %v", err)
			r.hits.add(LossAccepted)
		})
		return
	}
}

// isVoter reports whether a change waits for a node, by a phase: for a member of its tip,
// or an owner by its base, that is not gone (R22).
func isVoter(p *ring.Phase, name string) bool {
	_, member := p.Tip().Node(name)
	was, known := p.Base().Node(name)
	return !p.Gone(name) && (member || known && was.Capacity > 0)
}

// unsettled says which node is not at rest, and what it waits for.
func (r *run) unsettled() string {
	for _, n := range r.nodes {
		if n.away || !n.up || n.phase == nil || n.phase.Removed() && !r.isMember(n) {
			continue
		}
		if p := n.phase; p.Progress().Tip != r.tip || !p.Settled() || p.Removed() {
			return fmt.Sprintf("%s is at %v of %v, settled %v, removed %v, and waits for %v; the newest is %v",
				n.name, p.Progress().Step, p.Progress().Tip, p.Settled(), p.Removed(), n.helm.core.Changes().Progress.Waits, r.tip)
		}
		if c := n.helm.core.Changes().Progress; c.Next != "" {
			return fmt.Sprintf("%s holds %s and does not use it, and waits for %v; the newest that is used is %v", n.name, c.Next, c.Waits, r.tip)
		}
	}
	return ""
}

// demandDropped demands that nobody has a replica that is not his any more, but for those
// that were removed (R27).
func (r *run) demandDropped() {
	if r.steady() || r.oracle.finding != nil {
		return
	}
	end := r.agenda.now + pruneWithin
	r.until(func() bool { return r.undropped() == "" || r.agenda.now > end })
	if text := r.undropped(); text != "" && r.oracle.finding == nil {
		r.oracle.find("R27", "%s", text)
	}
}

func (r *run) undropped() string {
	for _, n := range r.nodes {
		if n.away || !n.up || n.phase.Removed() {
			continue
		}
		for _, id := range n.owned() {
			if !r.isHome(n, id) {
				return fmt.Sprintf("%s still has replica %v, of which it is no home", n.name, id)
			}
		}
	}
	return ""
}
