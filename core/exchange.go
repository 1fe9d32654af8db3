package core

import (
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

const (
	// exchangeEvery is the time between two looks at the clocks of all replicas.
	exchangeEvery = time.Second
	// pruneDots and pruneAfter make prunes few and large: ranges removed from the
	// log one by one would ruin an engine that compacts.
	pruneDots  = 1000
	pruneAfter = time.Minute

	catchingUp = "is catching up after its start"
)

// exchanger keeps the home replicas of a shard equal to their peers (R9), prunes
// their logs (R12), and knows which may count toward reads (R17).
type exchanger struct {
	of    map[replica.ID]*exchange
	order []*exchange
	// at is the next tick, if any replica is here.
	at time.Time
	// syncs are the clocks that are durable once that operation is synced.
	syncs map[uint64][]capture
	// pulled are the pulls of peers that are being read.
	pulled int
	// turn is the replica that pulls first next time.
	turn int
	// unlinked: some exchange has not been told of the links yet.
	unlinked bool
}

// exchange is that of one replica.
type exchange struct {
	*antientropy.Exchange
	replica *replica.Replica
	// asked is the clock that was last to be made durable.
	asked    vclock.DotSet
	prunedAt time.Time
	// lagSince is since when every look has found something missing.
	lagSince time.Time
	// old were held here at oldSince, and not every other home is known to hold them
	// yet.
	old      vclock.DotSet
	oldSince time.Time
	// rebuildAt is when a rebuild may be tried again that nobody could begin.
	rebuildAt time.Time
	// past: the replica was here before this node came, or came back, to its partition.
	past bool
}

type capture struct {
	x     *exchange
	clock vclock.DotSet
}

// clock is what the replica holds: an exchange does not speak of void dots, which
// come with the record that made them void.
func (x *exchange) clock() vclock.DotSet { return x.replica.Held() }

// setPhase begins or corrects the exchange of every replica. One that is at home
// nowhere any more goes on until the homes have what it has (R27). Back: the node had no
// part in what the others have decided since it last did.
func (e *exchanger) setPhase(s *Shard, back bool) {
	// Replicas that a later layout brings are new here, however the last life ended.
	clean := s.cfg.Clean && e.of == nil
	if e.of == nil {
		e.of, e.syncs = map[replica.ID]*exchange{}, map[uint64][]capture{}
	}
	fresh := map[replica.ID]bool{}
	for _, id := range s.Replicas() {
		owners := s.ownersOf(id)
		if x, known := e.of[id]; known {
			was := x.Former()
			x.SetOwners(owners, x.clock())
			returns := was && !x.Former()
			x.past = x.past || returns
			if returns || back {
				s.renew(x.replica)
			}
			continue
		}
		r := s.replicas[id]
		fresh[id] = true
		e.of[id] = &exchange{replica: r, Exchange: antientropy.NewExchange(antientropy.Config{
			Self: s.cfg.Node, Owners: owners, Head: wire.Head{Partition: id.Partition, N: id.N},
			Actor: r.Actor(), Process: s.cfg.Start.Nonce, Clock: r.Held(), Clean: clean,
		})}
	}
	e.order = e.order[:0]
	for _, id := range s.Replicas() {
		if x := e.of[id]; x != nil {
			e.order = append(e.order, x)
		}
	}
	for _, x := range e.order {
		id := x.replica.ID()
		x.past = x.past || (back || fresh[id]) && !x.clock().IsEmpty() && (x.Former() || s.incoming(id))
		s.retire(id)
	}
	e.turn, e.at, e.unlinked = 0, time.Time{}, true
}

// ownersOf are the homes of a replica by the present phase.
func (s *Shard) ownersOf(id replica.ID) antientropy.Owners {
	o := antientropy.Owners{At: s.phase.Progress(), Tip: s.homesOf(wire.Head(id)), Base: s.baseOf(wire.Head(id)), Loss: s.phase.Loss()}
	for _, h := range o.Base {
		if s.phase.Gone(h) {
			o.Gone = append(o.Gone, h)
		}
	}
	return o
}

// setLink tells every exchange that a peer can, or cannot, be reached.
func (e *exchanger) setLink(s *Shard, now time.Time, peer string, up bool) {
	for _, x := range e.order {
		x.SetLink(now, peer, up, x.clock())
	}
	e.flush(s, e.order...)
}

func (s *Shard) onClock(now time.Time, from string, m *wire.Clock) {
	x := s.exchange.of[replica.ID{Partition: m.Partition, N: m.N}]
	if x == nil || s.removed() {
		s.stats.Stray++
		return
	}
	x.Heard(now, from, m, x.clock())
	s.closer.compare(now, from, x.replica.ID(), m)
	s.rebuildLost(now, x)
	s.exchange.flush(s, x)
	s.exchange.pull(s, now)
	s.stagesMoved()
}

func (s *Shard) onPull(now time.Time, from string, m *wire.Pull) {
	r := s.replicas[replica.ID{Partition: m.Partition, N: m.N}]
	failed := ""
	switch err := replica.CheckPull(m); {
	case r == nil:
		failed = notHome
	case !s.mayHandOn(r.ID(), from):
		failed = unheard
	case r.Retired() && !m.Bare:
		failed = isRetired
	case err != nil:
		failed = err.Error()
	case s.exchange.pulled >= s.cfg.Limits.Pages:
		failed = s.overloaded("pulls being read", s.cfg.Limits.Pages).Message
	case !s.mayAnswer(now):
		failed = isBusy
	default:
		s.answering(now, m)
		s.servePull(from, r, m)
		return
	}
	s.send(from, &wire.Pieces{Head: m.Head, Op: m.Op, Failed: failed}, false)
}

// servePull reads what a peer pulls. The pieces leave once all that they tell of
// is durable here: what leaks and is then lost would be missed by nobody (C8).
func (s *Shard) servePull(from string, r *replica.Replica, m *wire.Pull) {
	s.stats.PullsServed++
	s.exchange.pulled++
	s.lookAt(r.ID(), func() Reading {
		moment, rounds := r.Moment(), s.Promised(r.ID(), r.Clock())
		// Void dots come with the record that made them void, not from a log.
		m.Dots = m.Dots.Minus(r.Voided())
		return func(store storage.Snapshot) func(time.Time) {
			pieces := moment.Pieces(store, m, s.cfg.Limits.PieceBytes)
			pieces.Rounds = rounds
			return func(now time.Time) {
				s.exchange.pulled--
				s.answered(now, pieces)
				s.stats.PiecesSent += uint64(len(pieces.Pieces))
				if !pieces.Damaged.IsEmpty() && !r.IsDamaged() {
					s.Audit(r.ID())
				}
				s.send(from, pieces, true)
			}
		}
	})
}

// onPieces joins each piece by itself (R9).
func (s *Shard) onPieces(now time.Time, from string, m *wire.Pieces) {
	x := s.exchange.of[replica.ID{Partition: m.Partition, N: m.N}]
	if x == nil || !x.Answered(now, from, m) {
		return
	}
	s.received(now, m)
	left := len(m.Pieces)
	var refused vclock.DotSet
	for i := range m.Pieces {
		p := &m.Pieces[i]
		s.enter(x.replica, p.Bucket, p.Key, func(now time.Time, k *replica.Key, err error) {
			delta := p.Delta(m.Base)
			if err == nil {
				err = k.Join(delta, p.Events, m.Rounds, &s.out.Rows)
			}
			if err == nil {
				s.stats.PiecesJoined++
			} else {
				s.stats.RefusedJoins++
				refused.Union(delta.Dots)
			}
			if left--; left == 0 {
				x.Joined(now, from, m.Op, refused)
				s.exchange.pull(s, now)
			}
		})
	}
}

// pull asks for what is wanted, as far as there is room for the answers.
func (e *exchanger) pull(s *Shard, now time.Time) {
	if s.full != nil || len(e.order) == 0 {
		return
	}
	room := s.cfg.Limits.Pulls
	for _, x := range e.order {
		room -= x.Pulling()
	}
	for i := range e.order {
		most := s.mayPull(now)
		if room <= 0 || most == 0 {
			e.turn += i
			break
		}
		x := e.order[(e.turn+i)%len(e.order)]
		if s.copying(x.replica.ID()) {
			continue // most of what is missing comes that way
		}
		asked, dots := x.Pull(now, x.clock(), room, most)
		s.stats.Pulls += uint64(asked)
		room -= asked
		if asked > 0 {
			s.pulling(now, dots)
			e.flush(s, x)
		}
	}
}

// tick looks at all replicas.
func (e *exchanger) tick(s *Shard, now time.Time) {
	if len(e.order) == 0 || e.at.After(now) {
		return
	}
	e.at = now.Add(exchangeEvery)
	for _, x := range e.order {
		if e.unlinked {
			for _, peer := range slices.Sorted(maps.Keys(s.linked)) {
				x.SetLink(now, peer, s.linked[peer], x.clock())
			}
		}
		x.Tick(now, x.clock())
		x.noteLag(now)
		x.noteUnshared(now)
		s.rebuildLost(now, x)
		e.prune(s, now, x)
		s.recall(now, x.replica)
	}
	e.unlinked = false
	e.flush(s, e.order...)
	e.pull(s, now)
	s.stagesMoved()
}

func (e *exchanger) deadline() (time.Time, bool) { return e.at, len(e.order) > 0 }

// prune removes from the log what every home holds for certain, in large strides,
// and what is beyond the log's limit, loudly.
func (e *exchanger) prune(s *Shard, now time.Time, x *exchange) {
	if x.prunedAt.IsZero() {
		x.prunedAt = now
	}
	ripe := x.Common().Minus(x.replica.Floor())
	if void := x.replica.Voided(); !void.IsEmpty() && !x.replica.Retired() { // nobody else has them to wait for
		ripe.Union(void.Intersect(x.replica.Logged()))
	}
	if n := antientropy.Count(ripe); n >= pruneDots || n > 0 && now.Sub(x.prunedAt) >= pruneAfter {
		x.replica.Prune(ripe, &s.out.Rows)
		x.prunedAt = now
		s.stats.Prunes++
		s.stats.PrunedDots += n
	}
	if beyond := antientropy.Oldest(x.replica.Logged(), uint64(s.cfg.Limits.LogRows)); !beyond.IsEmpty() {
		x.replica.Prune(beyond, &s.out.Rows)
		s.stats.PrunedUnshared += antientropy.Count(beyond)
	}
}

// flush sends what the exchanges want sent, and asks to be told when the clocks
// that they speak of are durable.
func (e *exchanger) flush(s *Shard, changed ...*exchange) {
	var captured []capture
	for _, x := range changed {
		for _, send := range x.Take() {
			if m, ok := send.Msg.(*wire.Clock); ok {
				m.Outcomes = s.closer.digest(x.replica.ID())
			}
			s.send(send.To, send.Msg, send.Durable)
		}
		if clock, volatile := x.Captured(); volatile && clock.Compare(x.asked) != vclock.Equal {
			x.asked = clock
			captured = append(captured, capture{x, clock})
		}
	}
	if len(captured) > 0 {
		s.seq++
		e.syncs[s.seq] = captured
		s.out.Syncs = append(s.out.Syncs, s.seq)
	}
}

// synced notes that clocks are durable.
func (e *exchanger) synced(seq uint64) bool {
	captured, ok := e.syncs[seq]
	delete(e.syncs, seq)
	for _, c := range captured {
		c.x.Synced(c.clock)
	}
	return ok
}

// trusted reports whether a replica may count toward a read quorum (R17).
func (s *Shard) trusted(id replica.ID) bool {
	x := s.exchange.of[id]
	return x == nil || x.Trusted()
}

// ExchangeStatus is what is known of the exchange of one home replica.
type ExchangeStatus struct {
	Replica replica.ID
	// Trusted: it counts toward read quorums. If not, Waits are the homes that it
	// has to catch up with, and Unreachable those of them that are not linked.
	Trusted            bool
	Waits, Unreachable []string
	// Lag are the dots that other homes hold for certain and it lacks, Unserved
	// those of them that no home can give out of its log (R13).
	Lag, Unserved uint64
	// LogRows are the dots in its log; Unshared are not held by all homes yet.
	LogRows, Unshared uint64
}

// Untrusted lists the replicas that do not count toward read quorums.
func (s *Shard) Untrusted() (list []ExchangeStatus) {
	for _, x := range s.exchange.order {
		if !x.Former() && (!x.Trusted() || x.replica.Rebuilding()) {
			list = append(list, x.status())
		}
	}
	return list
}

// Exchanges lists the state of every home replica, in order.
func (s *Shard) Exchanges() []ExchangeStatus {
	list := make([]ExchangeStatus, 0, len(s.exchange.order))
	for _, x := range s.exchange.order {
		list = append(list, x.status())
	}
	return list
}

func (x *exchange) status() ExchangeStatus {
	unserved, _ := x.Unserved(x.clock())
	status := ExchangeStatus{
		Replica: x.replica.ID(), Trusted: x.Trusted(), Lag: x.Lag(x.clock()), Unserved: antientropy.Count(unserved),
		LogRows: antientropy.Count(x.replica.Logged()), Unshared: antientropy.Count(x.clock().Minus(x.Common())),
	}
	status.Waits, status.Unreachable = x.Waits()
	return status
}
