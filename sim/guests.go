package sim

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// guest is what a node owes of one key, from the rows that were applied.
type guest struct {
	slots wire.Slots
	dots  vclock.DotSet
	// homes are those by slot when it was kept first.
	homes []string
}

// debtKey names a hint: the node, the partition and the key.
type debtKey struct {
	place place
	key   string
}

// holding is where a write is held by guests.
type holding struct {
	// kept: has ever been; durable: is, for certain; lost: was, until a crash.
	kept, durable, lost nodes
	// acked: guests that receipts have named. Paid: guests that have dropped it,
	// because every home that they owed it to has it; they may take it again.
	acked, paid nodes
	// reached are homes that have ever held the write durably.
	reached nodes
}

// debts is what the oracle knows of guests.
type debts struct {
	hints map[debtKey]guest
	// unsynced are the hints that a node may still lose.
	unsynced [][]*write
}

func newDebts(nodes int) debts {
	return debts{hints: map[debtKey]guest{}, unsynced: make([][]*write, nodes)}
}

// hinted takes a row of the hint table.
func (b *batch) hinted(id replica.ID, op storage.Op) {
	o, n := b.oracle, b.shell.node
	_, _, _, name, err := storage.ParseHintKey(op.Key)
	if err != nil {
		o.find("rows", "%s: %v", n.name, err)
		return
	}
	key := string(name)
	at := debtKey{place{n.index, id}, key}
	before, after := o.debts.hints[at], guest{}
	if op.Kind == storage.OpSet {
		stored, err := wire.DecodeStoredHint(op.Value)
		if err != nil {
			o.find("rows", "%s: %v", n.name, err)
			return
		}
		b.mintedAsGuest(id, key, before, &stored)
		o.noteExpiry(n, stored.Delta.Siblings)
		after = guest{slots: stored.Slots, dots: stored.Delta.Dots.Clone()}
		o.checkHint(n, key, &stored)
		o.noteNameless(&stored)
		o.run.hits.add(HintKept)
		if o.limitsHints() && b.shell.shard.Stats().HintsRefused > 0 {
			o.run.hits.add(HintTakenAgain)
		}
		o.run.hintKept(n)
	}
	o.checkPaid(n, at, before, after)
	o.keepHint(n, at, after)
}

// limitsHints reports whether guests run out of room in this run (F20).
func (o *oracle) limitsHints() bool {
	limits, usual := &o.run.cfg.Limits, core.DefaultLimits()
	return limits.Hints < usual.Hints || limits.HintBytes < usual.HintBytes
}

// crashesFull counts a guest that dies while it has no room: what it has refused since
// must have been acknowledged by others, and what it keeps must come through.
func (o *oracle) crashesFull(n *node) {
	if !o.limitsHints() {
		return
	}
	for _, s := range n.shards {
		if st := s.shard.Hints(); st.Hints >= o.run.cfg.Limits.Hints || st.Bytes >= o.run.cfg.Limits.HintBytes {
			o.run.hits.add(FullGuestCrashed)
		}
	}
}

// mintedAsGuest records the dots of this very guest that nobody has seen yet.
func (b *batch) mintedAsGuest(id replica.ID, key string, before guest, h *wire.StoredHint) {
	o, n := b.oracle, b.shell.node
	own, first := b.shell.shard.GuestIncarnation(id), replica.GuestIncarnation(id, n.start)
	var minted []vclock.Dot
	for d := range h.Delta.Dots.Minus(before.dots).Dots() {
		// One that has just come back may have minted in this batch before that.
		if d.Actor != own && d.Actor != first || o.writes[d] != nil {
			continue
		}
		o.mint(b, &shadow{}, d, key, b.requestTold(d))
		o.run.hits.add(GuestMinted)
		minted = append(minted, d)
	}
	for i, d := range minted {
		full := len(h.RequestIDs) >= hintedhandoff.RequestsMax
		if w := o.writes[d]; w != nil && (!full || i == len(minted)-1) && requestOfHint(h, d) != w.op.filedAs() {
			o.find("R19", "%s has minted %v for %v, and its hint does not say so", n.name, d, w.op)
		}
	}
}

// requestTold is the request of a write event as its guest tells the homes. A hint that
// is full need not name all that one batch has made.
func (b *batch) requestTold(d vclock.Dot) kindred.RequestID {
	for _, send := range b.out.Sends {
		if m, ok := send.Msg.(*wire.Write); ok && m.Delta.Dots.Contains(d) {
			if id := requestOf(d, m.Delta, m.RequestIDs); !id.IsZero() {
				return id
			}
		}
	}
	return kindred.RequestID{}
}

func requestOfHint(h *wire.StoredHint, d vclock.Dot) kindred.RequestID {
	return requestOf(d, h.Delta, h.RequestIDs)
}

func requestOf(d vclock.Dot, delta wire.Delta, ids []wire.DotRequest) (id kindred.RequestID) {
	for _, v := range delta.Versions {
		if v.Dot == d {
			return v.Value.RequestID
		}
	}
	for _, dr := range ids {
		if dr.Dot == d {
			return dr.ID
		}
	}
	return id
}

// noteNameless notes the writes whose requests a hint has forgotten, because it
// remembers only so many. Whoever takes the hint cannot know them (R19).
func (o *oracle) noteNameless(h *wire.StoredHint) {
	if len(h.RequestIDs) < hintedhandoff.RequestsMax {
		return
	}
	for d := range h.Delta.Dots.Dots() {
		if w := o.writes[d]; w != nil && requestOfHint(h, d).IsZero() {
			w.nameless = true
		}
	}
}

// checkHint demands that a hint speaks of writes of its key that exist, and of no
// others (R7, C1), and that what it shows is exact for what it knows.
func (o *oracle) checkHint(n *node, key string, h *wire.StoredHint) {
	for d := range h.Delta.Dots.Dots() {
		if w := o.writes[d]; w == nil || w.key != key {
			o.find("R7", "%s holds %v as a hint of %s, which is not a write of that key", n.name, d, key)
			return
		}
	}
	object := wire.Object{Versions: h.Delta.Versions, Context: h.Delta.Context.Clone()}
	object.Context.Union(h.Delta.Dots)
	o.checkFilled(n, key, object)
}

// checkPaid demands that what a guest has dropped is durable at the home that it was
// owed to (I7).
func (o *oracle) checkPaid(n *node, at debtKey, before, after guest) {
	for slot := range o.run.cfg.Replicas {
		if !before.slots.Has(slot) {
			continue
		}
		gone := before.dots
		if after.slots.Has(slot) {
			gone = before.dots.Minus(after.dots)
		} else {
			o.run.hits.add(HintPaid)
			if homes := o.run.homes(at.key); slot < min(len(homes), len(before.homes)) && before.homes[slot] != homes[slot] {
				o.run.hits.add(HintReaimed)
			}
		}
		for d := range gone.Dots() {
			paid := o.stale[n.index].Contains(d)
			o.run.atNode(n, at.place.id.Partition, func(by *owners) bool {
				if slot >= len(by.names) {
					paid = true // there is no such home any more
					return false
				}
				// Who has become the home itself takes it in before the hint goes.
				w, home := o.writes[d], o.run.byName[by.names[slot]]
				paid = paid || w.held.reached.has(home) || home == n && w.applied.has(n) || o.owedInVain(w, n, home)
				return !paid
			})
			if !paid {
				o.find("I7", "%s drops its hint of %v of %s for slot %d, whose home has never held it durably", n.name, d, at.key, slot)
				return
			}
		}
	}
}

// owedInVain reports whether a hint of a write is one that its home refuses for ever: only
// nodes that were not asked had the write when it was called void, because they were gone,
// which is what their operator accepted (R27); this guest is one of them; and the home knows
// that it is void (R14), which is what its acknowledgement says here. What anybody who was
// asked owes is never void (promised).
func (o *oracle) owedInVain(w *write, guest, home *node) bool {
	s := o.shadows[place{home.index, o.history(w.key).id}]
	return w.unasked.has(guest) && s != nil && o.isVoid(w.dot) && s.clock.Contains(w.dot)
}

func (o *oracle) keepHint(n *node, at debtKey, after guest) {
	for d := range o.debts.hints[at].dots.Minus(after.dots).Dots() {
		o.writes[d].held.durable.remove(n) // the row may go
		o.writes[d].held.paid.add(n)
	}
	if after.slots == 0 {
		delete(o.debts.hints, at)
		return
	}
	if after.homes = o.debts.hints[at].homes; after.homes == nil {
		after.homes = o.run.homes(at.key)
	}
	o.debts.hints[at] = after
	for d := range after.dots.Dots() {
		w := o.writes[d]
		if w == nil {
			return // found already
		}
		w.held.kept.add(n)
		w.held.lost.remove(n)
		o.debts.unsynced[n.index] = append(o.debts.unsynced[n.index], w)
	}
}

// hintsSynced notes that the hints that a node holds are durable.
func (o *oracle) hintsSynced(n *node) {
	if len(o.debts.unsynced[n.index]) == 0 {
		return
	}
	held := vclock.DotSet{}
	for at, h := range o.debts.hints {
		if at.place.node == n.index {
			held.Union(h.dots)
		}
	}
	for _, w := range o.debts.unsynced[n.index] {
		if held.Contains(w.dot) {
			w.held.durable.add(n)
		}
	}
	o.debts.unsynced[n.index] = o.debts.unsynced[n.index][:0]
}

// hintsCrashed compares the hints that a disk kept with what it had promised.
func (o *oracle) hintsCrashed(n *node) {
	before := map[debtKey]guest{}
	for at, h := range o.debts.hints {
		if at.place.node == n.index {
			before[at] = h
			delete(o.debts.hints, at)
		}
	}
	o.readHints(n)
	o.stale[n.index] = vclock.DotSet{}
	if o.replaced {
		for at, h := range o.debts.hints {
			if at.place.node == n.index {
				o.stale[n.index].Union(h.dots.Intersect(o.void))
			}
		}
	}
	for at, h := range before {
		for d := range h.dots.Minus(o.debts.hints[at].dots).Dots() {
			o.loseHint(n, o.writes[d])
		}
	}
}

func (o *oracle) loseHint(n *node, w *write) {
	o.run.hits.add(CrashLostHints)
	w.held.lost.add(n)
	switch {
	case w.held.durable.has(n) && o.replaced:
		o.run.hits.add(GuestDiskLost)
		w.held.durable.remove(n)
		w.forgotten.add(n)
	case w.held.durable.has(n):
		o.find("S4", "%s lost its hint of %v, which it had synced", n.name, w.dot)
	}
	if w.held.acked.has(n) {
		o.run.hits.add(CrashLostAcknowledged)
	}
}

// readHints reads what a disk holds.
func (o *oracle) readHints(n *node) {
	snapshot, err := n.store.Snapshot()
	if err != nil {
		o.find("S5", "%s: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	lo, hi := storage.TableRange(storage.TableHint)
	err = snapshot.Scan(lo, hi, func(row, value []byte) bool {
		partition, copies, _, key, err := storage.ParseHintKey(row)
		stored, bad := wire.DecodeStoredHint(value)
		if err != nil || bad != nil {
			o.find("rows", "%s has a hint that cannot be read", n.name)
			return false
		}
		at := debtKey{place{n.index, replica.ID{Partition: partition, N: copies}}, string(key)}
		o.keepHint(n, at, guest{slots: stored.Slots, dots: stored.Delta.Dots.Clone()})
		return true
	})
	if err != nil {
		o.find("S6", "%s: %v", n.name, err)
	}
}

// demandNoHints demands that every debt is paid once nothing goes wrong any more
// (C13), but those of nodes that have no place any more: they keep what they have.
func (r *run) demandNoHints() {
	for _, n := range r.nodes {
		if n.isOut() {
			continue
		}
		for _, s := range n.shards {
			if st := s.shard.Hints(); st.Hints != 0 || st.Bytes != 0 || len(st.Debts) > 0 {
				r.oracle.find("C13", "%s still owes %+v when nothing is going on", n.name, st)
			}
		}
	}
	for at := range r.oracle.debts.hints {
		if r.nodes[at.place.node].isOut() {
			r.hits.add(HintsStranded)
			continue
		}
		r.oracle.find("C13", "%s still has a hint of %s", r.nodes[at.place.node].name, at.key)
	}
}

// judgeGuest looks at an acknowledgement of a node that is no home of the key. It
// reports whether it counts.
func (o *oracle) judgeGuest(op *operation, w *write, n *node, resp *kindred.Response) bool {
	name := n.name
	switch {
	case !slices.Contains(resp.Receipt.Guests, name):
		o.find("R10", "%v is acknowledged by %s, which is not a home of it", op, name)
	case !op.request.Sloppy.IsSloppy():
		o.find("I1", "%v is strict and acknowledged by the guest %s", op, name)
	case resp.Receipt.Durability == kindred.Sync && !w.held.reached.has(n) && !w.held.durable.has(n) && !w.held.paid.has(n) && !w.forgotten.has(n):
		o.find("I1", "%v is acknowledged as durable at the guest %s, where %v is not", op, name, w.dot)
	case !w.held.kept.has(n):
		o.find("I1", "%v is acknowledged by the guest %s, which has never held %v", op, name, w.dot)
	default:
		w.held.acked.add(n)
		o.run.hits.add(SloppyAcknowledged)
		if w.held.lost.has(n) {
			o.run.hits.add(CrashLostAcknowledged)
		}
		return true
	}
	return false
}

// hintArrived loses a node's power now and then, just after a hint was delivered to
// it: what it has taken is applied and not durable.
func (r *run) hintArrived(n *node, from string, m *wire.Write) {
	if m.Op.IsZero() || slices.Contains(r.homes(m.Key), from) {
		return
	}
	r.hits.add(HintArrived)
	draw := r.draw(0x417D, uint64(n.index))
	if r.calm || !draw.happens(r.cfg.Fault.AfterHint) || !r.occurs(IncidentAfterHint) {
		return
	}
	life := n.lives
	r.agenda.after(draw.with(1).about(2*time.Millisecond), func() {
		if n.lives == life && n.up && !r.calm {
			r.hits.add(KilledAfterHint)
			r.kill(n, 0, draw.with(2))
		}
	})
}

// drawPace is a pace that lets much happen in a short run.
func drawPace(draw func(n int) int) hintedhandoff.Pace {
	p := hintedhandoff.DefaultPace()
	p.PageHints = 1 + draw(32)
	p.Sessions = 1 + draw(3)
	p.HintsPerSecond = []int{20, 200, 2500}[draw(3)]
	p.Again = []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, time.Second}[draw(3)]
	p.Patience = []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second}[draw(3)]
	return p
}
