package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Config is what a shard is made of.
type Config struct {
	// Node is this node's name in the layout.
	Node string
	// Start is this start of the node, durable by now (I2): the actors of its
	// replicas are made from it, and its nonce names the process to peers (R10).
	Start vclock.Actor
	// Clean says that the last life of the node ended in good order: everything
	// that it had applied is durable. A start without that mark may have lost data
	// (R17).
	Clean  bool
	Limits Limits
}

// Shard serves the partitions that fall to it.
type Shard struct {
	cfg Config
	// phase says by whose owners it works, layout is the tip of it.
	phase  *ring.Phase
	layout *ring.Layout
	// turned: operations in progress have to go on by another phase than they began.
	turned   bool
	buckets  *buckets.Registry
	linked   map[string]bool
	replicas map[replica.ID]*replica.Replica
	// given counts how often a replica was given up, or its incarnation ended, since the start.
	given map[replica.ID]uint32
	// returns counts how often this node came back to the cluster since the start: the
	// others may have closed its guests without asking it.
	returns uint32
	recent  *replica.Recent

	open  map[string]*openKey
	steps int
	// spares are latches and key is an object for the next steps.
	spares []*openKey
	key    replica.Key
	// looking counts the readings of each replica that are under way.
	looking map[replica.ID]int
	// stepBytes is the weight of the deltas among the steps.
	stepBytes int
	// pageFor is the peer that asked for a page which is being read.
	pageFor map[*wire.ScanRead]string

	exchange exchanger
	pacing   pacing

	operations map[uint64]operation
	seq        uint64
	bytes      int
	late       int
	// stages are the operations that wait for a stage.
	stages    []*stageOp
	deadlines deadlines
	silences  silences
	hedge     hedge
	sweeper   sweeper
	expirer   expirer
	auditor   auditor
	// ahead is what the wall clock is ahead of the time of events.
	ahead    time.Duration
	rebuilds rebuilder
	debts    debtor
	closer   *closer

	// full is why writes are refused, or nil.
	full     *kindred.Error
	stopping bool

	out   *Effects
	row   []byte
	stats Stats
}

// atOnce is a time that has passed.
var atOnce = time.Unix(0, 0)

// New is a shard without a layout: it refuses everything until it gets one.
func New(cfg Config) *Shard {
	s := &Shard{
		cfg:        cfg,
		linked:     map[string]bool{},
		replicas:   map[replica.ID]*replica.Replica{},
		given:      map[replica.ID]uint32{},
		recent:     replica.NewRecent(cfg.Limits.Requests),
		open:       map[string]*openKey{},
		looking:    map[replica.ID]int{},
		pageFor:    map[*wire.ScanRead]string{},
		operations: map[uint64]operation{},
		debts:      newDebtor(cfg.Limits),
		silences:   newSilences(cfg.Node),
		pacing:     newPacing(cfg.Limits),
		hedge:      newHedge(),
		out:        &Effects{},
	}
	s.closer = newCloser(s)
	return s
}

// Recover reads the replica of that id back from the store, for SetPhase. Of one that was
// given up in this life nothing is left, but the rows that say so may not be applied yet:
// what the store still has of it must not be taken for what it knows.
func (s *Shard) Recover(id replica.ID, store storage.Snapshot) (*replica.Replica, error) {
	r := replica.New(id, s.startOf(id), s.recent)
	if s.given[id] == 0 {
		var err error
		if r, err = replica.Recover(id, s.startOf(id), s.recent, store); err != nil {
			return nil, err
		}
	}
	if err := s.closer.recover(id, store); err != nil {
		return nil, err
	}
	return r, s.closer.restore(r)
}

// startOf is the start that the present life of a replica is of.
func (s *Shard) startOf(id replica.ID) vclock.Actor {
	return replica.StartOf(s.cfg.Start, s.given[id])
}

// Has reports whether the shard holds that replica.
func (s *Shard) Has(id replica.ID) bool { return s.replicas[id] != nil }

// Incarnation is the actor by whose dots a replica counts its writes now, none if the
// shard does not hold it.
func (s *Shard) Incarnation(id replica.ID) (a vclock.Actor) {
	if r := s.replicas[id]; r != nil {
		a = r.Actor()
	}
	return a
}

// SetPhase begins to work by the owners of that phase. Recovered are the replicas of it
// that the shard did not hold yet; replicas it holds stay, whatever the layout says.
func (s *Shard) SetPhase(phase *ring.Phase, recovered []*replica.Replica) {
	back := s.comesBack(phase)
	s.turned = s.turned || s.phase != nil && s.phase.Progress() != phase.Progress()
	settles := s.phase != nil && !s.phase.Settled() && phase.Settled()
	s.phase, s.layout = phase, phase.Tip()
	if back {
		s.returns++
		clear(s.debts.guests)
	}
	for _, r := range recovered {
		s.replicas[r.ID()] = r
		s.expirer.watch(r)
		s.auditor.watch(s, r)
	}
	s.resumeRebuilds(recovered)
	s.exchange.setPhase(s, back)
	s.debts.at = atOnce // what is owed may have other targets now
	s.closer.began(recovered)
	if settles {
		s.closer.settled()
	}
}

// SetLink notes whether a peer can be reached. To one that came back, writes
// that still wait for it are sent again.
func (s *Shard) SetLink(now time.Time, peer string, up bool) {
	if s.linked[peer] == up {
		return
	}
	s.linked[peer] = up
	s.exchange.setLink(s, now, peer, up)
	s.linkRebuilds(now, peer, up)
	s.linkDebts(now, peer, up)
	s.silences.relink(peer)
	if up {
		s.closer.linked(now, peer)
		s.auditor.linked(s, now)
	}
	for _, seq := range s.inOrder() {
		switch o := s.operations[seq].(type) {
		case *writeOp:
			if up {
				o.resend(s, peer)
			} else if o.put != nil {
				o.turn(s)
			}
		case *readOp:
			if !up {
				o.unlinked(s, now, peer)
			}
		case *scanOp:
			if !up {
				o.fail(s, peer, "unreachable")
			}
		case *forwardOp:
			if !up && o.to == peer {
				o.expire(s, now)
			}
		}
	}
}

// inOrder lists the operations by age, so that effects have a fixed order.
func (s *Shard) inOrder() []uint64 {
	seqs := make([]uint64, 0, len(s.operations))
	for seq := range s.operations {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	return seqs
}

// SetFull makes the shard refuse writes with err, or take them again with nil.
func (s *Shard) SetFull(err *kindred.Error) { s.full = err }

// Drain makes the shard refuse new requests; those in progress go on. Who waits
// for a stage, perhaps for long, is told the one that is reached.
func (s *Shard) Drain() {
	s.stopping = true
	for _, o := range s.stages {
		if s.operations[o.seq] != nil {
			s.finish(o)
			s.answer(o.ask, o.response(s))
		}
	}
	s.stages = nil
}

// Resume makes a drained shard take requests again.
func (s *Shard) Resume() { s.stopping = false }

// Busy is the number of requests that have not been answered.
func (s *Shard) Busy() int { return len(s.operations) - s.late }

// Effects is what the shard wants done since the last Reset of it.
func (s *Shard) Effects() *Effects { return s.out }

// Base is what a replica knows of every key now, for Page.
func (s *Shard) Base(id replica.ID) (vclock.DotSet, bool) {
	r := s.replicas[id]
	if r == nil {
		return vclock.DotSet{}, false
	}
	return r.Base(), true
}

// Checkpoint writes every clock that moved, for a quick next start.
func (s *Shard) Checkpoint() {
	for _, id := range s.Replicas() {
		s.replicas[id].Checkpoint(&s.out.Rows)
	}
}

// Replicas lists the replicas that the shard holds, in order.
func (s *Shard) Replicas() []replica.ID {
	ids := make([]replica.ID, 0, len(s.replicas))
	for id := range s.replicas {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b replica.ID) int {
		return (int(a.Partition)-int(b.Partition))*256 + int(a.N) - int(b.N)
	})
	return ids
}

// Clock is a replica's clock, for tests and metrics; it must not be changed.
func (s *Shard) Clock(id replica.ID) vclock.DotSet {
	if r := s.replicas[id]; r != nil {
		return r.Clock()
	}
	return vclock.DotSet{}
}

// Tree is a replica's hash tree as it is now, for tests and metrics.
func (s *Shard) Tree(id replica.ID) *hashtree.Tree {
	if r := s.replicas[id]; r != nil {
		return r.Tree()
	}
	return &hashtree.Tree{}
}

// Request starts a client's operation. Its answer carries the token.
func (s *Shard) Request(now time.Time, token uint64, req *kindred.Request) {
	s.start(now, asker{token: token}, req)
}

// start checks and admits a request and hands it to its machine.
func (s *Shard) start(now time.Time, ask asker, req *kindred.Request) {
	s.pacing.served = now
	if err := s.admit(req); err != nil {
		s.refuse(ask, err)
		return
	}
	req, options, err := s.choose(req)
	if err != nil {
		s.refuse(ask, err)
		return
	}
	base := request{ask: ask, req: req, bucket: options, deadline: now.Add(s.timeout(req))}
	cursor, err := s.locate(&base)
	if err != nil {
		s.refuse(ask, err)
		return
	}
	if ask.peer != "" && ask.head != base.head {
		// The message came to this shard by its head; the key may be another's.
		s.refuse(ask, s.wrongRing("has the key in another partition"))
		return
	}
	homes := s.homesOf(base.head)
	switch req.Op {
	case kindred.OpGet, kindred.OpScan:
		_, homes = s.readersOf(base.head)
	case kindred.OpInspect, kindred.OpRepair:
		homes = s.holdersOf(base.head)
	}
	quorum, err := kindred.Resolve(len(homes), req.R, req.W, req.PR, req.PW)
	if err != nil {
		s.refuse(ask, err)
		return
	}
	// A page of keys of whom guests happen to hold hints is no complete one: scans
	// are sloppy on demand only.
	quorum.Sloppy = req.Sloppy == kindred.Sloppy || req.Op != kindred.OpScan && req.Sloppy.IsSloppy()
	switch req.Op {
	case kindred.OpGet, kindred.OpInspect:
		s.startRead(now, base, homes, quorum)
	case kindred.OpPut, kindred.OpDelete:
		s.startWrite(now, base, homes, quorum)
	case kindred.OpRepair:
		s.startRepair(now, base, homes, nil)
	case kindred.OpStage:
		s.startStage(now, base, homes, quorum)
	case kindred.OpScan:
		s.startScan(base, cursor, homes, quorum)
	default:
		s.refuse(ask, kindred.Invalid("op", "%v is not an operation", req.Op))
	}
}

// locate finds the partition of a request: that of its key, or that of the
// cursor of a scan.
func (s *Shard) locate(base *request) (cursor Cursor, err *kindred.Error) {
	base.head.N = uint8(s.layout.Replicas())
	if base.req.Op != kindred.OpScan {
		base.head.Partition = uint32(s.layout.PartitionOf(base.req.Bucket, base.req.Key))
		return Cursor{}, nil
	}
	cursor, err = ParseCursor(base.req.Scan.Cursor)
	if err == nil && int(cursor.Partition) >= s.layout.Partitions() {
		err = kindred.Invalid("cursor", "the cursor names partition %d, the cluster has %d: begin again without one", cursor.Partition, s.layout.Partitions())
	}
	base.head.Partition = cursor.Partition
	return cursor, err
}

func (s *Shard) admit(req *kindred.Request) *kindred.Error {
	switch {
	case s.stopping:
		return &kindred.Error{Code: kindred.CodeStopping, Outcome: kindred.NotApplied, Message: s.cfg.Node + " is shutting down or drained: ask another node"}
	case s.layout == nil:
		return NoLayout(s.cfg.Node)
	case s.phase.Removed():
		return s.wrongRing("was removed from the cluster")
	case s.Busy() >= s.cfg.Limits.Operations:
		return s.overloaded("operations in progress", s.cfg.Limits.Operations)
	case s.bytes+load(req) > s.cfg.Limits.OperationBytes:
		return s.overloaded("bytes in progress", s.cfg.Limits.OperationBytes)
	case s.steps >= s.cfg.Limits.Steps:
		return s.overloaded("steps waiting for the disk", s.cfg.Limits.Steps)
	}
	if req.Op == kindred.OpScan {
		return kindred.CheckBucket(req.Bucket)
	}
	if err := kindred.CheckName(req.Bucket, req.Key); err != nil {
		return err
	}
	if err := kindred.CheckExpiry(req); err != nil {
		return err
	}
	return kindred.CheckValue(req.Value, req.ContentType)
}

// NoLayout is the answer of a node that has no layout yet.
func NoLayout(node string) *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeNoLayout, Outcome: kindred.NotApplied,
		Message: node + " has no layout yet: it waits for the cluster to form (kvnode --expect, kvcli cluster status)",
	}
}

func (s *Shard) overloaded(what string, limit int) *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeOverloaded, Outcome: kindred.NotApplied, Field: what, Limit: int64(limit),
		Message: fmt.Sprintf("%s has its limit of %d %s: try again later, or elsewhere", s.cfg.Node, limit, what),
	}
}

func (s *Shard) timeout(req *kindred.Request) time.Duration {
	if req.Timeout <= 0 {
		return s.cfg.Limits.Timeout
	}
	return min(req.Timeout, s.cfg.Limits.TimeoutMax)
}

// reachable reports whether a node can be sent to now.
func (s *Shard) reachable(node string) bool { return node == s.cfg.Node || s.linked[node] }

func (s *Shard) send(to string, m wire.Message, sync bool) {
	s.out.Sends = append(s.out.Sends, Send{To: to, Msg: m, Sync: sync})
}

func (s *Shard) answer(ask asker, resp *kindred.Response) {
	if ask.peer == "" {
		s.out.Replies = append(s.out.Replies, Reply{Token: ask.token, Response: resp})
		return
	}
	s.send(ask.peer, &wire.ForwardReply{Head: ask.head, Op: ask.op, Response: *resp}, false)
}

func (s *Shard) refuse(ask asker, err *kindred.Error) { s.answer(ask, &kindred.Response{Err: err}) }

// Deadline is when Tick is wanted next, if at all.
func (s *Shard) Deadline() (time.Time, bool) {
	at, ok := s.deadlines.next()
	if s.removed() {
		return at, ok
	}
	for _, other := range [...]time.Time{s.sweeper.at, s.expirer.at, s.rebuilds.at, s.debts.at, s.auditor.at, s.closer.at, s.pacing.at} {
		if !other.IsZero() && (!ok || other.Before(at)) {
			at, ok = other, true
		}
	}
	if look, wanted := s.exchange.deadline(); wanted && (!ok || look.Before(at)) {
		at, ok = look, true
	}
	if s.turned {
		return atOnce, true
	}
	return at, ok
}

// Tick expires the operations whose deadline has passed, sweeps, and ends what
// has expired. Operations come first: the audit that waited for one may end by it,
// and then the next may be due at once.
func (s *Shard) Tick(now time.Time) {
	s.followPhase(now)
	s.expireOperations(now)
	if s.removed() {
		return
	}
	s.sweep(now)
	s.expirer.tick(s, now)
	s.rebuildsDue(now)
	s.exchange.tick(s, now)
	s.pullsDue(now)
	s.deliver(now)
	s.auditor.tick(s, now)
	s.closer.tick(now)
}

func (s *Shard) expireOperations(now time.Time) {
	for {
		seq, ok := s.deadlines.due(now)
		if !ok {
			return
		}
		o, ok := s.operations[seq]
		if !ok {
			continue
		}
		if c := o.common(); c.deadline.After(now) {
			s.deadlines.add(s.nudge(now, o), seq)
			continue
		}
		o.expire(s, now)
	}
}

// nudge lets an operation look for others than those it waits for, if it is time,
// and says when to look at it again.
func (s *Shard) nudge(now time.Time, o operation) time.Time {
	c := o.common()
	if due(c.again, now) {
		c.again = time.Time{}
		if f, ok := o.(follower); ok {
			f.follow(s, now)
		}
	}
	if n, ok := o.(nudger); ok && !c.nudged.IsZero() && !c.nudged.After(now) && s.operations[c.seq] == o {
		c.nudged = n.nudge(s, now)
	}
	if at := c.nudged; at.After(now) && at.Before(c.deadline) {
		return at
	}
	return c.deadline
}
