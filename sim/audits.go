package sim

import (
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/wire"
)

// Audits that do not get to their end (F19): a node that asks or answers loses power, the
// two lose sight of one another, or the same replicas are to be audited anew. What was
// damaged has to be restored all the same (auditEverything), and the histories are
// compared with what is stored after every row that an audit restores.

// isAudit reports whether a message is a question of an audit, or an answer to one.
func isAudit(k wire.Kind) bool { return k >= wire.KindAuditTree && k <= wire.KindAuditObjects }

// interruptAudit interrupts, now and then, the audit that a message is of.
func (r *run) interruptAudit(from, to *node, m wire.Message) {
	draw := r.draw(0xA0D1, uint64(from.index), uint64(to.index))
	if r.calm || !isAudit(wire.KindOf(m)) || !draw.happens(r.cfg.Fault.AfterAudit) || !r.occurs(IncidentAfterAudit) {
		return
	}
	switch draw.with(1).below(4) {
	case 0:
		r.cutAudit(from, to, draw.with(2))
	case 1:
		r.auditAnew(from, to, replica.ID(wire.HeadOf(m)))
	default:
		r.crashAudit([]*node{from, to}[draw.with(3).below(2)], draw.with(4))
	}
}

func (r *run) cutAudit(from, to *node, draw chance) {
	if from.auditing() || to.auditing() {
		r.hits.add(AuditCut)
	}
	c := cut{{from.index, to.index}: true, {to.index, from.index}: true}
	r.broke(FaultLinks)
	r.cutOff(c, "the two of an audit")
	r.agenda.after(draw.about(r.cfg.Fault.CutFor), func() { r.heal(c) })
}

// auditAnew asks both nodes for an audit of the replica, while one is under way.
func (r *run) auditAnew(from, to *node, id replica.ID) {
	for _, n := range []*node{from, to} {
		if !n.up {
			continue
		}
		if n.auditing() {
			r.hits.add(AuditAskedAgain)
		}
		n.shards[n.shardOf(id.Partition)].put(func(_ time.Time, s *core.Shard) { s.Audit(id) })
	}
}

func (r *run) crashAudit(n *node, draw chance) {
	life := n.lives
	r.agenda.after(draw.with(1).about(2*time.Millisecond), func() {
		if n.lives != life || !n.up || r.calm {
			return
		}
		if n.auditing() {
			r.hits.add(AuditCrashed)
		}
		r.kill(n, float64(draw.with(2).below(3))/2, draw.with(3))
	})
}

// auditing reports whether an audit of some replica of the node is under way.
func (n *node) auditing() bool {
	for _, s := range n.shards {
		for _, status := range s.shard.Audits() {
			if status.Running {
				return true
			}
		}
	}
	return false
}
