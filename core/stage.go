package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
)

// stageOp waits at a home replica until a write has travelled as far as asked. It
// is answered from what this home knows for certain; what it does not know, it
// waits for. Nothing is claimed early.
type stageOp struct {
	request
	id  replica.ID
	dot vclock.Dot
}

func (s *Shard) startStage(now time.Time, base request, homes []string, quorum kindred.Quorum) {
	dot, err := vclock.ParseDot(base.req.Dot)
	if err != nil {
		s.refuse(base.ask, kindred.Invalid("dot", "%v: pass the dot that the receipt of the write names", err))
		return
	}
	o := &stageOp{request: base, id: replica.ID(base.head), dot: dot}
	switch {
	case s.exchange.of[o.id] == nil || s.exchange.of[o.id].Former():
		quorum.Sloppy = false // a guest knows nothing of the others
		s.startForward(now, base, homes, quorum)
	case s.stageOf(o.id, dot) >= base.req.Stage:
		s.answer(base.ask, o.response(s))
	default:
		s.register(o)
		s.stages = append(s.stages, o)
	}
}

// stageOf is how far a write has come for certain, as this home knows it. The
// dots of a dead incarnation that nobody has are in every clock and on no disk.
func (s *Shard) stageOf(id replica.ID, dot vclock.Dot) kindred.Stage {
	x := s.exchange.of[id]
	if x == nil || x.replica.Voided().Contains(dot) {
		return kindred.StageNone
	}
	stage := x.Stage(dot, x.clock())
	if audited := s.auditor.status[id]; stage == kindred.Settled && audited != nil && audited.Audited.Contains(dot) {
		return kindred.Audited
	}
	return stage
}

func (o *stageOp) response(s *Shard) *kindred.Response {
	return &kindred.Response{Receipt: kindred.Receipt{Dot: o.req.Dot, Stage: s.stageOf(o.id, o.dot)}}
}

// stagesMoved answers those whose write has come far enough. It is called when
// more is known of a replica.
func (s *Shard) stagesMoved() {
	if len(s.stages) == 0 {
		return
	}
	s.stages = slices.DeleteFunc(s.stages, func(o *stageOp) bool {
		if s.operations[o.seq] == nil {
			return true
		}
		if s.stageOf(o.id, o.dot) < o.req.Stage {
			return false
		}
		s.finish(o)
		s.answer(o.ask, o.response(s))
		return true
	})
}

// expire says how far the write has come by then.
func (o *stageOp) expire(s *Shard, _ time.Time) {
	s.finish(o)
	s.answer(o.ask, o.response(s))
	s.stages = slices.DeleteFunc(s.stages, func(other *stageOp) bool { return other == o })
}
