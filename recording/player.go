package recording

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// Player gives a new shard what a recorded one was given, and compares what comes of
// it. It plays the shell as package sim does: without disk, network or clock.
type Player struct {
	header Header
	shard  *core.Shard
	out    taker
	step   uint64
	// pages and looks are what the shard waits for, by number; firstPage and
	// firstLook are how many there were before the current take.
	pages     map[uint64]*wire.ScanRead
	looks     map[uint64]*look
	firstPage uint64
	firstLook uint64
	recovered map[replica.ID]*replica.Replica
}

// look is a reading whose answers come in parts.
type look struct {
	reading core.Reading
	reads   []byte
}

// NewPlayer is for the recording that begins with that header: its first file.
func NewPlayer(h Header) (*Player, error) {
	if h.First != 0 {
		return nil, fmt.Errorf("recording: the first %d steps are not here", h.First)
	}
	return &Player{
		header: h,
		shard:  core.New(core.Config{Node: h.Node, Start: h.Actor, Clean: h.Clean, Limits: h.Limits}),
		pages:  map[uint64]*wire.ScanRead{}, looks: map[uint64]*look{}, recovered: map[replica.ID]*replica.Replica{},
	}, nil
}

// DivergedError says that a step did something else than when it was recorded.
type DivergedError struct {
	// Step is the first that differs.
	Step uint64
	Why  string
}

func (e *DivergedError) Error() string {
	return fmt.Sprintf("step %d differs from the recorded one: %s", e.Step, e.Why)
}

// PanicError says that the shard panicked, as a shard does whose own law is broken.
type PanicError struct {
	Step  uint64
	Value string
	Stack string
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("the shard panics in step %d: %s", e.Step, e.Value)
}

// Play gives the shard the next event, and returns what comes of it. Afterwards the
// player cannot go on if there is an error.
func (p *Player) Play(e *Event) (out Outcome, err error) {
	step := p.step
	p.step++
	if e.Sum != p.out.sum {
		return out, &DivergedError{max(step, 1) - 1, "what came out of it is not what came then"}
	}
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Step: step, Value: fmt.Sprint(v), Stack: string(debug.Stack())}
		}
	}()
	if err := p.give(e); err != nil {
		return out, &DivergedError{step, err.Error()}
	}
	if e.Kind != Taken {
		p.out.add(p.shard.Effects(), &out)
	}
	return out, nil
}

// Sum is of all that has come out so far.
func (p *Player) Sum() Sum { return p.out.sum }

// now is the time of an event as the recorded shard was given it.
func (p *Player) now(e *Event) time.Time { return p.header.Began.Add(e.At) }

func (p *Player) give(e *Event) error {
	s, now := p.shard, p.now(e)
	switch e.Kind {
	case Recover, RecoverHints, RecoverPromises:
		return p.recover(e)
	case Phase:
		return p.setPhase(e)
	case Buckets:
		registry, err := buckets.Decode(e.Bytes)
		if err != nil {
			return err
		}
		s.SetBuckets(registry)
	case Wall:
		s.SetWall(e.Ahead)
	case Link:
		s.SetLink(now, e.Peer, e.Up)
	case Full:
		s.SetFull(e.Full)
	case Drain:
		s.Drain()
	case Resume:
		s.Resume()
	case Request:
		s.Request(now, e.Number, e.Request)
	case Message:
		s.Message(now, e.Peer, e.Message)
	case Loaded:
		return p.load(now, e)
	case Paged:
		return p.page(now, e)
	case Read, Seen:
		return p.see(now, e)
	case Synced:
		s.Synced(e.Syncs)
	case Tick:
		s.Tick(now)
	case AuditRange:
		s.AuditRange(e.Low, e.High)
	case Discarded:
		s.Discarded()
	case Repair:
		s.Repair(now, e.Partition)
	case Checkpoint:
		s.Checkpoint()
	case Drop:
		for _, id := range e.Replicas {
			s.Drop(id)
		}
	case Taken:
		p.take()
	}
	return nil
}

// recover plays what was read at the start. What could not be read then stops the
// node, and cannot be read now.
func (p *Player) recover(e *Event) error {
	store := &found{d: decoder{b: e.Reads}}
	switch e.Kind {
	case RecoverHints:
		_ = p.shard.RecoverHints(store, p.header.Mine)
	case RecoverPromises:
		_ = p.shard.RecoverPromises(store, p.header.Mine)
	case Recover:
		if len(e.Replicas) != 1 {
			return fmt.Errorf("it recovers %d replicas at once", len(e.Replicas))
		}
		if r, err := p.shard.Recover(e.Replicas[0], store); err == nil {
			p.recovered[e.Replicas[0]] = r
		}
	}
	return store.done()
}

func (p *Player) setPhase(e *Event) error {
	phase, err := ring.DecodePhase(e.Bytes)
	if err != nil {
		return err
	}
	var recovered []*replica.Replica
	for _, id := range e.Replicas {
		r := p.recovered[id]
		if r == nil {
			return fmt.Errorf("replica %v was not recovered", id)
		}
		recovered = append(recovered, r)
		delete(p.recovered, id)
	}
	p.shard.SetPhase(phase, recovered)
	return nil
}

func (p *Player) load(now time.Time, e *Event) error {
	if e.Absent {
		p.shard.Loaded(now, e.Row, wire.Object{}, nil)
		return nil
	}
	id, bucket, key, err := objectRow(e.Row)
	if err != nil {
		return err
	}
	store := &found{d: decoder{b: e.Reads}}
	object, err := replica.Load(store, id, bucket, key)
	if err := store.done(); err != nil {
		return err
	}
	p.shard.Loaded(now, e.Row, object, err)
	return nil
}

func (p *Player) page(now time.Time, e *Event) error {
	ask := p.pages[e.Number]
	page, ok := e.Message.(*wire.ScanReply)
	if ask == nil || !ok {
		return fmt.Errorf("it has not asked for page %d", e.Number)
	}
	delete(p.pages, e.Number)
	p.shard.Paged(now, ask, page)
	return nil
}

func (p *Player) see(now time.Time, e *Event) error {
	l := p.looks[e.Number]
	if l == nil {
		return fmt.Errorf("it has not asked for look %d", e.Number)
	}
	l.reads = append(l.reads, e.Reads...)
	if e.Kind == Read {
		return nil
	}
	delete(p.looks, e.Number)
	store := &found{d: decoder{b: l.reads}}
	seen := l.reading(store)
	if err := store.done(); err != nil {
		return err
	}
	seen(now)
	return nil
}

// take does what of the carrying out of effects concerns the shard.
func (p *Player) take() {
	out := p.shard.Effects()
	for _, ask := range out.Pages {
		p.pages[p.firstPage] = ask
		p.firstPage++
	}
	for _, l := range out.Looks {
		p.looks[p.firstLook] = &look{reading: l.Begin()}
		p.firstLook++
	}
	out.Reset()
	p.out.taken()
}
