package sim

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// passedOn is a write that a node has passed on to one that may coordinate it.
type passedOn struct {
	op *operation
	at time.Duration
}

// handover is what a shard has passed on: each numbers for itself.
type handover struct {
	head wire.Head
	op   wire.OpID
}

// passesOn notes that a node passes a write on.
func (o *oracle) passesOn(from *node, m *wire.Forward) {
	q := &m.Request
	id := q.RequestID
	if q.Op == kindred.OpDelete {
		id = id.ForDelete()
	}
	if op := o.operations[requestKey{id, q.Key}]; op != nil {
		o.passedOn[handover{m.Head, m.Op}] = passedOn{op, o.run.agenda.now}
	}
}

// judgePassedOn looks at the answer of the node that it was passed on to, by what that
// one reaches.
func (o *oracle) judgePassedOn(by *node, m *wire.ForwardReply) {
	h := handover{m.Head, m.Op}
	p, ok := o.passedOn[h]
	if !ok {
		return
	}
	delete(o.passedOn, h)
	if e := m.Response.Err; e != nil && e.Code == kindred.CodeUnavailable && e.Need > 0 && e.Dot == "" {
		o.judgeRefusal(p.op, by, p.at, e)
	}
}

// judgeAvailability demands of the node that a client has asked that it refuses no sloppy
// operation if it reaches enough nodes of the preference list.
//
// A write that was passed on everywhere in vain it takes as a guest, if it has a place
// among those who stand in for others. A node without one, which no layout has yet or any
// more, would keep hints that nobody looks for there: it passes on what the others say,
// who are judged by what they reach themselves.
func (o *oracle) judgeAvailability(a *attempt, e *kindred.Error) {
	own, member := o.run.layout.Node(a.node.name)
	if a.op.intent.IsWrite() && (!member || own.Capacity == 0) {
		o.run.hits.add(RefusalPassedOn)
		return
	}
	o.judgeRefusal(a.op, a.node, a.at, e)
}

// judgeRefusal demands that no sloppy operation is refused by a node that reaches
// enough nodes of the preference list, as far as it knows and as long as that did not
// change since it may have been asked (C15).
func (o *oracle) judgeRefusal(op *operation, n *node, since time.Duration, e *kindred.Error) {
	if !o.run.resting(since) || !op.request.Sloppy.IsSloppy() || e.Outcome != kindred.NotApplied || !n.up || n.linkedAt >= since {
		return
	}
	if slices.ContainsFunc(e.Failed, func(f kindred.NodeFailure) bool { return f.Reason != "unreachable" }) {
		return // somebody was reached, and had no room
	}
	homes := o.run.homes(op.intent.Key)
	q, err := op.quorum(len(homes))
	if err != nil {
		return
	}
	need, primary := q.R, q.PR
	if op.intent.IsWrite() {
		need, primary = q.W, q.PW
		if op.request.Op == kindred.OpDelete && len(op.request.Context) == 0 {
			need, primary = max(need, q.R), max(primary, q.PR)
		}
	}
	up := func(name string) bool { return name == n.name || n.links[name] }
	places := o.run.layout.Preference(ring.Partition(o.run.idOf(op.intent.Key).Partition), o.run.cfg.Replicas, up)
	reached := 0
	for _, h := range homes {
		if up(h) {
			reached++
		}
	}
	if reached < primary {
		o.run.hits.add(HomesUnreachable)
		return
	}
	if len(places) >= need {
		o.find("C15", "%v was refused at %s, which reaches %d nodes of the preference list: %v", op, n.name, len(places), e)
	}
}
