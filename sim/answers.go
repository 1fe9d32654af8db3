package sim

import (
	"bytes"
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// contextOf is what a context says. The oracle reads only contexts that a read
// or a receipt of that key has given.
func (o *oracle) contextOf(key string, token []byte) vclock.DotSet {
	seen, err := replica.DecodeContext(bucket, key, token)
	if err != nil {
		o.find("R8", "a context that was given for %s is refused for it: %v", key, err)
	}
	return seen
}

// answered judges what a client is told.
func (o *oracle) answered(a *attempt, resp *kindred.Response) {
	op := a.op
	if resp.Err != nil {
		o.countError(a, resp.Err)
		return
	}
	switch {
	case op.forbidden:
		o.find("C17", "%v was done with the context of another key", op)
	case op.intent.IsWrite():
		o.judgeReceipt(a, resp)
	default:
		o.judgeRead(a, resp)
	}
}

func (o *oracle) countError(a *attempt, e *kindred.Error) {
	op := a.op
	hits := &o.run.hits
	switch {
	case e.Code == kindred.CodeBadContext && op.forbidden:
		hits.add(ForeignContextRefused)
	case e.Code == kindred.CodeBadContext:
		o.find("R8", "%v was refused its own context: %v", op, e)
	case e.Code == kindred.CodeOverloaded:
		hits.add(Overloaded)
	case e.Code == kindred.CodeDiskFull:
		hits.add(DiskFull)
	case e.Code == kindred.CodeStopping:
		hits.add(Draining)
	case e.Dot != "" && (e.Code == kindred.CodeTimeout || e.Code == kindred.CodeUnavailable):
		o.judgeUnknown(op, e)
	case e.Code == kindred.CodeUnavailable && e.Need > 0:
		hits.add(QuorumUnreachable)
		o.judgeAvailability(a, e)
	case e.Code == kindred.CodeTimeout && !op.intent.IsWrite() && e.Need > 0:
		hits.add(ReadTimeout)
	case e.Code == kindred.CodeWrongRing && !o.run.steady():
		hits.add(RemovedRefused)
	case e.Code == kindred.CodeNoLayout: // node.reply has judged it
		hits.add(NoLayoutYet)
	case e.Code == kindred.CodeInternal, e.Code == kindred.CodeInvalid, e.Code == kindred.CodeWrongRing:
		o.find("core", "%v: %v", op, e)
	}
}

// judgeUnknown looks at a missed quorum: the write that it names exists.
func (o *oracle) judgeUnknown(op *operation, e *kindred.Error) {
	if e.Outcome != kindred.Unknown {
		o.find("I10", "%v has minted %s and is called %v", op, e.Dot, e.Outcome)
	}
	o.writeOf(op, e.Dot)
	for _, f := range e.Failed {
		if f.Reason != "did not answer" && f.Reason != "unreachable" {
			o.run.hits.add(QuorumHopeless)
			return
		}
	}
	o.run.hits.add(QuorumTimeout)
}

// writeOf finds the write that an answer names, which must be this operation's.
func (o *oracle) writeOf(op *operation, dot string) *write {
	d, err := vclock.ParseDot(dot)
	if err != nil {
		o.find("core", "%v: %v", op, err)
		return nil
	}
	w := o.writes[d]
	if w == nil || w.op != op {
		o.find("I10", "%v is answered with %s, which is not a write of it", op, dot)
		return nil
	}
	return w
}

// refuse notes that an operation was answered as not applied, for good (I10).
func (o *oracle) refuse(op *operation) {
	op.refused = true
	if len(op.writes) > 0 {
		o.find("I10", "%v was answered as not applied, and is %v", op, op.writes[0].dot)
	}
}

// judgeReceipt demands that an acknowledged write is where the receipt says, as
// durable as it says (I1, R10), and that its context covers what the client had
// seen, its own write, and nothing that it has not seen.
func (o *oracle) judgeReceipt(a *attempt, resp *kindred.Response) {
	op := a.op
	w := o.writeOf(op, resp.Receipt.Dot)
	if w == nil {
		return
	}
	var acked nodes
	guests := 0
	for _, name := range resp.Receipt.Acked {
		n := o.run.byName[name]
		if slices.Contains(resp.Receipt.Guests, name) {
			if !o.judgeGuest(op, w, n, resp) {
				return
			}
			guests++
			continue
		}
		acked.add(n)
		if w.lost.has(n) {
			o.run.hits.add(CrashLostAcknowledged) // after it had acknowledged
		}
		o.judgeHeld(op, w, n, resp.Receipt.Durability)
	}
	partition := o.run.idOf(op.intent.Key).Partition
	if !o.fits(op, a.at, partition, acked, guests) {
		o.find("I1", "%v is acknowledged by %v, of whom %v are guests: too few of the homes", op, resp.Receipt.Acked, resp.Receipt.Guests)
	}
	more := acked&^w.acked != 0
	w.acked |= acked
	if !w.isAcked || more { // a read that began before owes nothing to those who acknowledged later
		w.isAcked, w.ackedAt = true, o.run.agenda.now
	}
	o.noteGroups(w, a.at, partition)
	// A retry may be answered without a context, if its write had seen more than its
	// client: where the last writer wins, and for a delete by name.
	if len(resp.Context) > 0 || w.put && !o.run.cfg.LastWins || !w.put && len(op.request.Context) > 0 {
		o.judgeReceiptContext(op, w, o.contextOf(op.intent.Key, resp.Context))
	}
	o.askStage(w)
}

func (o *oracle) judgeHeld(op *operation, w *write, n *node, durability kindred.Durability) {
	switch {
	case op.request.Durability != kindred.DurabilityDefault && durability < op.request.Durability:
		o.find("I1", "%v asked for %v and got %v", op, op.request.Durability, durability)
	case durability == kindred.Sync && !w.durable.has(n) && !w.forgotten.has(n):
		o.find("I1", "%v is acknowledged as durable at %s, where %v is not", op, n.name, w.dot)
	case !w.applied.has(n) && !w.lost.has(n) && !w.givenUp.has(n):
		o.find("I1", "%v is acknowledged by %s, which has never applied %v", op, n.name, w.dot)
	case durability == kindred.Sync:
		o.run.hits.add(SyncAcknowledged)
	}
}

func (o *oracle) judgeReceiptContext(op *operation, w *write, after vclock.DotSet) {
	if !after.Contains(w.dot) || !after.Covers(op.context) {
		o.find("R8", "the receipt of %v has a context without %v or what its client had seen", op, w.dot)
	}
	if !after.Covers(w.past) {
		o.find("R2", "the receipt of %v has a context with %v and without what that had seen", op, w.dot)
	}
	for _, other := range o.history(w.key).writes {
		if after.Contains(other.dot) && other != w && !op.context.Contains(other.dot) && !w.past.Contains(other.dot) {
			o.find("R8", "the receipt of %v has a context that covers %v, which neither it nor its client had seen", op, other.dot)
		}
	}
}

// judgeRead demands that a read shows exactly what its context leaves alive
// (C2, C3), with the values that were written, and everything that it has to
// know (C5).
func (o *oracle) judgeRead(a *attempt, resp *kindred.Response) {
	op, key := a.op, a.op.intent.Key
	context := o.contextOf(key, resp.Context)
	var shown vclock.DotSet
	for _, s := range resp.Siblings {
		w := o.shownAs(op, s)
		if w == nil {
			return
		}
		shown.Add(w.dot)
	}
	if !context.Covers(shown) {
		o.find("R8", "%v shows %v with a context that does not cover it", op, shown)
	}
	o.countRead(key, resp, context)
	unshown := o.unshown(key, shown, context)
	shown = o.hidden("a read", key, shown, a.wall)
	shown.Union(unshown)
	if len(resp.Replied) > len(resp.Guests) {
		// Guests alone may know of a write, by a client's context, and not know what
		// that write had seen.
		o.judgeSet("a read shows", key, shown, context)
	}
	heard, h := o.heard(resp), o.history(key)
	groups := o.readBy(h.id.Partition, a.at, heard)
	if len(groups) == 0 {
		o.find("R23", "%v is answered by %v, who are not the homes to be read by any layout in use", op, resp.Replied)
		return
	}
	q, err := op.quorum(slices.MinFunc(groups, func(a, b nodes) int { return a.len() - b.len() }).len())
	if err != nil || len(resp.Replied) < q.R || len(resp.Replied)-len(resp.Guests) < q.PR {
		o.find("R8", "%v is answered by %v, of whom %v are guests, %d and %d homes were wanted (%v)", op, resp.Replied, resp.Guests, q.R, q.PR, err)
		return
	}
	if len(resp.Guests) > 0 {
		o.run.hits.add(GuestsRead)
	}
	if len(resp.Guests) > 0 && !op.request.Sloppy.IsSloppy() {
		o.find("I1", "%v is strict and answered by the guests %v", op, resp.Guests)
	}
	if len(resp.Replied) == len(resp.Guests) && context.IsEmpty() {
		o.judgeIdle(a, resp, q)
	}
	if heard != 0 && heard&^o.run.gone == 0 {
		o.run.hits.add(GoneAnswered)
		return // nobody can keep it from reading what it alone has
	}
	seenFrom := o.seenFrom(h, shown)
	for i, w := range h.writes {
		if !w.isAcked || w.ackedAt >= a.at || !o.mustKnow(w, heard, groups, a.at) {
			continue
		}
		o.judgeCovered(w, shown, context)
		if i < seenFrom {
			continue
		}
		for d := range shown.Dots() {
			if w.past.Contains(d) && !w.blunt {
				o.find("C5", "%s shows %v of %s, which %v had seen", laterRead, d, key, w.dot)
			}
		}
	}
}

// judgeIdle demands that guests who know nothing of a key speak only for homes that
// cannot be reached, as long as there is time and no home has refused: homes that are
// merely slow must not make a cluster lose sight of its keys.
func (o *oracle) judgeIdle(a *attempt, resp *kindred.Response, q kindred.Quorum) {
	n, homes, away := a.node, o.run.homes(a.op.intent.Key), 0
	if !o.run.resting(a.at) {
		return
	}
	for _, h := range homes {
		if h == n.name {
			return // it may be unable to answer itself, which no message shows
		}
		if !n.links[h] {
			away++
		}
	}
	refused, ever := o.refusedAt[n.start.Nonce]
	late := o.run.agenda.now-a.at >= a.op.request.Timeout
	if !n.up || n.linkedAt >= a.at || ever && refused >= a.at || late || away >= q.R {
		return
	}
	o.find("C5", "%v is answered with nothing by the guests %v at %s, which reaches %d of %d homes", a.op, resp.Guests, n.name, len(homes)-away, len(homes))
}

// heard are the homes that have answered a read.
func (o *oracle) heard(resp *kindred.Response) (heard nodes) {
	for _, name := range resp.Replied {
		if !slices.Contains(resp.Guests, name) {
			heard.add(o.run.byName[name])
		}
	}
	return heard
}

// shownAs is the write that a sibling is, as it was written.
func (o *oracle) shownAs(op *operation, s kindred.Sibling) *write {
	d, err := vclock.ParseDot(s.Dot)
	w := o.writes[d]
	switch {
	case err != nil || w == nil || w.key != op.intent.Key || !w.put:
		o.find("C2", "%v shows %s, which is not a put of that key (%v)", op, s.Dot, err)
		return nil
	case wire.ExpiryAt(s.ExpiresAt) != w.expiry:
		o.find("W8", "%v shows %v as expiring at %v, it is stored to expire at %d", op, w.dot, s.ExpiresAt, w.expiry)
		return nil
	case !bytes.Equal(s.Value, w.op.request.Value):
		o.find("C2", "%v shows another value under %v than %v wrote", op, w.dot, w.op)
		return nil
	}
	return w
}

const laterRead = "a read that began after it was acknowledged"

// judgeCovered demands that a read which has to know w shows it, unless a write had
// seen it.
func (o *oracle) judgeCovered(w *write, shown, context vclock.DotSet) {
	switch {
	case !w.put || w.twins():
	case !context.Contains(w.dot):
		o.find("C5", "%s does not know %v of %s (%v)", laterRead, w.dot, w.key, w.op)
	case !shown.Contains(w.dot) && !o.history(w.key).pasts.Contains(w.dot):
		o.find("C5", "%s does not show %v of %s, and no write had seen it", laterRead, w.dot, w.key)
	}
}

func (o *oracle) countRead(key string, resp *kindred.Response, context vclock.DotSet) {
	hits := &o.run.hits
	if len(resp.Siblings) > 1 {
		hits.add(SiblingsSeen)
	}
	if len(resp.Siblings) > kindred.SiblingsWarn {
		hits.add(SiblingsMany)
	}
	for _, s := range resp.Siblings {
		d, _ := vclock.ParseDot(s.Dot)
		for _, twin := range o.writes[d].op.writes {
			if twin.dot != d && context.Contains(twin.dot) {
				hits.add(TwinsShownOnce)
			}
		}
	}
}
