package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// session is one page of hints on its way to the home of a slot: it is read,
// offered, and what the home lacks is sent.
type session struct {
	seq  uint64
	line hintedhandoff.Line
	// target is the home that the page is offered to. As long as the slot has another
	// home by the layout before, that gets it first, and then is the next one to pay.
	target, then string
	page         *hintedhandoff.Page
	// promises are those of the moment at which the page was read (R14).
	promises *antientropy.Promises
	until    time.Time
	// parcels is the number of writes that were not acknowledged yet, failed
	// whether any was refused.
	parcels int
	failed  bool
	// refused: the home takes nothing now, or not all, and says so.
	refused bool
}

// parcel is one write of a session.
type parcel struct {
	session *session
	hint    *delivery
	dots    vclock.DotSet
}

// delivery is one hint of a session, and what of it the home holds durably.
type delivery struct {
	bucket, key string
	durable     vclock.DotSet
	open        int
}

// targetOf is the node that has the slot of a line now; a new layout re-aims what
// is owed. A slot that no longer exists is that of whoever comes in its turn.
func (s *Shard) targetOf(line hintedhandoff.Line) string {
	homes := s.homesOf(line.Head)
	if len(homes) == 0 {
		return ""
	}
	return homes[line.Slot%len(homes)]
}

// targetsOf are those who get what is owed on a line: the home by the tip, who pays,
// and before it the one by the base as long as that counts and can be reached.
func (s *Shard) targetsOf(line hintedhandoff.Line) (first, then string) {
	target := s.targetOf(line)
	base := s.baseOf(line.Head)
	if len(base) == 0 {
		return target, ""
	}
	if old := base[line.Slot%len(base)]; old != target && s.reachable(old) {
		return old, target
	}
	return target, ""
}

func (s *Shard) deliverable(line hintedhandoff.Line) bool {
	target := s.targetOf(line)
	return target != "" && s.reachable(target)
}

// debtsChanged notes that rows of those slots were written or removed.
func (s *Shard) debtsChanged(now time.Time, head wire.Head, slots wire.Slots) {
	d := &s.debts
	soon := false
	for slot := range kindred.ReplicasMax {
		line := hintedhandoff.Line{Head: head, Slot: slot}
		switch {
		case !slots.Has(slot):
		case d.ledger.Owed(line).Hints == 0:
			d.courier.Forget(line)
		default:
			d.courier.Rest(now, line)
			soon = soon || s.deliverable(line)
		}
	}
	if soon && (d.at.IsZero() || d.at.After(now.Add(s.cfg.Limits.HintPace.Again))) {
		s.planDelivery(now)
	}
}

// planDelivery finds out when there is something to do for the courier.
func (s *Shard) planDelivery(now time.Time) {
	d := &s.debts
	d.at = time.Time{}
	if s.layout == nil || d.ledger.Hints() == 0 && len(d.sessions) == 0 {
		return
	}
	d.at, _ = d.courier.Wake(now, d.ledger.Lines(), s.deliverable)
	for _, ses := range d.sessions {
		if d.at.IsZero() || ses.until.Before(d.at) {
			d.at = ses.until
		}
	}
}

// linkDebts follows the links: what a peer that came back is owed has waited long
// enough.
func (s *Shard) linkDebts(now time.Time, peer string, up bool) {
	if up {
		s.hurry(now, peer)
	} else {
		s.lostTarget(now, peer)
	}
}

// hurry ends the rest of the lines of a peer that came back.
func (s *Shard) hurry(now time.Time, peer string) {
	if s.layout == nil {
		return
	}
	for _, line := range s.debts.ledger.Lines() {
		if s.targetOf(line) == peer {
			s.debts.courier.Hurry(line)
		}
	}
	s.planDelivery(now)
}

// lostTarget ends the sessions with a peer that cannot be reached any more.
func (s *Shard) lostTarget(now time.Time, peer string) {
	for _, seq := range s.sessionsInOrder() {
		if ses := s.debts.sessions[seq]; ses.target == peer {
			s.endSession(now, seq, true)
		}
	}
	s.planDelivery(now)
}

func (s *Shard) sessionsInOrder() []uint64 {
	seqs := make([]uint64, 0, len(s.debts.sessions))
	for seq := range s.debts.sessions {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	return seqs
}

// deliver begins what can be delivered now, and gives up what has waited too long.
func (s *Shard) deliver(now time.Time) {
	d := &s.debts
	if d.at.IsZero() || d.at.After(now) {
		return
	}
	for _, seq := range s.sessionsInOrder() {
		if !d.sessions[seq].until.After(now) {
			s.endSession(now, seq, true)
		}
	}
	for {
		ask := d.courier.Next(now, d.ledger.Lines(), s.deliverable)
		if ask == nil {
			break
		}
		s.beginSession(now, ask)
	}
	s.planDelivery(now)
}

func (s *Shard) beginSession(now time.Time, ask *hintedhandoff.Ask) {
	s.seq++
	seq := s.seq
	target, then := s.targetsOf(ask.Line)
	s.debts.sessions[seq] = &session{seq: seq, line: ask.Line, target: target, then: then, until: now.Add(s.debts.courier.Patience())}
	s.look(func() Reading {
		promises := s.closer.place(replica.ID(ask.Line.Head)).promises.Clone()
		if ses := s.debts.sessions[seq]; ses != nil {
			ses.promises = promises
		}
		return func(store storage.Snapshot) func(time.Time) {
			page := hintedhandoff.ReadPage(store, ask)
			return func(now time.Time) { s.pageRead(now, seq, page) }
		}
	})
}

// pageRead offers a page to the home: first it says which dots it lacks.
func (s *Shard) pageRead(now time.Time, seq uint64, page *hintedhandoff.Page) {
	ses := s.debts.sessions[seq]
	if ses == nil {
		return // its target was lost meanwhile
	}
	ses.page = page
	if page.Err != nil {
		s.stats.HintPagesFailed++
		ses.then = ""
		s.endSession(now, seq, true)
		return
	}
	s.offer(now, ses)
}

// offer offers a page to the target of a session.
func (s *Shard) offer(now time.Time, ses *session) {
	seq, page := ses.seq, ses.page
	var dots vclock.DotSet
	for i := range page.Found {
		dots.Union(page.Found[i].Hint.Dots())
		s.debts.courier.Saw(ses.line, page.Found[i].Hint.Since())
	}
	switch {
	case len(page.Found) == 0:
		s.endSession(now, seq, false)
	case ses.target == s.cfg.Node && s.hasUnheard(replica.ID(ses.line.Head)):
		s.endSession(now, seq, true)
	case ses.target == s.cfg.Node && s.IsDamaged(replica.ID(ses.line.Head)):
		ses.refused = true
		s.widen(ses, s.lackedElsewhere(ses.line.Head, dots))
		s.parcelUp(now, seq, s.ownLacks(ses.line.Head, dots)) // it takes what is not of a damaged leaf
	case ses.target == s.cfg.Node:
		s.parcelUp(now, seq, s.ownLacks(ses.line.Head, dots)) // this node has the slot by now
	default:
		s.stats.HintOffers++
		s.send(ses.target, &wire.HintOffer{Head: ses.line.Head, Op: s.opID(seq), Dots: dots}, false)
	}
}

// ownLacks are those of the dots of hints for this node itself that it does not have. Who
// was removed may owe some that are void (R27): it would refuse them for ever, and all that
// is owed of the same key with them. What a damaged one has it may have lost.
func (s *Shard) ownLacks(head wire.Head, dots vclock.DotSet) vclock.DotSet {
	switch r := s.replicas[replica.ID(head)]; {
	case r == nil:
		return dots
	case r.IsDamaged():
		return dots.Minus(r.Voided())
	default:
		return dots.Minus(r.Clock())
	}
}

// onHintOffer says what this home lacks. It leaves when everything else that was
// offered is durable here, so that it may be dropped there (I7, C14).
func (s *Shard) onHintOffer(from string, m *wire.HintOffer) {
	reply := &wire.HintLacks{Head: m.Head, Op: m.Op}
	switch r := s.replicas[replica.ID(m.Head)]; {
	case r == nil:
		reply.Failed = notHome
	case s.hasUnheard(r.ID()):
		reply.Failed = unheard
	case r.IsDamaged(): // its clock claims what it may have lost
		reply.Failed, reply.Dots = isDamaged, s.lackedElsewhere(m.Head, m.Dots)
	case s.copying(r.ID()): // most of it comes with the pages, and costs less
		reply.Failed = beingRebuilt
	default:
		reply.Dots = m.Dots.Minus(r.Clock())
	}
	s.send(from, reply, true)
}

// lackedElsewhere are those of the dots of hints for this home, which is damaged,
// that some other home may lack. It waits for one that can tell it what it has lost,
// who may wait for these dots; and this home gives out nothing that is damaged, and
// no page of a rebuild at all.
func (s *Shard) lackedElsewhere(head wire.Head, dots vclock.DotSet) vclock.DotSet {
	x := s.exchange.of[replica.ID(head)]
	if x == nil {
		return vclock.DotSet{}
	}
	return dots.Minus(x.Others())
}

// widen owes the hints of a page that have some of the dots to all homes, because
// the one that they are owed to cannot take them now and others lack them.
func (s *Shard) widen(ses *session, dots vclock.DotSet) {
	if dots.IsEmpty() {
		return
	}
	head := ses.line.Head
	slots := wire.AllSlots(len(s.homesOf(head)))
	for i := range ses.page.Found {
		f := &ses.page.Found[i]
		if f.Hint.Dots().Intersect(dots).IsEmpty() {
			continue
		}
		s.enterHint(head, f.Bucket, f.Key, func(_ time.Time, h *hintedhandoff.Hint, err error) {
			if err == nil && h.Widen(slots) {
				s.stats.HintsWidened++
			}
		})
	}
}

func (s *Shard) onHintLacks(now time.Time, from string, m *wire.HintLacks) {
	ses := s.debts.sessions[m.Op.Seq]
	switch {
	case m.Op.Process != s.cfg.Start.Nonce || ses == nil || ses.target != from || ses.page == nil || ses.parcels > 0:
		s.stats.Stray++
	case m.Failed != "":
		ses.refused = true
		s.widen(ses, m.Dots)
		s.endSession(now, m.Op.Seq, true)
	default:
		s.parcelUp(now, m.Op.Seq, m.Dots)
	}
}

// parcelUp sends the hints of a page of which the home lacks something, and pays
// the others.
func (s *Shard) parcelUp(now time.Time, seq uint64, lacks vclock.DotSet) {
	ses := s.debts.sessions[seq]
	bytes := 0
	ses.parcels++ // until all of them are on their way
	for i := range ses.page.Found {
		f := &ses.page.Found[i]
		d := &delivery{bucket: f.Bucket, key: f.Key}
		if f.Hint.Dots().Intersect(lacks).IsEmpty() {
			s.stats.HintsContained++
			d.durable = f.Hint.Dots()
			s.pay(ses, d)
			continue
		}
		bytes += f.Hint.Entry().Bytes
		_, ids := f.Hint.Whole()
		pieces := f.Hint.Pieces()
		d.open = len(pieces)
		for _, piece := range pieces {
			s.sendParcel(now, parcel{session: ses, hint: d, dots: piece.Dots}, piece, ids)
		}
	}
	s.debts.courier.Charge(now, len(ses.page.Found), bytes, s.Busy())
	ses.parcels--
	if ses.parcels == 0 {
		s.endSession(now, seq, ses.failed)
	}
}

func (s *Shard) sendParcel(now time.Time, p parcel, piece wire.Delta, ids []wire.DotRequest) {
	s.seq++
	seq := s.seq
	s.debts.parcels[seq] = p
	p.session.parcels++
	s.stats.HintsSent++
	write := &wire.Write{
		Head: p.session.line.Head, Op: s.opID(seq), Durability: kindred.Sync,
		Bucket: p.hint.bucket, Key: p.hint.key, Delta: piece, RequestIDs: ids,
		Rounds: p.session.promises.Rounds(piece.Dots),
	}
	if p.session.target != s.cfg.Node {
		s.send(p.session.target, write, len(write.Rounds) > 0)
		return
	}
	// The row of the hint goes in a later batch of the same store: it is not lost
	// before what it brought (S3).
	s.join(write, func(_ bool, refused string) { s.parcelEnded(now, seq, refused) })
}

// delivered takes the answer to a parcel. It reports false if there is none.
func (s *Shard) delivered(now time.Time, from string, m *wire.WriteAck) bool {
	p, ok := s.debts.parcels[m.Op.Seq]
	if !ok || m.Op.Process != s.cfg.Start.Nonce || p.session.target != from {
		return false
	}
	s.parcelEnded(now, m.Op.Seq, m.Refused)
	return true
}

func (s *Shard) parcelEnded(now time.Time, seq uint64, refused string) {
	p, ok := s.debts.parcels[seq]
	if !ok {
		return // its session was given up
	}
	delete(s.debts.parcels, seq)
	if refused != "" {
		p.session.failed = true
	} else {
		p.hint.durable.Union(p.dots)
		if p.hint.open--; p.hint.open == 0 {
			s.pay(p.session, p.hint)
		}
	}
	if p.session.parcels--; p.session.parcels == 0 {
		s.endSession(now, p.session.seq, p.session.failed)
	}
}

// pay drops what is owed to the slot, if the hint has not grown meanwhile, and the home
// that has it is still the one that the slot belongs to. Who was removed cannot know whose
// it is by now, and drops nothing (R27).
func (s *Shard) pay(ses *session, d *delivery) {
	line, target := ses.line, ses.target
	s.enterHint(line.Head, d.bucket, d.key, func(_ time.Time, h *hintedhandoff.Hint, err error) {
		if err == nil && !s.removed() && target == s.targetOf(line) && h.Pay(line.Slot, d.durable) {
			s.stats.HintsPaid++
		}
	})
}

// rest lets a line wait whose page was not delivered.
func (s *Shard) rest(now time.Time, ses *session) {
	if ses.refused {
		s.debts.courier.Passed(now, ses.line, ses.page.Last, ses.page.More)
	} else {
		s.debts.courier.Failed(now, ses.line)
	}
}

// endSession goes on behind a page that was delivered, or begins it anew later.
func (s *Shard) endSession(now time.Time, seq uint64, failed bool) {
	d := &s.debts
	ses := d.sessions[seq]
	if failed {
		for number, p := range d.parcels {
			if p.session == ses {
				delete(d.parcels, number)
			}
		}
	}
	if ses.then != "" && ses.page != nil && s.reachable(ses.then) {
		ses.target, ses.then, ses.until = ses.then, "", now.Add(d.courier.Patience())
		ses.parcels, ses.failed, ses.refused = 0, false, false
		s.offer(now, ses)
		return
	}
	delete(d.sessions, seq)
	if failed {
		s.rest(now, ses)
	} else if oldest, through := d.courier.Done(now, ses.line, ses.page.Last, ses.page.More); through && !oldest.IsZero() {
		d.ledger.Aged(ses.line, oldest)
	}
	if d.ledger.Owed(ses.line).Hints == 0 {
		d.courier.Forget(ses.line)
	}
	s.planDelivery(now)
}
