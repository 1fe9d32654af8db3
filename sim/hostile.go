package sim

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Messages that no honest peer can have made (F22), and bytes that got lost or changed
// on their way (F5). Nothing may come of them: what a replica takes in shows at once
// where the oracle compares it with the histories, and what is left behind in a shard
// in the calm. A lie that could be true is none of them: who is a member is believed.

// forge sends, beside a message, one like it that cannot be.
func (r *run) forge(from, to *node, m wire.Message, fate chance) {
	if !to.up || !r.occurs(IncidentForged) {
		return
	}
	f := forger{run: r, to: to, draw: fate}
	lie := f.lie(m)
	if lie == nil {
		return
	}
	r.hits.add(Forged)
	raw := wire.Append(nil, lie)
	of := replica.ID(wire.HeadOf(lie))
	life, guest, home := to.lives, f.guest(of), f.home(of)
	r.flying++
	r.agenda.after(r.delay(fate.with(7)), func() {
		r.flying--
		if to.lives != life { // it speaks of this very life
			return
		}
		to.act(func() {
			if to.lives != life || f.guest(of) != guest || f.home(of) != home {
				return // it speaks of these very incarnations
			}
			told, err := wire.Decode(raw)
			if err != nil {
				return // it looks wrong already
			}
			r.trace.note(line{what: "forged", from: from.name, to: to.name, msg: told}, hashMessage(raw))
			to.shards[to.shardOf(wire.HeadOf(told).Partition)].put(f.tell(from.name, told))
		})
	})
}

func (f *forger) tell(from string, m wire.Message) event {
	return func(now time.Time, s *core.Shard) { s.Message(now, from, m) }
}

// forger makes lies for one node.
type forger struct {
	run  *run
	to   *node
	draw chance
}

// lie is a message like m that cannot be, nil for kinds of which there is none.
func (f *forger) lie(m wire.Message) wire.Message {
	switch m := m.(type) {
	case *wire.Write:
		lie := *m
		lie.Op = f.op()
		lie.Head, lie.Delta = f.delta(m.Head, m.Delta, f.home(replica.ID(m.Head)))
		return &lie
	case *wire.Hint:
		lie := *m
		lie.Op = f.op()
		if f.draw.with(1).below(4) == 0 {
			lie.Slots = wire.AllSlots(f.run.cfg.Replicas + 1)
			return &lie
		}
		lie.Head, lie.Delta = f.delta(m.Head, m.Delta, f.guest(replica.ID(m.Head)))
		return &lie
	case *wire.Pull:
		lie := *m
		lie.Op, lie.Dots = f.op(), vclock.DotSet{}
		lie.Dots.AddSpan(f.stranger(), vclock.Span{Lo: 1, Hi: wire.PullDotsMax + 1})
		return &lie
	case *wire.Forward:
		lie := *m
		lie.Op = f.op()
		lie.Request.R, lie.Request.W = kindred.ReplicasMax, kindred.ReplicasMax
		return &lie
	case *wire.AuditTree:
		lie := *m
		lie.Op, lie.Parts = f.op(), m.Parts[:len(m.Parts)-1]
		return &lie
	case *wire.Read:
		lie := *m
		lie.Op, lie.Head = f.op(), f.nowhere()
		return &lie
	case *wire.HintOffer:
		lie := *m
		lie.Op, lie.Head = f.op(), f.nowhere()
		return &lie
	case *wire.Clock:
		lie := *m
		lie.Head = f.nowhere()
		return &lie
	}
	return nil
}

// guest is the incarnation in which the receiver mints as a guest.
func (f *forger) guest(id replica.ID) vclock.Actor {
	if f.to.up {
		return f.to.shards[f.to.shardOf(id.Partition)].shard.GuestIncarnation(id)
	}
	return replica.GuestIncarnation(id, f.to.start)
}

// home is the incarnation of the receiver as a home, as a guest if it has no layout yet.
func (f *forger) home(id replica.ID) vclock.Actor {
	var own vclock.Actor
	if s := f.run.oracle.shadows[place{f.to.index, id}]; s != nil {
		own = s.actor
	}
	if f.to.up && !own.IsZero() { // which may have gone over to another one that has not minted yet
		if now := f.to.shards[f.to.shardOf(id.Partition)].shard.Incarnation(id); !now.IsZero() {
			own = now
		}
	}
	if own.IsZero() {
		own = f.guest(id)
	}
	return own
}

// op is of no operation that anybody has.
func (f *forger) op() wire.OpID {
	return wire.OpID{Process: uint64(f.draw.with(2)) | 1, Seq: math.MaxUint64 - uint64(f.draw.with(3))%1000}
}

func (f *forger) stranger() vclock.Actor {
	return vclock.Actor{Disk: 1 << 40, Nonce: uint64(f.draw.with(4)) | 1}
}

// nowhere is a partition that the cluster does not have.
func (f *forger) nowhere() wire.Head {
	return wire.Head{Partition: uint32(f.run.cfg.Partitions + f.draw.with(5).below(100)), N: uint8(f.run.cfg.Replicas)}
}

// delta makes a delta one that nobody may take: own is an incarnation of the receiver,
// who alone knows which dots it has minted.
func (f *forger) delta(head wire.Head, d wire.Delta, own vclock.Actor) (wire.Head, wire.Delta) {
	d = wire.Delta{Siblings: d.Siblings.Clone(), Dots: d.Dots.Clone()}
	toCome := vclock.Dot{Actor: own, Counter: f.run.oracle.minted[own] + 1000 + uint64(f.draw.with(6).below(3))}
	switch f.draw.with(7).below(6) {
	case 0:
		d.Dots.Add(toCome)
		d.Siblings.Add(toCome, wire.Record{Value: []byte("forged")})
	case 1:
		d.Siblings.Context.Add(toCome)
	case 2:
		d.Dots.AddSpan(f.stranger(), vclock.Span{Lo: 1 + uint64(f.draw.with(8).below(2))*(math.MaxUint64-9), Hi: math.MaxUint64})
	case 3:
		d.Dots.AddSpan(f.stranger(), vclock.Span{Lo: 1, Hi: replica.DeltaDotsMax + 1})
	case 4:
		d.Siblings.Add(vclock.Dot{Actor: f.stranger(), Counter: 1}, wire.Record{Value: []byte("forged")})
	default:
		head = f.nowhere()
	}
	return head, d
}

// foresee sends, beside a message, one as a later version may say it (F18): in another
// format, of a kind that nobody knows yet, or with more at its end. Who gets it refuses
// it and goes on; to take it for something else would be to guess.
func (r *run) foresee(from, to *node, raw []byte, fate chance) {
	if !to.up || len(raw) < 2 || !r.occurs(IncidentForeseen) {
		return
	}
	later := bytes.Clone(raw)
	switch fate.with(1).below(3) {
	case 0:
		later[0]++
	case 1:
		later[1] = byte(math.MaxUint8 - fate.with(2).below(100))
	default:
		later = append(later, byte(fate.with(3)), 0)
	}
	life := to.lives
	r.flying++
	r.agenda.after(r.delay(fate.with(4)), func() {
		r.flying--
		if to.lives != life {
			return
		}
		to.act(func() {
			r.trace.note(line{what: "later", from: from.name, to: to.name}, hashMessage(later))
			_, err := wire.Decode(later)
			if refused := (*wire.DecodeError)(nil); !errors.As(err, &refused) {
				r.oracle.find("wire", "%s takes a message of a version that it does not know (%v)", to.name, err)
			}
			r.hits.add(LaterVersionRefused)
		})
	})
}

// mangle reads what is left of a message whose bytes were changed or cut off. Links
// have checksums, so that nobody takes it for a message; but whoever reads bytes must
// bear all of them.
func (r *run) mangle(raw []byte, fate chance) {
	if !r.occurs(IncidentMangled) || len(raw) == 0 {
		return
	}
	bad := bytes.Clone(raw)
	for i := range 1 + uint64(fate.with(1).below(3)) {
		bad[fate.with(2, i).below(len(bad))] ^= 1 << fate.with(3, i).below(8)
	}
	if fate.with(4).happens(0.3) {
		bad = bad[:fate.with(5).below(len(bad))]
	}
	if _, err := wire.Decode(slices.Clip(bad)); err != nil {
		r.hits.add(MangledRefused)
	}
}
