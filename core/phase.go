package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// differAgain is the time after which a node that has not heard of a layout is asked
// again: about as long as two nodes need to tell one another what they know.
const differAgain = 50 * time.Millisecond

// homesOf lists the homes of a partition by the tip.
func (s *Shard) homesOf(head wire.Head) []string {
	return s.layout.Homes(ring.Partition(head.Partition), int(head.N))
}

// holdersOf lists all homes of a partition that count, those of the tip first: every
// write is sent to them.
func (s *Shard) holdersOf(head wire.Head) []string {
	return s.phase.Homes(ring.Partition(head.Partition), int(head.N))
}

// baseOf lists the homes of a partition by the base, nil unless they count beside those
// of the tip.
func (s *Shard) baseOf(head wire.Head) []string {
	if !s.moves(head) {
		return nil
	}
	return s.phase.Base().Homes(ring.Partition(head.Partition), int(head.N))
}

func (s *Shard) moves(head wire.Head) bool {
	return s.phase.Moves(ring.Partition(head.Partition), int(head.N))
}

// readersOf lists the homes whose answers a read counts, and the layout whose members
// stand in for them.
func (s *Shard) readersOf(head wire.Head) (*ring.Layout, []string) {
	homes := s.phase.Readers(ring.Partition(head.Partition), int(head.N))
	if s.phase.Progress().Step == ring.Both {
		return s.phase.Base(), homes
	}
	return s.layout, homes
}

// guestsBy is the layout whose members stand in for the homes of a partition by the tip.
// Where these are those of the base too, it is the base as long as another layout may take
// the place of the tip (R22): that one need not have a place for the tip's members, and
// nobody would ask them any more what they owe.
func (s *Shard) guestsBy(head wire.Head) *ring.Layout {
	if s.phase.Progress().Step == ring.Both && !s.moves(head) {
		return s.phase.Base()
	}
	return s.layout
}

// differ has the shell and a peer tell one another what they know of layouts.
func (s *Shard) differ(peer string) {
	if !slices.Contains(s.out.Differ, peer) {
		s.out.Differ = append(s.out.Differ, peer)
	}
}

// refuseFrom is R24: why a request of a coordinator that is so far is not served
// here, "" if it is. Repairs, and what is delivered or pulled, do not name how far
// anybody is.
func (s *Shard) refuseFrom(theirs ring.Progress) string {
	if theirs.Step == 0 || s.phase == nil {
		return ""
	}
	own := s.phase.Progress()
	switch {
	case s.phase.Removed():
		return "was removed from the cluster"
	case own == theirs, own.Tip == theirs.Tip && theirs.Step == own.Step+1:
		return ""
	case own.Compare(theirs) < 0:
		return fmt.Sprintf("has not heard yet that layout %v is %v", theirs.Tip, theirs.Step)
	}
	return fmt.Sprintf("works by layout %v, %v, which the coordinator has not heard of", own.Tip, own.Step)
}

// refusal is what an answer says of how far this node is: nothing, unless the request
// of somebody so far is refused for that.
func (s *Shard) refusal(from string, theirs ring.Progress) (why string, own ring.Progress) {
	if why = s.refuseFrom(theirs); why != "" {
		s.stats.Differ++
		s.differ(from)
		own = s.phase.Progress()
	}
	return why, own
}

// removed reports whether this node has no place any more. It keeps what it has, and
// gives and takes nothing.
func (s *Shard) removed() bool { return s.phase != nil && s.phase.Removed() }

// follower is an operation that goes on when the phase has changed, or when those who
// have refused it for the layout may have learned better.
type follower interface {
	operation
	follow(s *Shard, now time.Time)
}

// put off has an operation that was refused for the layout asked again: at once if
// this node knows more by now than when it asked, otherwise after a while, and when
// the phase changes.
func (s *Shard) putOff(now time.Time, o follower, asked ring.Progress, from, why string) {
	s.differ(from)
	c := o.common()
	c.differing = append(slices.DeleteFunc(c.differing, func(f kindred.NodeFailure) bool { return f.Node == from }),
		kindred.NodeFailure{Node: from, Reason: why})
	if asked != s.phase.Progress() {
		o.follow(s, now)
		return
	}
	if c.again.IsZero() {
		c.again = now.Add(differAgain)
		s.deadlines.add(c.again, c.seq)
	}
}

// followPhase lets the operations in progress go on by a new phase.
func (s *Shard) followPhase(now time.Time) {
	if !s.turned {
		return
	}
	s.turned = false
	for _, seq := range s.inOrder() {
		if o, ok := s.operations[seq].(follower); ok {
			o.follow(s, now)
		}
	}
}

// restart begins an operation anew that has changed nothing yet.
func (s *Shard) restart(now time.Time, o operation) {
	if c := o.common(); c.deadline.After(now) { // or it is about to expire
		s.finish(o)
		s.startAgain(now, c)
	}
}

// startAgain begins a request anew that has changed nothing yet, for the time that it
// has left.
func (s *Shard) startAgain(now time.Time, c *request) {
	s.stats.Restarts++
	req := *c.req
	req.Timeout = max(c.deadline.Sub(now), 1)
	s.start(now, c.ask, &req)
}

// follow moves the write to the present phase. What was acknowledged under another tip
// does not count: who has given up its replica since, and begins anew, has nothing of
// what it acknowledged.
func (o *writeOp) follow(s *Shard, now time.Time) {
	at := s.phase.Progress()
	switch {
	case o.put == nil: // the step that mints will see
		return
	case o.at.Tip != at.Tip:
		s.renumber(o)
		o.renewed = true
		if err := o.aim(s); err != nil {
			s.finish(o)
			unknown := *err
			unknown.Outcome, unknown.Dot = kindred.Unknown, o.put.Dot().String()
			s.refuse(o.ask, &unknown)
			return
		}
		o.hints, o.silent = nil, nil
		o.write = again(o.write, s.opID(o.seq), at)
		o.spread(s, o.put.Dot())
		return
	}
	left := o.base != nil && s.baseOf(o.head) == nil
	if left {
		o.leaveBase(s)
	}
	o.at = at
	o.write = again(o.write, s.opID(o.seq), at)
	for _, peer := range o.put.Waiting() {
		if peer != s.cfg.Node {
			o.resend(s, peer)
		}
	}
	if left {
		o.turn(s)
	}
	o.look(s)
}

// leaveBase goes on without the homes by the layout before. One that was asked to take the
// write as a home may be asked to keep it for somebody now, and what it says to the first is
// no answer to the second: so those who are waited for are asked anew.
func (o *writeOp) leaveBase(s *Shard) {
	s.renumber(o)
	o.base, o.hints = nil, nil
	o.put.DropBase()
	own := slices.Contains(o.put.Waiting(), s.cfg.Node)
	if own && o.durability() == kindred.Sync && o.holds(s, o.put.Dot()) {
		s.out.Syncs = append(s.out.Syncs, o.seq)
	}
}

// again is a write that was sent, to be sent by another phase.
func again(m *wire.Write, op wire.OpID, at ring.Progress) *wire.Write {
	w := *m
	w.Op, w.At = op, at
	return &w
}

// renumber gives an operation another number, so that what is said to the one that it
// had does not count any more.
func (s *Shard) renumber(o operation) {
	c := o.common()
	delete(s.operations, c.seq)
	s.seq++
	c.seq = s.seq
	s.operations[c.seq] = o
	s.deadlines.add(c.deadline, c.seq)
	c.again = time.Time{}
	if !c.nudged.IsZero() {
		s.deadlines.add(c.nudged, c.seq)
	}
}

func (o *readOp) follow(s *Shard, now time.Time) {
	if !o.answered {
		s.restart(now, o)
	}
}

func (o *scanOp) follow(s *Shard, now time.Time) { s.restart(now, o) }

// follow sends the write to somebody anew, unless a node has it that has not answered.
func (o *forwardOp) follow(s *Shard, now time.Time) {
	if o.to == "" {
		s.restart(now, o)
	}
}

// notComplete is why a home does not count towards a read: it has only come with the
// tip, and may lack what was acknowledged before (R25).
const notComplete = "is not complete by the new layout yet"

// readable reports whether a replica counts towards a read of somebody so far: at both,
// it does if it is a home of the base, and later if it is complete.
func (s *Shard) readable(id replica.ID, theirs ring.Progress) bool {
	if theirs.Step == 0 || !s.moves(wire.Head(id)) {
		return true
	}
	if theirs.Step == ring.Both {
		return slices.Contains(s.baseOf(wire.Head(id)), s.cfg.Node)
	}
	return s.owns(id) && s.complete(id)
}

// isHome reports whether this node holds a replica by a layout that counts. One that is
// only kept until others have all of it answers nobody.
func (s *Shard) isHome(id replica.ID) bool {
	x := s.exchange.of[id]
	return s.Has(id) && (x == nil || !x.Former())
}

// complete reports whether a replica has all that was acknowledged before the tip. One
// that was rebuilt may wait for dots that nobody has any more, until they are closed,
// which waits for a settled phase. One that was no home's before, or is of before its node
// came back, knows what is void: who comes back may owe hints of that, and it is too late to
// begin anew once it counts (R27).
func (s *Shard) complete(id replica.ID) bool {
	x := s.exchange.of[id]
	if x == nil || !x.Complete() {
		return false
	}
	return !x.past && slices.Contains(s.baseOf(wire.Head(id)), s.cfg.Node) || s.alikeAll(id)
}

// Complete reports whether this shard has all that was acknowledged before the tip that
// it works by, of every partition that its node owns there (R25). Who leaves has delivered
// what it owes: once the change is settled nobody asks it any more what it holds, be it for
// a close or for a home that has lost something. Once all shards of a node say so of one
// tip, the node may announce it.
func (s *Shard) Complete() (tip ring.Version, complete bool) {
	if s.phase == nil {
		return ring.Version{}, false
	}
	tip = s.phase.Progress().Tip
	for _, x := range s.exchange.order {
		if id := x.replica.ID(); s.owns(id) && !s.complete(id) {
			return tip, false
		}
	}
	return tip, !s.leaves() || s.debts.ledger.Hints() == 0
}

// leaves reports whether the tip has no place for this node. It takes no hints any more.
func (s *Shard) leaves() bool {
	_, member := s.layout.Node(s.cfg.Node)
	return !member
}

// owns reports whether this node is a home of a replica by the tip.
func (s *Shard) owns(id replica.ID) bool {
	return slices.Contains(s.homesOf(wire.Head(id)), s.cfg.Node)
}
