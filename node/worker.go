package node

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

const (
	// EventsPerRound bounds how many events a shard takes before it commits.
	EventsPerRound = 512
	// RoundBytesMax bounds the rows of a round in the same way: what is beyond it
	// after an event is committed at once, long before a batch is too large.
	RoundBytesMax = 16 << 20
	// bulkBytes is the size from which a message travels on the bulk link.
	bulkBytes = 64 << 10
	// deadlineGrain is how exactly deadlines are kept.
	deadlineGrain = 5 * time.Millisecond
)

// sender is what a worker needs of the transport, and of who tells peers of layouts.
type sender interface {
	Send(to string, msg []byte) error
	SendBulk(to string, msg []byte) error
	Differ(peer string)
}

// worker runs one shard: it feeds it events and carries out its effects in the
// order that package core demands.
type worker struct {
	shard  *recording.Shard
	inbox  *inbox
	engine storage.Engine
	commit *committer
	peers  sender
	loads  *loader
	filter *filter
	cache  *cache
	spoilt *quarantine
	reel   *reel // nil if the node does not record
	fail   func(error)
	done   chan struct{}
	// failed is set by run before it closes done.
	failed bool
	// broken is set by an event that leaves the shard half of what it has to be: it is
	// given nothing more.
	broken error
	// begun: the shard works by a layout.
	begun bool

	mu      sync.Mutex
	pending map[uint64]asked
	token   uint64
	// waits is told how long clients wait, if anybody wants to know.
	waits *waits

	// settled loads of the effects will be read; noted bytes of their rows are in
	// the filter and the cache.
	settled, noted int
	// pages and looks are how many there were before the effects.
	pages, looks uint64
	// absent counts the loads that the filter answered, cached those that the cache
	// did, read the others.
	absent, cached, read    atomic.Uint64
	filterBytes, cacheBytes atomic.Int64

	buf []byte
}

func newWorker(shard *recording.Shard, engine storage.Engine, spoilt *quarantine, commit *committer, peers sender, shards int, reel *reel, fail func(error)) *worker {
	w := &worker{
		shard: shard, inbox: newInbox(), engine: engine, spoilt: spoilt, commit: commit, peers: peers, reel: reel, fail: fail,
		filter: newFilter(FilterBytesMax / shards), cache: newCache(CacheBytesMax / shards), done: make(chan struct{}), pending: map[uint64]asked{},
	}
	w.loads = startLoader(engine, w.inbox, w.cache, reel)
	return w
}

// asked is a request of a client, and when it came if its wait is measured.
type asked struct {
	answer func(*kindred.Response)
	at     time.Time
}

// do starts a client's request; answer is called once, from any goroutine.
func (w *worker) do(req *kindred.Request, answer func(*kindred.Response)) {
	one := asked{answer: answer}
	w.mu.Lock()
	w.token++
	token := w.token
	if token%sampled == 0 && w.waits != nil && req.Op != kindred.OpScan {
		one.at = time.Now()
	}
	w.pending[token] = one
	w.mu.Unlock()
	if !w.inbox.put(func(now time.Time, s *recording.Shard) { s.Request(now, token, req) }) {
		w.reply(token, &kindred.Response{Err: stopping(req.Op)})
	}
}

func (w *worker) reply(token uint64, resp *kindred.Response) {
	w.mu.Lock()
	one := w.pending[token]
	delete(w.pending, token)
	w.mu.Unlock()
	if !one.at.IsZero() {
		w.waits.add(time.Since(one.at))
	}
	if one.answer != nil {
		one.answer(resp)
	}
}

// run serves the shard until quit is closed, whatever else waits then, or until
// the store fails.
func (w *worker) run(quit <-chan struct{}) {
	defer close(w.done)
	defer w.reel.save(w.shard) // also of a shard that panics
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var events []event
	for {
		events = w.inbox.take(events)
		if len(events) == 0 {
			w.arm(timer)
			select {
			case <-quit:
				return
			case <-w.inbox.wake:
				runtime.Gosched() // more may be about to arrive: one batch for all
			case <-timer.C:
				w.inbox.put(func(now time.Time, s *recording.Shard) { s.Tick(now) })
			}
			continue
		}
		for rest := events; len(rest) > 0; {
			select {
			case <-quit:
				return
			default:
			}
			round := rest[:min(len(rest), EventsPerRound)]
			rest = rest[len(round):]
			if err := w.round(round); err != nil {
				w.failed = true
				w.fail(err)
				w.inbox.close()
				w.abandon() // a drain waits for these answers
				return
			}
		}
	}
}

func (w *worker) arm(timer *time.Timer) {
	wait := time.Hour
	if at, ok := w.shard.Deadline(); ok {
		wait = max(at.Sub(w.shard.Now(time.Now())), 0) + deadlineGrain
	}
	timer.Reset(wait)
}

// round gives the shard a batch of events and carries out what comes of it, more
// than once if it is much.
func (w *worker) round(events []event) error {
	now := w.shard.Now(time.Now())
	for _, e := range events {
		if e(now, w.shard); w.broken != nil {
			return w.broken
		}
		out := w.shard.Effects()
		w.settle(now, out)
		if out.Rows.Bytes() > RoundBytesMax {
			if err := w.perform(); err != nil {
				return err
			}
		}
	}
	if at, ok := w.shard.Deadline(); ok && !at.After(now) {
		w.shard.Tick(now)
	}
	return w.perform()
}

// settle answers the loads of objects that are in the cache, and of those that
// certainly are not stored, nor among the rows that are about to be: their steps run
// at once, and what comes of them leaves with this round. The others are read once
// the rows are applied.
func (w *worker) settle(now time.Time, out *core.Effects) {
	for i := w.settled; i < len(out.Loads); i++ { // an answer may ask for more
		w.note(out)
		load := out.Loads[i]
		if object, reads, ok := w.known(load); ok {
			w.shard.Loaded(now, load.Row, object, reads, nil)
			continue
		}
		out.Loads[w.settled] = load
		w.settled++
	}
	clear(out.Loads[w.settled:])
	out.Loads = out.Loads[:w.settled]
	w.shard.Settled(w.settled)
}

// known is an object that need not be read, and what it was made of if that is recorded.
func (w *worker) known(load core.Load) (wire.Object, *recording.Log, bool) {
	if row := w.cache.get(load.Row); row != nil {
		reads := w.reel.log(nil)
		object, err := replica.Load(reads.Reader(cachedReader{row}), load.Replica, load.Bucket, load.Key)
		if err == nil {
			w.cached.Add(1)
			return object, reads, true
		}
	}
	if w.filter.absent(load.Replica, load.Row) {
		w.absent.Add(1)
		return wire.Object{}, nil, true
	}
	return wire.Object{}, nil, false
}

// note brings the filter and the cache up to date with the rows.
func (w *worker) note(out *core.Effects) {
	if bytes := out.Rows.Bytes(); bytes > w.noted {
		w.filter.note(&out.Rows, w.noted)
		w.cache.note(&out.Rows, w.noted)
		w.noted = bytes
	}
}

// perform carries out effects: first the rows, then what depended on them.
func (w *worker) perform() error {
	out := w.shard.Take()
	if out.Rows.Len() > 0 {
		w.note(out)
		// The dots of these rows exist already. Admission refuses new work when
		// the disk runs full; what was admitted has the reserve.
		out.Rows.MarkEssential()
		if err := w.spoilt.apply(&out.Rows); err != nil {
			return err
		}
		w.commit.touch()
	}
	if len(out.Discards) > 0 {
		w.cache.reset()
		if _, err := w.spoilt.discard(out.Discards, &out.Rows); err != nil {
			return err
		}
	}
	w.release(out)
	for _, peer := range out.Differ {
		w.peers.Differ(peer)
	}
	for _, r := range out.Replies {
		w.reply(r.Token, r.Response)
	}
	w.read.Add(uint64(len(out.Loads)))
	w.loads.add(out.Loads)
	err := w.readPages(out.Pages)
	if err == nil {
		err = w.lookUp(out.Looks)
	}
	out.Reset()
	w.settled, w.noted = 0, 0
	w.filterBytes.Store(int64(w.filter.bytes()))
	w.cacheBytes.Store(int64(w.cache.bytes()))
	return err
}

// release sends what may go now, and the rest once the rows are durable.
func (w *worker) release(out *core.Effects) {
	var held []core.Send
	for _, send := range out.Sends {
		if send.Sync {
			held = append(held, send)
			continue
		}
		w.buf = deliver(w.peers, w.buf, send)
	}
	if len(held) == 0 && len(out.Syncs) == 0 {
		return
	}
	syncs := append([]uint64(nil), out.Syncs...)
	w.commit.after(func() {
		var buf []byte
		for _, send := range held {
			buf = deliver(w.peers, buf, send)
		}
		if len(syncs) > 0 {
			w.inbox.put(func(_ time.Time, s *recording.Shard) { s.Synced(syncs) })
		}
	})
}

// deliver encodes a message and hands it to its link. A link that cannot take it
// is an unreachable peer to the protocol, which bears the loss.
func deliver(peers sender, buf []byte, send core.Send) []byte {
	buf = wire.Append(buf[:0], send.Msg)
	if len(buf) >= bulkBytes {
		_ = peers.SendBulk(send.To, buf)
	} else {
		_ = peers.Send(send.To, buf)
	}
	if cap(buf) > 1<<20 {
		return nil
	}
	return buf
}

// readPages takes one snapshot for all pages, and each clock's base at this very
// moment, between two events (R5). The reading is done elsewhere.
func (w *worker) readPages(asks []*wire.ScanRead) error {
	if len(asks) == 0 {
		return nil
	}
	snapshot, err := w.engine.Snapshot()
	if err != nil {
		return err
	}
	reads := make([]pageRead, 0, len(asks))
	for i, ask := range asks {
		id := replica.ID{Partition: ask.Partition, N: ask.N}
		if base, ok := w.shard.Base(id); ok {
			reads = append(reads, pageRead{number: w.pages + uint64(i), ask: ask, id: id, base: base})
		}
	}
	w.pages += uint64(len(asks))
	w.loads.pages(snapshot, reads)
	return nil
}

// lookUp takes one snapshot for all looks and lets each take along what has to be
// of this moment. The reading is done elsewhere.
func (w *worker) lookUp(looks []core.Look) error {
	if len(looks) == 0 {
		return nil
	}
	snapshot, err := w.engine.Snapshot()
	if err != nil {
		return err
	}
	readings := make([]core.Reading, 0, len(looks))
	for _, look := range looks {
		readings = append(readings, look.Begin())
	}
	w.loads.look(snapshot, w.looks, readings)
	w.looks += uint64(len(looks))
	return nil
}

// work makes the shard work by the phase, with the replicas of it that were
// recovered. The filter learns in the background what they have stored.
func (w *worker) work(s *recording.Shard, phase *ring.Phase, recovered []*replica.Replica) {
	s.SetPhase(phase, recovered)
	var ids []replica.ID
	for _, r := range recovered {
		ids = append(ids, r.ID())
	}
	w.loads.survey(ids, w.filter)
}

func stopping(op kindred.Op) *kindred.Error {
	return &kindred.Error{Code: kindred.CodeStopping, Outcome: kindred.NotApplied, Message: op.String() + ": the node is shutting down: ask another node"}
}

// stop ends a worker whose quit is closed: it saves the clocks, and answers what
// is left with the truth about it.
func (w *worker) stop() {
	<-w.done
	w.inbox.close()
	w.loads.stop()
	if w.failed {
		w.abandon()
		return
	}
	w.shard.Checkpoint()
	if err := w.perform(); err != nil {
		w.fail(err)
	}
	w.abandon()
}

// abandon answers requests whose outcome nobody will learn.
func (w *worker) abandon() {
	w.mu.Lock()
	left := w.pending
	w.pending = map[uint64]asked{}
	w.mu.Unlock()
	for _, one := range left {
		one.answer(&kindred.Response{Err: &kindred.Error{
			Code: kindred.CodeStopping, Outcome: kindred.Unknown,
			Message: "the node went down while the request was in progress",
		}})
	}
}
