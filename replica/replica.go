package replica

import (
	"fmt"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

const (
	// CheckpointEvery is the number of new dots after which a replica writes its
	// clock again. Raising it makes starts slower (that many log rows are read
	// per partition), lowering it makes writes dearer.
	CheckpointEvery = 1024
	// DeltaDotsMax bounds the dots one delta may bring, and with them the rows
	// that one message can cause.
	DeltaDotsMax = 4096
	// ApartBytes is the size from which a value lies in its own row.
	ApartBytes = 64 << 10
)

// ID names a replica on its node: the partition, and the n of its buckets.
type ID struct {
	Partition uint32
	N         uint8
}

// String is "partition/n".
func (id ID) String() string { return fmt.Sprintf("%d/%d", id.Partition, id.N) }

// Replica is the clock of one partition at one node, and what is needed to move
// it forward. The objects stay in the store.
type Replica struct {
	id    ID
	actor vclock.Actor
	clock vclock.DotSet
	// floor are the dots of the clock that are not in the log any more (R1, R12).
	floor   vclock.DotSet
	tree    hashtree.Tree
	recent  *Recent
	closing closing
	// passes say what the replica knows of its keys besides clock and contexts,
	// by the rebuild that it is in.
	passes  passes
	damage  damage
	watched watch
	// unsaved counts the dots since the last checkpoint.
	unsaved int
	// expiries tell when to look for what has expired.
	expiries Expiries
	// row and value are memory for building rows, which a batch copies.
	row, value []byte
	// was is memory for the versions of an object before a step.
	was []vclock.Version[wire.Record]
}

// scratchBytesMax is the size beyond which scratch memory is not kept.
const scratchBytesMax = 4 << 10

// New is a replica without a past, in the incarnation of that start of its node.
func New(id ID, start vclock.Actor, recent *Recent) *Replica {
	return &Replica{id: id, actor: incarnation(id, start), recent: recent}
}

// Renew begins another incarnation of the replica, which keeps all that it has.
func (r *Replica) Renew(start vclock.Actor) { r.actor = incarnation(r.id, start) }

// incarnation gives each replica of a node an actor of its own, so that a dot
// names one write in the whole cluster. A start needs to draw and to save one
// nonce only: the finisher of splitmix64 maps the replicas of one start to
// different nonces, because it is a bijection.
func incarnation(id ID, start vclock.Actor) vclock.Actor {
	return scatter(uint64(id.Partition)<<8|uint64(id.N), start)
}

// asGuest keeps the guests of a start apart from its replicas: an id has 24 bits.
const asGuest = 1 << 24

// GuestIncarnation is the actor of the guest that a node is of a partition. It is
// none of the actors of the replicas of that start.
func GuestIncarnation(id ID, start vclock.Actor) vclock.Actor {
	return scatter(asGuest|uint64(id.Partition)<<8|uint64(id.N), start)
}

// asLater keeps the later lives that a replica has in one start apart from both.
const asLater = 1 << 25

// StartOf is the start to make a replica of that its node has given up so many times
// since it started. What such a life has minted is known to others, and nothing of it is
// here any more: the next one counts its writes as another incarnation (I2).
func StartOf(start vclock.Actor, given uint32) vclock.Actor {
	if given == 0 {
		return start
	}
	return scatter(asLater|uint64(given)<<26, start)
}

func scatter(number uint64, start vclock.Actor) vclock.Actor {
	x := start.Nonce + number*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return vclock.Actor{Disk: start.Disk, Nonce: x ^ x>>31}
}

// Recover reads a replica's clock: the checkpoint, and the log rows above it
// (I4). The start must be durable by now, and nothing may have been minted in it
// (I2).
func Recover(id ID, start vclock.Actor, recent *Recent, store storage.Snapshot) (*Replica, error) {
	r := New(id, start, recent)
	saved, err := store.Get(storage.ClockKey(nil, id.Partition, id.N))
	switch err {
	case nil:
		if r.clock, r.floor, err = DecodeCheckpoint(saved); err != nil {
			return nil, fmt.Errorf("replica %v: the clock's checkpoint is damaged: %w", id, err)
		}
	case storage.ErrNotFound:
	default:
		return nil, fmt.Errorf("replica %v: reading the clock's checkpoint: %w", id, err)
	}
	if err := r.readTree(store); err != nil {
		return nil, fmt.Errorf("replica %v: reading the hash tree's checkpoint: %w", id, err)
	}
	if err := r.readDamage(store); err != nil {
		return nil, fmt.Errorf("replica %v: reading the marks of damage: %w", id, err)
	}
	if err := r.readLog(store); err != nil {
		return nil, fmt.Errorf("replica %v: reading the dot log: %w", id, err)
	}
	if err := r.recoverExpiries(store); err != nil {
		return nil, err
	}
	if r.passes, err = readPasses(id, store); err != nil {
		return nil, fmt.Errorf("replica %v: reading its rebuild: %w", id, err)
	}
	if top := r.clock.Max(r.actor); top > 0 {
		return nil, fmt.Errorf("replica %v: incarnation %v has already minted %d dots; a start needs a new one", id, r.actor, top)
	}
	return r, nil
}

// readLog adds the dots of the log to the clock, and what they changed to the hash
// tree. It leaps over what the
// checkpoint covers, so that it reads each actor's new rows only.
func (r *Replica) readLog(store storage.Snapshot) error {
	lo, hi := storage.LogRange(r.id.Partition, r.id.N)
	for lo != nil {
		from := lo
		lo = nil
		var bad error
		err := store.Scan(from, hi, func(row, value []byte) bool {
			_, _, actor, counter, err := storage.ParseLogKey(row)
			if err != nil {
				bad = err
				return false
			}
			d := vclock.Dot{Actor: actorFrom(actor), Counter: counter}
			if d.Actor.IsZero() || counter > vclock.CounterMax {
				bad = &storage.RowError{Row: "log key", Bytes: row, Reason: "nobody can have minted its dot"}
				return false
			}
			if base := r.clock.Base(d.Actor); counter <= base {
				// The base of a closed actor has no end: then this leaps to the next.
				lo = storage.LogKey(nil, r.id.Partition, r.id.N, actor, min(base, vclock.CounterMax)+1)
				return false
			}
			entry, err := storage.ParseLogEntry(value)
			if err != nil {
				bad = err
				return false
			}
			key := ring.Hash(string(entry.Bucket), string(entry.Key))
			if r.clock.Add(d) {
				r.unsaved++
				r.tree.Change(key, entry.Change)
			}
			r.recent.Add(entry.RequestID, key, d)
			return true
		})
		if err != nil {
			return err
		}
		if bad != nil {
			return bad
		}
	}
	return nil
}

// Clone is a replica that goes its own way from here, for those who try what
// could happen next. It remembers the same requests as r.
func (r *Replica) Clone() *Replica {
	return &Replica{
		id: r.id, actor: r.actor, clock: r.clock.Clone(), floor: r.floor.Clone(), tree: *r.tree.Clone(),
		recent: r.recent, closing: r.closing.clone(), unsaved: r.unsaved, expiries: r.expiries,
		passes: r.passes.clone(), damage: r.damage.clone(),
	}
}

// ID names the replica.
func (r *Replica) ID() ID { return r.id }

// Actor is this incarnation.
func (r *Replica) Actor() vclock.Actor { return r.actor }

// Clock is every dot applied so far; the caller must not change it.
func (r *Replica) Clock() vclock.DotSet { return r.clock }

// Base is what is known of every key: the gap-free part of the clock, and what lost
// rows may have told beyond it. It fills a page of objects that were read at this very
// moment (R5).
func (r *Replica) Base() vclock.DotSet { return baseOf(r.clock, r.damage.beyond) }

func baseOf(clock, beyond vclock.DotSet) vclock.DotSet {
	base := clock.Bases()
	base.Union(beyond)
	return base
}

// Checkpoint writes the clock if it has moved since it was last written, and with
// it the hash tree: both are of one moment, and the log is read above it.
func (r *Replica) Checkpoint(rows *storage.Batch) {
	if r.unsaved == 0 {
		return
	}
	r.saveClock(rows)
}

func (r *Replica) saveClock(rows *storage.Batch) {
	r.unsaved = 0
	r.unclaim(rows)
	rows.Set(storage.ClockKey(nil, r.id.Partition, r.id.N), r.floor.AppendTo(r.clock.AppendTo(nil)))
	r.saveTree(rows)
}

// DecodeCheckpoint reads a clock and its floor as Checkpoint wrote them.
func DecodeCheckpoint(b []byte) (clock, floor vclock.DotSet, err error) {
	clock, rest, err := vclock.DecodeDotSet(b)
	if err == nil {
		floor, rest, err = vclock.DecodeDotSet(rest)
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes too many", len(rest))
	}
	if err == nil && !clock.Covers(floor) {
		err = fmt.Errorf("the floor %v is not within the clock %v", floor, clock)
	}
	return clock, floor, err
}

// mint takes the next dot. The clock takes it when its effect is applied.
func (r *Replica) mint() vclock.Dot {
	return vclock.Dot{Actor: r.actor, Counter: r.clock.Base(r.actor) + 1}
}

// log records that the dot changed the key, and its leaf of the hash tree by that.
func (r *Replica) log(rows *storage.Batch, d vclock.Dot, k *Key, id kindred.RequestID, change uint64) {
	r.row = storage.LogKey(r.row[:0], r.id.Partition, r.id.N, actorBytes(d.Actor), d.Counter)
	r.value = storage.AppendLogEntry(r.value[:0], storage.LogEntry{Bucket: []byte(k.bucket), Key: []byte(k.name), RequestID: id, Change: change})
	rows.Set(r.row, r.value)
	r.unsaved++
}

// admit reports why a delta cannot be from an honest peer (I2, I11), or nil.
func (r *Replica) admit(d wire.Delta) error {
	if err := CheckDelta(d); err != nil {
		return err
	}
	if r.forges(d.Dots) || r.forges(d.Context) {
		return kindred.Invalid("dots", "a delta speaks of dots of %v, which this very incarnation has not minted", r.actor)
	}
	return nil
}

// CheckDelta reports why a delta cannot be from an honest peer, whoever takes it.
func CheckDelta(d wire.Delta) error {
	if err := d.Check(); err != nil {
		return err
	}
	total := uint64(0)
	for actor, span := range d.Dots.Spans() {
		if span.Hi > vclock.CounterMax {
			return kindred.Invalid("dots", "a delta brings dots of %v that have no end", actor)
		}
		size := span.Hi - span.Lo + 1
		if size > DeltaDotsMax || total+size > DeltaDotsMax {
			return &kindred.Error{
				Code: kindred.CodeTooLarge, Field: "dots", Limit: DeltaDotsMax, Outcome: kindred.NotApplied,
				Message: fmt.Sprintf("a delta brings more than %d dots", DeltaDotsMax),
			}
		}
		total += size
	}
	return nil
}

// CheckContext refuses a client's context that names writes of this very
// incarnation which do not exist. An object that took it in would pass for one
// that has seen those writes: they would be dropped when they are made.
func (r *Replica) CheckContext(seen vclock.DotSet) *kindred.Error {
	if r.forges(seen) {
		return ForgedContext()
	}
	return nil
}

// ForgedContext is the refusal of a context that names writes which do not exist.
func ForgedContext() *kindred.Error {
	return badContext("the context names writes that were never made: pass it exactly as a read of this key returned it")
}

// forges reports whether a set holds dots that only this incarnation can mint
// and has not.
func (r *Replica) forges(set vclock.DotSet) bool { return set.Max(r.actor) > r.clock.Base(r.actor) }

// Check verifies the replica's numbered invariants, as far as memory shows them.
func (r *Replica) Check() error {
	if err := r.clock.Check(); err != nil {
		return err
	}
	if r.clock.Base(r.actor) != r.clock.Max(r.actor) {
		return fmt.Errorf("replica %v: invariant 2: own dots have a gap: %v", r.id, r.clock)
	}
	if beyond := r.damage.beyond; !r.clock.Covers(beyond) {
		return fmt.Errorf("replica %v: invariant 5: the clock does not have %v", r.id, beyond.Minus(r.clock))
	}
	return nil
}

func actorBytes(a vclock.Actor) (b [16]byte) {
	a.AppendTo(b[:0])
	return b
}

func actorFrom(b [16]byte) (a vclock.Actor) {
	for i := range 8 {
		a.Disk = a.Disk<<8 | uint64(b[i])
		a.Nonce = a.Nonce<<8 | uint64(b[i+8])
	}
	return a
}
