package explore

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// pull lets a home ask another for what it lacks of its safe clock, and posts the
// answer of this very moment piece by piece (R9).
func (w *world) pull(at, from int) error {
	w.spent.pulls++
	lacks := w.sites[from].synced.Minus(w.sites[at].replica.Clock())
	_, err := w.serve(from, at, &wire.Pull{Head: head, Dots: lacks})
	return err
}

// serve reads the answer to a pull and sends it. It leaves when all that it tells
// of is safe.
func (w *world) serve(from, to int, ask *wire.Pull) (*wire.Pieces, error) {
	s := &w.sites[from]
	ask.Dots = ask.Dots.Minus(s.replica.Voided())
	answer := s.replica.Moment().Pieces(s.stored, ask, 1<<20)
	if answer.Failed != "" || !answer.Damaged.IsEmpty() {
		return nil, fmt.Errorf("R9: %s cannot answer: %s%v", siteNames[from], answer.Failed, answer.Damaged)
	}
	w.sync(from)
	rounds := s.member.promises.Rounds(s.replica.Clock())
	for i := range answer.Pieces {
		p := &answer.Pieces[i]
		delta := p.Delta(answer.Base)
		for d := range delta.Dots.Dots() {
			w.post(letter{to: to, key: slices.Index(keyNames, p.Key), dot: d, delta: delta, rounds: rounds})
			break // one of its dots is enough to say that it is no repair
		}
	}
	if !answer.Absent.IsEmpty() && w.spent.wipes == 0 {
		return nil, fmt.Errorf("R12: %s lacks %v, which %s has pruned", siteNames[to], answer.Absent, siteNames[from])
	}
	return answer, nil
}

// prune removes from the log of a home what it knows all to have for sure.
func (w *world) prune(at int) error {
	s := &w.sites[at]
	var batch storage.Batch
	s.replica = s.replica.Clone()
	s.replica.Prune(w.common(at), &batch)
	s.stored = s.stored.with(&batch)
	return nil
}

// common is what a home takes all homes to have for sure: by its exchange, or by
// what is so if there is none in this world.
func (w *world) common(at int) vclock.DotSet {
	if len(w.talk.with) > 0 {
		return w.talk.with[at].Common()
	}
	common := w.sites[at].synced
	for i := range w.sites {
		common = common.Intersect(w.sites[i].synced)
	}
	return common
}

// talk is what the homes tell each other of their clocks: the exchange of each, and
// the advertisements on their way. Every event is a minute later than the one
// before, so that whatever waits for time has waited for long enough.
type talk struct {
	with []*antientropy.Exchange
	ads  []ad
	now  time.Time
}

type ad struct {
	from, to int
	clock    *wire.Clock
	raw      string
}

func (t *talk) clone() talk {
	next := *t
	next.with, next.ads = slices.Clone(t.with), slices.Clip(t.ads)
	return next
}

func (t *talk) synced(at int, clock vclock.DotSet) {
	if len(t.with) > 0 {
		x := t.with[at].Clone()
		if captured, needed := x.Captured(); needed && clock.Covers(captured) {
			x.Synced(captured)
		}
		t.with[at] = x
	}
}

// greet begins the exchanges of a world that has them: all are linked and know each
// other.
func (w *world) greet() error {
	if w.bounds.Tells == 0 {
		return nil
	}
	w.talk.now = time.Unix(0, 0)
	w.talk.with = make([]*antientropy.Exchange, len(w.sites))
	w.spent.tells = math.MinInt8 // what follows is not counted
	for at := range w.sites {
		w.talk.with[at] = w.exchange(at)
	}
	for at := range w.sites {
		if err := w.linkAll(at); err != nil {
			return err
		}
	}
	if err := w.hearAll(); err != nil {
		return err
	}
	for at := range w.sites {
		if err := w.tick(at); err != nil {
			return err
		}
	}
	defer func() { w.spent.tells = 0 }()
	return w.hearAll()
}

// hearAll delivers every advertisement, and those that come of it.
func (w *world) hearAll() error {
	for len(w.talk.ads) > 0 {
		if err := w.hear(w.talk.ads[0]); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) exchange(at int) *antientropy.Exchange {
	s := &w.sites[at]
	return antientropy.NewExchange(antientropy.Config{
		Self: siteNames[at], Owners: antientropy.Owners{Tip: siteNames[:len(w.sites)]}, Head: head,
		Actor: s.replica.Actor(), Process: s.lives, Clock: s.replica.Held(),
	})
}

// linkAll lets a home that has just started meet all others.
func (w *world) linkAll(at int) error {
	for other := range w.sites {
		if other == at {
			continue
		}
		err := w.with(at, func(x *antientropy.Exchange, clock vclock.DotSet) {
			x.SetLink(w.talk.now, siteNames[other], true, clock)
		})
		if err != nil {
			return err
		}
		err = w.with(other, func(x *antientropy.Exchange, clock vclock.DotSet) {
			x.SetLink(w.talk.now, siteNames[at], false, clock)
			x.SetLink(w.talk.now, siteNames[at], true, clock)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// with lets the exchange of a home act, and sends what it wants sent.
func (w *world) with(at int, do func(x *antientropy.Exchange, clock vclock.DotSet)) error {
	w.talk.now = w.talk.now.Add(time.Minute)
	x := w.talk.with[at].Clone()
	w.talk.with[at] = x
	do(x, w.sites[at].replica.Held())
	for _, send := range x.Take() {
		if send.Durable {
			w.sync(at)
		}
		if err := w.send(at, slices.Index(siteNames, send.To), send.Msg); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) send(from, to int, m wire.Message) error {
	switch m := m.(type) {
	case *wire.Clock:
		if claimed := m.Durable.Minus(w.sites[from].synced); !claimed.IsEmpty() {
			return fmt.Errorf("I6: %s advertises %v, which is not safe there", siteNames[from], claimed)
		}
		if w.full() {
			return nil // it is lost
		}
		w.spent.tells++
		w.talk.ads = append(w.talk.ads, ad{from, to, m, string(wire.Append([]byte{byte(from), byte(to)}, m))})
	case *wire.Pull:
		answer, err := w.serve(to, from, m)
		if err != nil {
			return err
		}
		// Its pieces are on their way, each for itself.
		x := w.talk.with[from].Clone()
		w.talk.with[from] = x
		x.Answered(w.talk.now, siteNames[to], answer)
		x.Joined(w.talk.now, siteNames[to], m.Op, vclock.DotSet{})
	}
	return nil
}

func (w *world) full() bool { return int(w.spent.tells) >= w.bounds.Tells }

// hear delivers an advertisement.
func (w *world) hear(a ad) error {
	w.talk.ads = slices.DeleteFunc(slices.Clone(w.talk.ads), func(b ad) bool { return b.raw == a.raw })
	return w.with(a.to, func(x *antientropy.Exchange, clock vclock.DotSet) {
		x.Heard(w.talk.now, siteNames[a.from], a.clock, clock)
	})
}

// tick lets a home advertise what has changed, and pull what it lacks.
func (w *world) tick(at int) error {
	return w.with(at, func(x *antientropy.Exchange, clock vclock.DotSet) {
		x.Hurry()
		x.Tick(w.talk.now, clock)
		x.Pull(w.talk.now, clock, len(w.sites), math.MaxUint64)
	})
}

// restarted begins the exchange of a home anew.
func (w *world) restarted(at int) error {
	if len(w.talk.with) == 0 {
		return nil
	}
	w.talk.with[at] = w.exchange(at)
	return w.linkAll(at)
}

// wipe takes the disk of a home, which begins anew with an empty one.
func (w *world) wipe(at int) error {
	w.spent.wipes++
	s := &w.sites[at]
	s.stored, s.saved, s.synced, s.job = nil, nil, vclock.DotSet{}, job{}
	s.wiped, s.member = true, member{}
	if err := s.start(at); err != nil {
		return err
	}
	if len(w.talk.with) == 0 {
		return nil
	}
	w.talk.with[at] = w.exchange(at)
	for other := range w.sites {
		err := w.with(other, func(x *antientropy.Exchange, clock vclock.DotSet) { x.SetLink(w.talk.now, siteNames[at], false, clock) })
		if err != nil {
			return err
		}
	}
	return nil
}

// meet lets a home that was wiped and another one find each other, and say all that
// they have to say.
func (w *world) meet(at, other int) error {
	w.sites[at].met |= 1 << other
	late, tells := w.talk.ads, w.spent.tells
	w.talk.ads, w.spent.tells = nil, math.MinInt8
	for _, pair := range [][2]int{{at, other}, {other, at}} {
		err := w.with(pair[0], func(x *antientropy.Exchange, clock vclock.DotSet) {
			x.SetLink(w.talk.now, siteNames[pair[1]], true, clock)
		})
		if err != nil {
			return err
		}
	}
	err := w.hearAll()
	w.talk.ads, w.spent.tells = late, tells
	return err
}

// judgeTalk demands that what the exchanges say is so.
func (w *world) judgeTalk() error {
	for at, x := range w.talk.with {
		for other := range w.sites {
			if claimed := x.Common().Minus(w.sites[other].synced); !claimed.IsEmpty() && w.spent.wipes == 0 {
				return fmt.Errorf("I6: %s takes %v to be safe at all, and %s does not have it for sure", siteNames[at], claimed, siteNames[other])
			}
		}
		for _, e := range w.writes {
			stage := x.Stage(e.dot, w.sites[at].replica.Clock())
			if w.spent.wipes > 0 {
				continue
			}
			if err := w.judgeStage(at, e, stage); err != nil {
				return err
			}
		}
	}
	return w.judgeTrust()
}

func (w *world) judgeStage(at int, e write, stage kindred.Stage) error {
	for other := range w.sites {
		if stage >= kindred.Propagated && !w.sites[other].synced.Contains(e.dot) {
			return fmt.Errorf("I6: %s calls %v %v, and %s does not have it for sure", siteNames[at], e.dot, stage, siteNames[other])
		}
		if stage >= kindred.Settled && w.talk.with[other].Stage(e.dot, w.sites[other].synced) < kindred.Propagated && w.spent.crashes == 0 {
			return fmt.Errorf("I6: %s calls %v %v, and %s does not know it to be everywhere", siteNames[at], e.dot, stage, siteNames[other])
		}
	}
	return nil
}

// judgeTrust demands that a quorum of the homes that count towards reads has what
// most homes had for sure (R17).
func (w *world) judgeTrust() error {
	for _, e := range w.writes {
		var without []string
		for at, x := range w.talk.with {
			if x.Trusted() && !w.sites[at].replica.Clock().Contains(e.dot) {
				without = append(without, siteNames[at])
			}
		}
		if e.acked && len(without) > len(w.sites)/2 {
			return fmt.Errorf("R17: %v are trusted and lack %v, which most homes had for sure", without, e.dot)
		}
	}
	return nil
}

func (t *talk) appendTo(b []byte) []byte {
	for _, x := range t.with {
		b = x.AppendTo(b)
	}
	for _, a := range t.ads {
		b = append(append(b, byte(len(a.raw))), a.raw...)
	}
	return b
}

// exchangeMoves lists what homes can do to learn of each other.
func (s *search) exchangeMoves(moves []move, w *world, at int) []move {
	name := siteNames[at]
	for from := range w.sites {
		if from != at && int(w.spent.pulls) < w.bounds.Pulls && !w.sites[at].replica.Clock().Covers(w.sites[from].synced) {
			moves = append(moves, move{what: name + " pulls from " + siteNames[from], at: -1, do: func(w *world) error { return w.pull(at, from) }})
		}
	}
	if w.bounds.Prunes && !w.common(at).Intersect(w.sites[at].replica.Logged()).IsEmpty() {
		moves = append(moves, move{what: "prune " + name, at: at, do: func(w *world) error { return w.prune(at) }})
	}
	if len(w.talk.with) > 0 && !w.full() {
		moves = append(moves, move{what: "tick " + name, at: -1, do: func(w *world) error { return w.tick(at) }})
	}
	for other := range w.sites {
		if s := &w.sites[at]; s.wiped && len(w.talk.with) > 0 && other != at && s.met>>other&1 == 0 {
			moves = append(moves, move{what: name + " meets " + siteNames[other], at: -1, do: func(w *world) error { return w.meet(at, other) }})
		}
	}
	if int(w.spent.wipes) < w.bounds.Wipes && !w.untouched(at) && (!w.bounds.Filled || at == len(w.sites)-1) {
		moves = append(moves, move{what: "wipe " + name, at: at, forgets: true, do: func(w *world) error { return w.wipe(at) }})
	}
	return moves
}

// adMoves lists the advertisements that may arrive.
func (s *search) adMoves(moves []move, w *world) []move {
	for _, a := range w.talk.ads {
		what := fmt.Sprintf("%s hears from %s: durable%v common%v", siteNames[a.to], siteNames[a.from], a.clock.Durable, a.clock.Common)
		moves = append(moves, move{what: what, at: -1, do: func(w *world) error { return w.hear(a) }})
	}
	return moves
}

// judgePulled demands that homes which give each other what they lack show the
// same in the end, on a copy of the world.
func (w *world) judgePulled() error {
	next := w.clone()
	if err := next.learnAll(); err != nil {
		return err
	}
	for at := range next.sites {
		next.sync(at)
	}
	for range 2 {
		for at := range next.sites {
			for from := range next.sites {
				next.letters = nil
				if err := next.pull(at, from); err != nil {
					return err
				}
				if err := next.deliverAll(); err != nil {
					return err
				}
			}
		}
	}
	for key := range w.bounds.Keys {
		if err := next.judgeSame("an exchange", key); err != nil {
			return err
		}
	}
	return nil
}

// deliverAll delivers every letter once.
func (w *world) deliverAll() error {
	for _, l := range w.letters {
		if err := w.deliver(l); err != nil {
			return err
		}
	}
	return nil
}

// judgeSame demands that all homes show the same of a key, and that it is what the
// writes that they know leave alive.
func (w *world) judgeSame(after string, key int) error {
	var first vclock.DotSet
	for at := range w.sites {
		object, err := w.filled(at, key)
		if err != nil {
			return err
		}
		dots := object.Dots()
		if err := w.judgeSet("after "+after+" "+siteNames[at], key, dots, w.sites[at].replica.Clock().Minus(w.closes.void)); err != nil {
			return err
		}
		if at == 0 {
			first = dots
		} else if dots.Compare(first) != vclock.Equal {
			return fmt.Errorf("I9: after %s %s shows %v of %s, %s shows %v", after, siteNames[0], first, keyNames[key], siteNames[at], dots)
		}
	}
	return nil
}
