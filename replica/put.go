package replica

import (
	"fmt"
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// Put decides when a write has been acknowledged by enough nodes. It counts each
// home replica once, and each guest that was invited, whatever is repeated, and
// never fewer than asked.
type Put struct {
	group
	// base are the homes of the layout before, as long as they count too: each group
	// needs a quorum of its own (R23).
	base   *group
	dot    vclock.Dot
	acked  []string
	failed []kindred.NodeFailure
}

// group are the homes of a partition by one layout, and who stands in for some.
type group struct {
	homes  []string
	guests []string
	quorum kindred.Quorum
}

// NewPut waits for quorum.W nodes to acknowledge the write event d, quorum.PW of
// them homes. In a strict quorum every one is a home.
func NewPut(homes []string, quorum kindred.Quorum, d vclock.Dot) *Put {
	return &Put{group: group{homes: homes, quorum: quorum}, dot: d, acked: make([]string, 0, len(homes))}
}

// SetBase demands a quorum of these homes as well, those of the layout before.
func (p *Put) SetBase(homes []string, quorum kindred.Quorum) {
	p.base = &group{homes: homes, quorum: quorum}
}

// DropBase demands it no more. What those have said who were asked for its sake alone is
// forgotten: a home of the layout before is no guest of this one, and nobody has spoken
// in the place of those who are still silent.
func (p *Put) DropBase() {
	p.base = nil
	p.acked = slices.DeleteFunc(p.acked, func(node string) bool { return !p.counts(node) })
	p.failed = slices.DeleteFunc(p.failed, func(f kindred.NodeFailure) bool { return !p.counts(f.Node) })
}

// Dot names the write event.
func (p *Put) Dot() vclock.Dot { return p.dot }

// Invite lets a node acknowledge that is no home and keeps the write for one that
// cannot be reached. A strict quorum takes no guests.
func (p *Put) Invite(guest string) { p.group.invite(guest) }

// InviteBase lets a node acknowledge in the place of a home of the layout before.
func (p *Put) InviteBase(guest string) {
	if p.base != nil {
		p.base.invite(guest)
	}
}

func (g *group) invite(guest string) {
	if g.quorum.Sloppy && !g.counts(guest) {
		g.guests = append(g.guests, guest)
	}
}

// counts reports whether an answer of the node means anything.
func (g *group) counts(node string) bool {
	return slices.Contains(g.homes, node) || slices.Contains(g.guests, node)
}

// met counts the nodes of the group among those, and reports whether they are enough.
func (g *group) met(acked []string) (got int, enough bool) {
	homes := 0
	for _, node := range acked {
		switch {
		case slices.Contains(g.homes, node):
			got, homes = got+1, homes+1
		case slices.Contains(g.guests, node):
			got++
		}
	}
	return got, got >= g.quorum.W && homes >= g.quorum.PW
}

func (p *Put) counts(node string) bool {
	return p.group.counts(node) || p.base != nil && p.base.counts(node)
}

// Ack counts an acknowledgement. It reports whether it was the first of a node
// that counts.
func (p *Put) Ack(node string) bool {
	if slices.Contains(p.acked, node) || !p.counts(node) {
		return false
	}
	p.acked = append(p.acked, node)
	p.failed = slices.DeleteFunc(p.failed, func(f kindred.NodeFailure) bool { return f.Node == node })
	return true
}

// Fail notes why a node has not acknowledged. It may still do so later.
func (p *Put) Fail(node, reason string) {
	if p.counts(node) && !slices.Contains(p.acked, node) {
		p.failed = noteFailure(p.failed, node, reason)
	}
}

// Failed reports whether the node has said that it cannot take the write.
func (p *Put) Failed(node string) bool {
	return slices.ContainsFunc(p.failed, func(f kindred.NodeFailure) bool { return f.Node == node })
}

// Waiting lists the homes and guests that have not acknowledged.
func (p *Put) Waiting() []string { return without(p.asked(), p.acked) }

func (p *Put) asked() []string {
	if p.base == nil {
		return slices.Concat(p.homes, p.guests)
	}
	asked := slices.Clone(p.homes)
	for _, list := range [...][]string{p.base.homes, p.guests, p.base.guests} {
		asked = append(asked, without(list, asked)...)
	}
	return asked
}

// Enough reports whether the write quorum is met, that of each layout that counts.
func (p *Put) Enough() bool {
	_, enough := p.met(p.acked)
	if enough && p.base != nil {
		_, enough = p.base.met(p.acked)
	}
	return enough
}

// Hopeless reports whether everybody has answered and the quorum is not met.
func (p *Put) Hopeless() bool {
	if p.Enough() {
		return false
	}
	asked := len(p.homes) + len(p.guests)
	if p.base != nil {
		asked = len(p.asked())
	}
	return len(p.acked)+len(p.failed) >= asked
}

// Acked lists the nodes that acknowledged, in the order in which they did.
func (p *Put) Acked() []string { return p.acked }

// Guests lists those of them that are no homes.
func (p *Put) Guests() []string {
	if len(p.guests) == 0 && (p.base == nil || len(p.base.guests) == 0) {
		return nil
	}
	guests := without(p.acked, p.homes)
	if p.base != nil {
		guests = without(guests, p.base.homes)
	}
	return guests
}

// without lists the nodes of all that are not in some.
func without(all, some []string) (rest []string) {
	for _, n := range all {
		if !slices.Contains(some, n) {
			rest = append(rest, n)
		}
	}
	return rest
}

// Timeout is the answer when the quorum was not met in time, or cannot be: the write
// exists and may still spread, so its outcome is unknown (I10).
func (p *Put) Timeout(op kindred.Op) *kindred.Error {
	code := kindred.CodeTimeout
	if p.Hopeless() {
		code = kindred.CodeUnavailable
	}
	short, of := &p.group, ""
	got, enough := p.met(p.acked)
	if p.base != nil {
		of = " of the new layout"
		if enough {
			short, of = p.base, " of the layout before"
			got, _ = short.met(p.acked)
		}
	}
	return &kindred.Error{
		Code: code, Outcome: kindred.Unknown, Dot: p.dot.String(),
		Need: short.quorum.W, Got: got, Failed: unanswered(p.failed, p.Waiting()),
		Message: fmt.Sprintf("%s: %d of %d replicas%s acknowledged, %d wanted", op, got, len(short.homes)+len(short.guests), of, short.quorum.W),
	}
}

// Unavailable is the answer when fewer than need of the nodes that count can be
// reached, before anything was done.
func Unavailable(op kindred.Op, homes []string, need int, reachable func(string) bool) *kindred.Error {
	got := 0
	for _, h := range homes {
		if reachable(h) {
			got++
		}
	}
	if got >= need {
		return nil
	}
	e := &kindred.Error{Code: kindred.CodeUnavailable, Outcome: kindred.NotApplied, Need: need, Got: got}
	for _, h := range homes {
		if !reachable(h) {
			e.Failed = append(e.Failed, kindred.NodeFailure{Node: h, Reason: "unreachable"})
		}
	}
	e.Message = fmt.Sprintf("%s: %d of %d replicas can be reached, %d wanted; nothing was done", op, e.Got, len(homes), need)
	return e
}

func noteFailure(list []kindred.NodeFailure, node, reason string) []kindred.NodeFailure {
	for i := range list {
		if list[i].Node == node {
			list[i].Reason = reason
			return list
		}
	}
	return append(list, kindred.NodeFailure{Node: node, Reason: reason})
}

// unanswered completes the failures with those of which nothing was heard.
func unanswered(failed []kindred.NodeFailure, waiting []string) []kindred.NodeFailure {
	for _, w := range waiting {
		if !slices.ContainsFunc(failed, func(f kindred.NodeFailure) bool { return f.Node == w }) {
			failed = append(failed, kindred.NodeFailure{Node: w, Reason: "did not answer"})
		}
	}
	return failed
}
