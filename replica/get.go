package replica

import (
	"fmt"
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Get decides when a read has heard enough replicas, and what they say together
// (R8). Answers that come after that still help read repair.
type Get struct {
	homes   []string
	guests  []string
	quorum  kindred.Quorum
	replies []reply
	// few is room for the replies, which are seldom more.
	few    [3]reply
	failed []kindred.NodeFailure
	merged wire.Object
	// unlinked are the homes that no question reaches. Late: there is no time to
	// wait for the others.
	unlinked []string
	late     bool
}

type reply struct {
	node   string
	object wire.Object
	rounds wire.Rounds
	void   uint64
	// idle: it is a guest's, who holds nothing of the key.
	idle bool
}

// Repair is a delta that a replica turned out to lack.
type Repair struct {
	Node  string
	Delta wire.Delta
	// Rounds are the promises that all who replied have made alike, Void the digest of
	// what all of them know to be void, zero if they do not know the same.
	Rounds wire.Rounds
	Void   uint64
}

// NewGet waits for quorum.R answers, quorum.PR of them of homes. In a strict quorum
// every one is a home's.
func NewGet(homes []string, quorum kindred.Quorum) *Get {
	g := &Get{homes: homes, quorum: quorum}
	g.replies = g.few[:0]
	return g
}

// Invite lets a node answer that is no home and may hold hints for one that cannot
// be reached. A strict quorum takes no guests.
func (g *Get) Invite(guest string) {
	if g.quorum.Sloppy && !g.counts(guest) {
		g.guests = append(g.guests, guest)
	}
}

// counts reports whether an answer of the node means anything.
func (g *Get) counts(node string) bool {
	return slices.Contains(g.homes, node) || slices.Contains(g.guests, node)
}

// Add counts a replica's filled object, or what a guest holds, once per node.
func (g *Get) Add(node string, filled wire.Object) {
	if !g.counts(node) || g.heard(node) {
		return
	}
	switch {
	case len(g.replies) == 0:
		g.merged = filled
	case !g.merged.Alike(filled): // or the join would be what is there
		g.merged = vclock.Join(g.merged, filled)
	}
	idle := !slices.Contains(g.homes, node) && len(filled.Versions) == 0 && filled.Context.IsEmpty()
	g.replies = append(g.replies, reply{node: node, object: filled, idle: idle})
	g.failed = slices.DeleteFunc(g.failed, func(f kindred.NodeFailure) bool { return f.Node == node })
}

// Promised notes the promises that came with a reply, and the digest of what is void
// to its node, after Add. Without them who has promised anything refuses the repair,
// which does no harm.
func (g *Get) Promised(node string, rounds wire.Rounds, void uint64) {
	for i := range g.replies {
		if g.replies[i].node == node {
			g.replies[i].rounds, g.replies[i].void = rounds, void
		}
	}
}

// void is the digest of what all who replied know to be void, if it is the same.
func (g *Get) void() uint64 {
	for _, r := range g.replies {
		if r.void != g.replies[0].void {
			return 0
		}
	}
	return g.replies[0].void
}

// common are the promises that all who replied have made alike: a dot that came
// from any of them is held by one who had made them (R8, R14).
func (g *Get) common() wire.Rounds {
	var common wire.Rounds
	for i, r := range g.replies {
		if i == 0 {
			common = r.rounds
		} else {
			common = common.Common(r.rounds)
		}
	}
	return common
}

// Fail notes why a node gave no answer.
func (g *Get) Fail(node, reason string) {
	if g.counts(node) && !g.heard(node) {
		g.failed = noteFailure(g.failed, node, reason)
	}
}

// Unlinked notes that no question reaches a node.
func (g *Get) Unlinked(node string) {
	g.Fail(node, "unreachable")
	if slices.Contains(g.homes, node) && !slices.Contains(g.unlinked, node) {
		g.unlinked = append(g.unlinked, node)
	}
}

// Late takes what has been said for all there is: the time is over.
func (g *Get) Late() { g.late = true }

func (g *Get) heard(node string) bool {
	return slices.ContainsFunc(g.replies, func(r reply) bool { return r.node == node })
}

// Homes lists the replicas that were asked.
func (g *Get) Homes() []string { return g.homes }

// Need is the number of homes without which no quorum is met, if all is well.
func (g *Get) Need() int { return max(g.quorum.R, g.quorum.PR) }

// Enough reports whether the read quorum is met. Guests that hold nothing of the
// key say nothing of what the homes hold. Where no home has answered, each of them
// counts in the place of one that cannot be reached, but not of one that is merely
// slow, unless there is nobody left to wait for: a busy cluster must not lose sight
// of its keys.
func (g *Get) Enough() bool {
	counted, homes := len(g.replies), len(g.replies)-len(g.Guests())
	if homes == 0 && !g.late && !g.Over() {
		counted -= max(0, g.idle()-len(g.unlinked))
	}
	return counted >= g.quorum.R && homes >= g.quorum.PR
}

func (g *Get) idle() int {
	n := 0
	for _, r := range g.replies {
		if r.idle {
			n++
		}
	}
	return n
}

// Over reports whether everybody has answered or failed.
func (g *Get) Over() bool { return len(g.replies)+len(g.failed) >= len(g.homes)+len(g.guests) }

// Failed reports whether the node has said that it cannot answer.
func (g *Get) Failed(node string) bool {
	return slices.ContainsFunc(g.failed, func(f kindred.NodeFailure) bool { return f.Node == node })
}

// Waiting lists the homes and guests that have not answered.
func (g *Get) Waiting() []string { return without(slices.Concat(g.homes, g.guests), g.Replied()) }

// Guests lists those of Replied that are no homes.
func (g *Get) Guests() []string {
	if len(g.guests) == 0 {
		return nil
	}
	return without(g.Replied(), g.homes)
}

// Replied lists the nodes whose answers were counted so far.
func (g *Get) Replied() []string {
	nodes := make([]string, len(g.replies))
	for i, r := range g.replies {
		nodes[i] = r.node
	}
	return nodes
}

// Merged is the join of the answers so far. Its Seen is the client's context.
func (g *Get) Merged() wire.Object { return g.merged }

// Siblings are the live versions as a client is shown them by a wall clock that
// shows now, in milliseconds since 1970: what has expired is not shown, and two
// that one request made are one intention and appear once (R19).
func (g *Get) Siblings(now int64) []vclock.Version[wire.Record] {
	if v := g.merged.Versions; len(v) == 1 && !v[0].Value.ExpiresAt.Over(now) {
		return v
	}
	shown := make([]vclock.Version[wire.Record], 0, len(g.merged.Versions))
	for _, v := range g.merged.Versions {
		if v.Value.ExpiresAt.Over(now) {
			continue
		}
		twin := func(s vclock.Version[wire.Record]) bool {
			return !v.Value.RequestID.IsZero() && s.Value.RequestID == v.Value.RequestID
		}
		if !slices.ContainsFunc(shown, twin) {
			shown = append(shown, v)
		}
	}
	return shown
}

// Last is the version that was written last as a client is shown it: none if it has
// expired, for what it has beaten does not come back.
func (g *Get) Last(now int64) []vclock.Version[wire.Record] {
	last, ok := Last(g.merged.Versions)
	if !ok || last.Value.ExpiresAt.Over(now) {
		return nil
	}
	return []vclock.Version[wire.Record]{last}
}

// Repairs is the final action: for each replica whose live versions are not
// those of the merged object, the whole merged object with the dots of its live
// versions, and no other dot (R8, C7). Replicas that agree get nothing: a read
// writes only where there is something to mend. Guests are no replicas.
func (g *Get) Repairs() []Repair {
	var repairs []Repair
	for _, r := range g.replies {
		if slices.Contains(g.homes, r.node) && !r.object.SameDots(g.merged) {
			repairs = append(repairs, Repair{Node: r.node, Delta: wire.Delta{Siblings: g.merged.Clone(), Dots: g.merged.Dots()}, Rounds: g.common(), Void: g.void()})
		}
	}
	return repairs
}

// Timeout is the answer when the quorum was not met in time. A read changes
// nothing, so nothing is unknown about its effect.
func (g *Get) Timeout(op kindred.Op) *kindred.Error {
	code := kindred.CodeTimeout
	if g.Over() {
		code = kindred.CodeUnavailable
	}
	return &kindred.Error{
		Code: code, Outcome: kindred.NotApplied, Need: g.quorum.R, Got: len(g.replies),
		Failed:  unanswered(g.failed, g.Waiting()),
		Message: fmt.Sprintf("%s: %d of %d replicas answered, %d wanted", op, len(g.replies), len(g.homes)+len(g.guests), g.quorum.R),
	}
}
