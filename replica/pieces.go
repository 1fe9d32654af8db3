package replica

import (
	"fmt"

	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Pieces answers a pull from a snapshot of this moment (R9, R5). What is asked for and was pruned from
// the log is reported, not skipped: a receiver that took it for nothing would
// lack it for ever. The answer is cut short at bytesMax; a larger object travels
// alone.
func (m *Moment) Pieces(store storage.Snapshot, ask *wire.Pull, bytesMax int) *wire.Pieces {
	p := pieces{
		store: store, id: m.id, passes: m.passes, damage: m.damage, bytesMax: bytesMax, at: map[name]int{},
		out: &wire.Pieces{Head: ask.Head, Op: ask.Op, Base: baseOf(m.clock, m.beyond)},
	}
	if m.nameless || !m.stained.IsEmpty() {
		var err error
		if p.stain, err = m.readStain(store); err != nil {
			return &wire.Pieces{Head: ask.Head, Op: ask.Op, Failed: err.Error()}
		}
		p.out.Base = vclock.DotSet{} // each piece has its own
	}
	for actor, span := range ask.Dots.Intersect(m.clock).Spans() {
		if err := p.read(actor, span); err != nil {
			return &wire.Pieces{Head: ask.Head, Op: ask.Op, Failed: err.Error()}
		}
		if p.out.More {
			break
		}
	}
	return p.out
}

// Clock is the whole clock; it must not be changed.
func (m *Moment) Clock() vclock.DotSet { return m.clock }

// Filled is an object with all that the replica knew of its key (R5, R13), as it
// travels.
func (m *Moment) Filled(store storage.Snapshot, bucket, key string) (wire.Object, error) {
	object, err := Load(store, m.id, bucket, key)
	if err != nil {
		return wire.Object{}, err
	}
	for i := range object.Versions {
		object.Versions[i].Value.Apart = false
	}
	filled := object.Fill(m.clock)
	filled.Context.Union(m.beyond)
	if len(m.passes) > 0 {
		filled.Context.Union(m.passes.knows(place(nil, bucket, key)))
	}
	return filled, nil
}

// Damaged reports whether the replica may not speak for a key.
func (m *Moment) Damaged(bucket, key string) bool {
	return m.damage.Has(hashtree.LeafOf(ring.Hash(bucket, key)))
}

// CheckPull reports why a pull cannot be from an honest peer, or nil (I11).
func CheckPull(ask *wire.Pull) error {
	left := uint64(wire.PullDotsMax)
	for _, span := range ask.Dots.Spans() {
		if size := span.Hi - span.Lo; size >= left {
			return fmt.Errorf("a pull asks for more than %d dots", wire.PullDotsMax)
		}
		left -= span.Hi - span.Lo + 1
	}
	return nil
}

// name is an object of a replica.
type name struct{ bucket, key string }

// pieces gathers the objects behind a set of dots, each once.
type pieces struct {
	store  storage.Snapshot
	id     ID
	passes passes
	damage hashtree.Set
	// stain is nil but where the replica has retired.
	stain *stain
	out   *wire.Pieces
	// at is where the piece of an object is; a negative number is one that
	// cannot be read.
	at              map[name]int
	bytes, bytesMax int
}

// logged is a row of the log.
type logged struct {
	counter uint64
	name    name
	request [16]byte
}

// read takes the rows of one span from the log, and then their objects.
func (p *pieces) read(actor vclock.Actor, span vclock.Span) error {
	var rows []logged
	var bad error
	lo, hi := storage.LogActorRange(p.id.Partition, p.id.N, actorBytes(actor), span.Lo, span.Hi)
	err := p.store.Scan(lo, hi, func(row, value []byte) bool {
		_, _, _, counter, err := storage.ParseLogKey(row)
		if err == nil {
			var e storage.LogEntry
			e, err = storage.ParseLogEntry(value)
			rows = append(rows, logged{counter, name{string(e.Bucket), string(e.Key)}, e.RequestID})
		}
		bad = err
		return err == nil
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return err
	}
	next := span.Lo
	for _, row := range rows {
		if row.counter > next {
			p.out.Absent.AddSpan(actor, vclock.Span{Lo: next, Hi: row.counter - 1})
		}
		if !p.add(vclock.Dot{Actor: actor, Counter: row.counter}, row) {
			p.out.More = true
			return nil
		}
		next = row.counter + 1
	}
	if next <= span.Hi {
		p.out.Absent.AddSpan(actor, vclock.Span{Lo: next, Hi: span.Hi})
	}
	return nil
}

// add puts a dot into the piece of its object. It reports false if the object is
// too much for this answer.
func (p *pieces) add(d vclock.Dot, row logged) bool {
	at, known := p.at[row.name]
	if !known {
		object, err := Load(p.store, p.id, row.name.bucket, row.name.key)
		at = len(p.out.Pieces)
		piece := wire.Piece{Bucket: row.name.bucket, Key: row.name.key, Object: object}
		size := piece.Bytes()
		switch {
		case err != nil || p.damage.Has(hashtree.LeafOf(ring.Hash(row.name.bucket, row.name.key))):
			at = -1
		case at > 0 && p.bytes+size > p.bytesMax:
			return false
		default:
			for i := range piece.Object.Versions {
				piece.Object.Versions[i].Value.Apart = false
			}
			if len(p.passes) > 0 {
				piece.Object.Context.Union(p.passes.knows(place(nil, row.name.bucket, row.name.key)))
			}
			if p.stain != nil {
				p.stain.temper(&piece)
			}
			p.out.Pieces = append(p.out.Pieces, piece)
			p.bytes += size
		}
		p.at[row.name] = at
	}
	if at < 0 {
		p.out.Damaged.Add(d)
		return true
	}
	if piece := &p.out.Pieces[at]; !piece.Object.Has(d) {
		piece.Events = append(piece.Events, wire.DotRequest{Dot: d, ID: row.request})
	}
	return true
}
