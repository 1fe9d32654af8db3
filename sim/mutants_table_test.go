package sim

// mutant is a bug that somebody could write: the rule that it breaks, and the
// text that makes it. It exists only in an overlay of the build; there is no
// switch for it in the code.
type mutant struct {
	name, rule string
	edits      []edit
	// small: the explorer has to catch it too, among replicas alone. World: it has
	// to in that test of its.
	small bool
	world string
	// alone: the explorer alone is asked, because the mutant waits for what seeds
	// hardly meet, or is in the explorer's own steps.
	alone bool
	// directed is the folder and the test, with a colon between them, that alone are
	// asked, because no seed can meet what it waits for.
	directed string
	// layouts: the seeds that are asked are those in which the layout changes.
	layouts bool
}

// edit replaces a text that must occur exactly once in the file.
type edit struct{ file, old, new string }

// mutants are the bugs that the simulator has to catch. The numbers are those of
// docs/protocol.md: rules R, counter-examples C.
var mutants = []mutant{
	{name: "incarnation reused", small: true, rule: "R14", edits: []edit{
		{"replica/replica.go", "x := start.Nonce +", "x := start.Disk +"},
		{"replica/replica.go", "if top := r.clock.Max(r.actor); top > 0 {", "if top := r.clock.Max(r.actor); top > 0 && false {"},
	}},
	{name: "overwrite instead of merge", small: true, rule: "R3", edits: []edit{
		{"vclock/merge.go", "	s.mergeVersions(*clock, d)\n", "	s.Versions = d.Siblings.Clone().Versions\n"},
	}},
	{name: "clock newer than the object", rule: "R5, C3", edits: []edit{
		{"replica/key.go", "	dirty        bool\n", "	dirty        bool\n	stale        wire.Object\n"},
		{"replica/key.go", "	k.dropVoid()\n}\n\n// hash is", "	k.dropVoid()\n	k.stale = k.object.Clone()\n}\n\n// hash is"},
		{"replica/key.go", "return k.object.Fill(k.r.clock)", "return k.stale.Fill(k.r.clock)"},
	}},
	{name: "clock older than the object", rule: "R5, C3", edits: []edit{
		{"replica/replica.go", "	unsaved int\n", "	unsaved int\n	old     vclock.DotSet\n	asked   int\n"},
		{"replica/key.go", "return k.object.Fill(k.r.clock)", "if k.r.asked++; k.r.asked%16 == 1 {\n		k.r.old = k.r.clock.Clone()\n	}\n	return k.object.Fill(k.r.old)"},
	}},
	{name: "acknowledged before the sync, by a peer", rule: "R10, I1", edits: []edit{
		{"core/peers.go", "x.end(s, x.m.Durability == kindred.Sync, \"\")", "x.end(s, x.m.Durability == kindred.Sync && false, \"\")"},
	}},
	{name: "acknowledged before the sync, by the coordinator", rule: "R10, I1", edits: []edit{
		{"core/write.go", "if o.durability() == kindred.Sync {", "if o.durability() == kindred.Sync && false {"},
	}},
	{name: "strip by the maximum", small: true, rule: "R4, C1", edits: []edit{
		{"vclock/algebra.go", "	base := uint64(0)\n", "	base := b.clock.Max(r.actor)\n"},
		{"vclock/algebra.go", "base = b.clock.runs[b.at-1].Hi", "base = b.clock.Max(r.actor)"},
	}},
	{name: "V into the clock", small: true, rule: "R3, C4", edits: []edit{
		{"vclock/merge.go", "	clock.Union(d.Dots)\n", "	clock.Union(d.Dots)\n	clock.Union(d.Context)\n"},
	}},
	{name: "context on a foreign key", rule: "R8, C17", edits: []edit{
		{"replica/context.go", "if binary.BigEndian.Uint64(token[1:]) != ring.Hash(bucket, key) {", "if false {"},
	}},
	{name: "delete's dot forgotten", small: true, rule: "R6", edits: []edit{
		{"replica/key.go", "delta := wire.Delta{Siblings: wire.Object{Context: seen.Clone()}, Dots: vclock.NewDotSet(d)}", "delta := wire.Delta{Siblings: wire.Object{Context: seen.Clone()}}"},
	}},
	{name: "live without its dot", small: true, rule: "R8, C7", edits: []edit{
		{"replica/get.go", "Delta: wire.Delta{Siblings: g.merged.Clone(), Dots: g.merged.Dots()}", "Delta: wire.Delta{Siblings: g.merged.Clone()}"},
		{"vclock/merge.go", "if !d.Dots.Contains(v.Dot) {", "if false {"},
	}},
	{name: "context without live dots", rule: "R8", edits: []edit{
		{"vclock/siblings.go", "	s.addDotsTo(&seen)\n", ""},
		{"vclock/siblings.go", "	filled.addDotsTo(&filled.Context)\n", ""},
	}},
	{name: "sent stripped", small: true, rule: "R5, C6", edits: []edit{
		{"replica/key.go", "return k.object.Fill(k.r.clock)", "return k.object.Clone()"},
	}},
	{name: "gone key not filled", small: true, rule: "R5, C5", edits: []edit{
		{"replica/key.go", "return k.object.Fill(k.r.clock)", "if k.object.IsGone() {\n		return wire.Object{}\n	}\n	return k.object.Fill(k.r.clock)"},
	}},
	{name: "page sent without its base", rule: "R5, C6", edits: []edit{
		{"replica/scan.go", "filled := stored.FillWith(p.Base)", "filled := stored"},
	}},
	{name: "retry mints a dot of its own", rule: "R19, C18", edits: []edit{
		{"core/write.go", "if dot, ok := k.Served(o.requestID()); ok {", "if dot, ok := k.Served(o.requestID()); ok && false {"},
	}},
	{name: "late retry of a superseded request kept", rule: "R19, C18", edits: []edit{
		{"replica/key.go", "		k.mergeBesides(delta)\n	}\n	k.dropServed()\n", "		k.mergeBesides(delta)\n	}\n"},
	}},
	{name: "second dot of a request outlives an overwrite", rule: "R19", edits: []edit{
		{"replica/key.go", "	k.r.recent.Add(id, k.hash(), d)\n	k.dropServed()\n", "	k.r.recent.Add(id, k.hash(), d)\n"},
	}},
	{name: "retried delete's receipt covers what it has not seen", rule: "R8", edits: []edit{
		{"core/write.go", "	o.unread = byName || o.req.Op == kindred.OpPut && o.lastWins()\n", "	o.unread = !byName && o.lastWins()\n"},
	}},
	{name: "retried put's receipt lacks what it had seen", rule: "R2", edits: []edit{
		{"core/write.go", "	o.unread = byName || o.req.Op == kindred.OpPut && o.lastWins()\n", "	o.unread = byName\n"},
	}},
	{name: "answer to a dead process counted", rule: "R10", edits: []edit{
		{"core/peers.go", "if id.Process == s.cfg.Start.Nonce {", "if true {"},
	}},
	{name: "refusal counted as an acknowledgement", rule: "I1", edits: []edit{
		{"core/peers.go", "o.fail(s, from, m.Refused)", "o.ack(s, from)"},
	}},
	{name: "write quorum one short", rule: "I1", edits: []edit{
		{"replica/put.go", "return got, got >= g.quorum.W &&", "return got, got+1 >= g.quorum.W &&"},
	}},
	{name: "read quorum one short", rule: "I1", edits: []edit{
		{"replica/get.go", "return counted >= g.quorum.R &&", "return counted+1 >= g.quorum.R &&"},
	}},
	{name: "missed quorum called not applied", rule: "I10", edits: []edit{
		{"replica/put.go", "Code: code, Outcome: kindred.Unknown,", "Code: code, Outcome: kindred.NotApplied,"},
	}},
	{name: "lost connection to a home called not applied", rule: "I10", edits: []edit{
		{"core/forward.go", "	outcome := kindred.Unknown\n", "	outcome := kindred.NotApplied\n"},
	}},
	{name: "log not read at the start", small: true, rule: "R1, I4", edits: []edit{
		{"replica/replica.go", "if err := r.readLog(store); err != nil {", "if err := error(nil); err != nil {"},
	}},
	{name: "joined dots not logged", small: true, rule: "R1, I4", edits: []edit{
		{"replica/key.go", "		k.r.log(rows, d, k, requestOf(d, delta, ids), change)\n", "		_ = d\n"},
	}},
	{name: "record with a context removed", small: true, rule: "R4", edits: []edit{
		{"replica/key.go", "if k.object.IsGone() {", "if len(k.object.Versions) == 0 {"},
	}},
	{name: "deletes not saved", small: true, rule: "R6", edits: []edit{
		{"replica/key.go", "	k.object.Discard(seen)\n	k.commit(d, id, rows)\n", "	k.commit(d, id, rows)\n"},
	}},
	{name: "hash tree not updated by deletes", small: true, rule: "R20", edits: []edit{
		{"replica/key.go", "	k.note()\n	k.object.Discard(seen)\n	k.commit(d, id, rows)\n", "	k.object.Discard(seen)\n	k.note()\n	k.commit(d, id, rows)\n"},
	}},
	{name: "hash tree not brought up by the log", small: true, rule: "R20", edits: []edit{
		{"replica/replica.go", "				r.tree.Change(key, entry.Change)\n", ""},
	}},
	{name: "hash tree brought up twice by dots of the checkpoint", rule: "R20", edits: []edit{
		{"replica/replica.go", "				r.unsaved++\n				r.tree.Change(key, entry.Change)\n			}\n", "				r.unsaved++\n			}\n			r.tree.Change(key, entry.Change)\n"},
	}},
	{name: "change without a dot not saved with the hash tree", small: true, rule: "R20", edits: []edit{
		{"replica/key.go", "	k.unlogged = k.unlogged || change != 0\n", ""},
	}},
	{name: "a full shard is woken all the time", rule: "core", edits: []edit{
		{"core/sweep.go", "		s.sweeper.postpone(now)\n", ""},
	}},
	{name: "a read that ended is kept", rule: "C14", edits: []edit{
		{"core/read.go", "	s.finish(o)\n	if o.lingers {", "	if o.lingers {"},
	}},
	{name: "expiry ignored by reads", rule: "W8", edits: []edit{
		{"replica/get.go", "if v.Value.ExpiresAt.Over(now) {", "if false {"},
	}},
	{name: "expiry ignored by scans", rule: "W8", edits: []edit{
		{"replica/scan.go", "if at := v.Value; !at.Over(now) {", "if at := v.Value; true {"},
	}},
	{name: "expired without a dot", rule: "W8, R6", edits: []edit{
		{"replica/expiry.go", "	return k.end(over, rows), true\n", "	k.object.Drop(over)\n	k.dirty = true\n	return wire.Delta{}, true\n"},
	}},
	{name: "end of an expired value tells nothing of its past", rule: "W8, R2", edits: []edit{
		{"replica/lww.go", "	delta.Context = k.superseded(d)\n", "	_ = d\n"},
	}},
	{name: "end of an expired value sent without what it ends", rule: "W8, I5", edits: []edit{
		{"replica/lww.go", "	delta.Context = k.superseded(d)\n", "	delta.Context = k.superseded(d).Minus(dots)\n"},
	}},
	{name: "expired by one clock", rule: "W8", edits: []edit{
		{"core/expiry.go", "majority := len(r.homes)/2 + 1\n", "majority := 1\n"},
	}},
	{name: "expiry missing in the index", rule: "W8, I5", edits: []edit{
		{"replica/expiry.go", "			rows.Set(k.expiryRow(at), nil)\n", ""},
	}},
	{name: "index of expiries not read at the start", rule: "W8, I5", edits: []edit{
		{"replica/expiry.go", "	r.expiries.note(reply.Next)\n", ""},
	}},
	{name: "row of the index outlives its object", rule: "W8", edits: []edit{
		{"replica/expiry.go", "	for _, at := range k.expiries {\n		if !slices.Contains(times, at) {\n", "	for _, at := range k.expiries {\n		if false {\n"},
		{"replica/expiry.go", "		rows.Delete(k.expiryRow(at))\n	}\n}\n\nfunc (k *Key) expiryRow", "	}\n}\n\nfunc (k *Key) expiryRow"},
	}},
	{name: "fallback fills", world: "guests", rule: "R7, C2", edits: []edit{
		{"hintedhandoff/hint.go", "	o.Context.Union(h.row.Delta.Dots)\n	return o\n", "	for d := range h.row.Delta.Dots.Dots() {\n		for c := uint64(1); c <= d.Counter; c++ {\n			o.Context.Add(vclock.Dot{Actor: d.Actor, Counter: c})\n		}\n	}\n	return o\n"},
	}},
	{name: "fallback sends a range of its own dots", world: "guests", rule: "R7, C1", edits: []edit{
		{"core/guest.go", "	delta.Dots = vclock.NewDotSet(dot)\n", "	for c := uint64(1); c <= dot.Counter; c++ {\n		delta.Dots.Add(vclock.Dot{Actor: dot.Actor, Counter: c})\n	}\n"},
		{"sim/explore/guests.go", "	if err := g.owe(key, wire.AllSlots(len(w.sites)), delta); err != nil {", "	for c := uint64(1); c <= d.Counter; c++ {\n		delta.Dots.Add(vclock.Dot{Actor: d.Actor, Counter: c})\n	}\n	if err := g.owe(key, wire.AllSlots(len(w.sites)), delta); err != nil {"},
	}},
	{name: "hint offered by maximum", rule: "C1", edits: []edit{
		{"core/deliver.go", "		reply.Dots = m.Dots.Minus(r.Clock())\n", "		for d := range m.Dots.Dots() {\n			if r.Clock().Max(d.Actor) < d.Counter {\n				reply.Dots.Add(d)\n			}\n		}\n"},
	}},
	{name: "hint dropped on an acknowledgement that is not durable", world: "guests", rule: "I7, C14", edits: []edit{
		{"core/deliver.go", "Op: s.opID(seq), Durability: kindred.Sync,", "Op: s.opID(seq), Durability: kindred.Batch,"},
		{"sim/explore/guests.go", "	w.sync(h.slot) // the acknowledgement leaves after it\n", ""},
	}},
	{name: "offer answered before the sync", rule: "I7, C14", edits: []edit{
		{"core/deliver.go", "	s.send(from, reply, true)\n", "	s.send(from, reply, false)\n"},
	}},
	{name: "hint dropped without an acknowledgement", world: "guests", rule: "I7, R11", edits: []edit{
		{"core/deliver.go", "		d.open = len(pieces)\n", "		d.open = len(pieces)\n		s.pay(ses, &delivery{bucket: f.Bucket, key: f.Key, durable: f.Hint.Dots()})\n"},
		{"sim/explore/guests.go", "	g.handover = handover{open: true,", "	_ = g.change(key, func(h *hintedhandoff.Hint) { h.Pay(slot, h.Dots()) })\n	g.handover = handover{open: true,"},
	}},
	{name: "hint merged by overwriting", world: "guests", rule: "R11", edits: []edit{
		{"hintedhandoff/hint.go", "	h.row.Delta = vclock.JoinDeltas(h.row.Delta, delta)\n", "	h.row.Delta = delta\n"},
	}},
	{name: "hint that has grown is dropped", world: "guests", rule: "I7, R11", edits: []edit{
		{"hintedhandoff/hint.go", "|| !durable.Covers(h.row.Delta.Dots) {", "{"},
	}},
	{name: "guest forgets the request of its delete", rule: "R19", edits: []edit{
		{"core/guest.go", "	h.Owe(wire.AllSlots(max(len(o.homes), len(o.base))), delta, ids, now)\n", "	h.Owe(wire.AllSlots(max(len(o.homes), len(o.base))), delta, nil, now)\n"},
	}},
	{name: "debts forgotten at the start", rule: "C13", edits: []edit{
		{"core/hints.go", "	return s.debts.ledger.Recover(store, mine)\n", "	return nil\n"},
	}},
	{name: "guest counted in a strict quorum", rule: "I1", edits: []edit{
		{"replica/put.go", "if g.quorum.Sloppy && !g.counts(guest) {", "if !g.counts(guest) {"},
	}},
	{name: "guests asked by homes only", rule: "C15", edits: []edit{
		{"core/forward.go", "	for _, p := range places {\n", "	places = nil\n	for _, p := range places {\n"},
	}},
	{name: "whole clock after a part", rule: "R9, C4", edits: []edit{
		{"core/exchange.go", "			if left--; left == 0 {\n", "			if left--; left == 0 {\n				_ = x.replica.Void(m.Base)\n"},
	}},
	{name: "gone key not sent", world: "exchange", rule: "R9, C5", edits: []edit{
		{"replica/pieces.go", "		case at > 0 && p.bytes+size > p.bytesMax:\n", "		case object.IsGone():\n			return true\n		case at > 0 && p.bytes+size > p.bytesMax:\n"},
	}},
	{name: "pieces sent stripped", world: "exchange", rule: "R5, C6", edits: []edit{
		{"wire/exchange.go", "Siblings: p.Object.FillWith(base), Dots", "Siblings: p.Object, Dots"},
	}},
	{name: "pieces leave before they are durable", world: "exchange", rule: "R9, C8", edits: []edit{
		{"core/exchange.go", "s.send(from, pieces, true)", "s.send(from, pieces, false)"},
		{"sim/explore/exchange.go", "	w.sync(from)\n", ""},
	}},
	{name: "always trusted", world: "exchange", rule: "R17", edits: []edit{
		{"antientropy/trust.go", "func (e *Exchange) Trusted() bool { return e.trusted }", "func (e *Exchange) Trusted() bool { return true }"},
	}},
	{name: "pruned without raising the floor", world: "exchange", rule: "R12, C12", edits: []edit{
		{"replica/prune.go", "	r.saveClock(rows)\n}\n\nfunc (r *Replica) prune(", "}\n\nfunc (r *Replica) prune("},
	}},
	{name: "pruned when most homes hold it", world: "exchange", rule: "R12", edits: []edit{
		{"antientropy/exchange.go", "		common = common.Intersect(p.durable)\n", "		common = common.Intersect(p.durable)\n		break\n"},
	}},
	{name: "unsynced clock advertised", world: "exchange", rule: "R12, I6", edits: []edit{
		{"antientropy/exchange.go", "	p.told, p.toldAt = mine, now\n	_, volatile := e.Captured()\n", "	p.told, p.toldAt = mine, now\n	volatile := false\n"},
	}},
	{name: "lost advertisement not noticed", rule: "I9", edits: []edit{
		{"antientropy/peer.go", "p.complete = digest(p.durable, p.common) == m.Digest", "p.complete = true"},
	}},
	{name: "restarted home taken for the old one", rule: "R12, I9", edits: []edit{
		{"antientropy/exchange.go", "	if m.Actor != p.actor {\n", "	if m.Actor != p.actor && p.actor.IsZero() {\n"},
	}},
	{name: "pull that was not answered is waited for", rule: "I9", edits: []edit{
		{"antientropy/exchange.go", "if p.pull != nil && now.After(p.pull.until) {", "if p.pull != nil && now.After(p.pull.until) && false {"},
	}},
	{name: "dead incarnations never closed", rule: "R15", edits: []edit{
		{"core/close.go", "	if len(long) > 0 && p.attempt == nil {", "	if false {"},
	}},
	{name: "damaged replica answers reads", rule: "R20", edits: []edit{
		{"core/read.go", "	case k.Damaged():\n		m.Failed = isDamaged\n", ""},
	}},
	{name: "lost rows not noticed", rule: "R20", edits: []edit{
		{"replica/damage.go", "	for leaf := range doubted.Leaves() {\n		r.damage.leaves.Add(leaf)\n	}\n", ""},
	}},
	{name: "what was lost is joined instead of restored", rule: "R20", edits: []edit{
		{"replica/damage.go", "		if k.r.clock.Contains(v.Dot) || k.besides.Contains(v.Dot) {\n			back", "		if false {\n			back"},
	}},
	{name: "mark of damage not on the disk", rule: "R20, I4", edits: []edit{
		{"replica/replica.go", "if err := r.readDamage(store); err != nil {", "if err := error(nil); err != nil {"},
	}},
	{name: "whole clock joined after a part of a rebuild", world: "rebuild", rule: "R13, C4", edits: []edit{
		{"replica/rebuild.go", "	if c.Last {\n", "	if c.Last || c.First {\n"},
	}},
	{name: "own keys in a range of a rebuild skipped", world: "rebuild", rule: "R13, C5", edits: []edit{
		{"core/rebuildpage.go", "		var p pair\n		if c >= 0 {", "		if c > 0 {\n			own = own[1:]\n			continue\n		}\n		var p pair\n		if c >= 0 {"},
		{"sim/explore/rebuild.go", "		var theirs wire.Object\n", "		var theirs wire.Object\n		if len(own.Versions) > 0 {\n			continue\n		}\n"},
	}},
	{name: "rebuilt replica trusted after one home", world: "exchange", rule: "R17, C15", edits: []edit{
		{"antientropy/trust.go", "return min(len(homes)-len(homes)/2, others)", "return min(others, 1)"},
	}},
	{name: "wiped node uses its old incarnation again", rule: "R14, I2", edits: []edit{
		{"sim/node.go", "start := vclock.Actor{Disk: n.diskID, Nonce: uint64(draw.with(2)) | 1}", "start := vclock.Actor{Disk: uint64(n.index + 1), Nonce: uint64(n.index + 1)}"},
		{"replica/replica.go", "if top := r.clock.Max(r.actor); top > 0 {", "if top := r.clock.Max(r.actor); top > 0 && false {"},
	}},
	{name: "piece claims its sender's whole clock", world: "exchange", rule: "R9, C4", edits: []edit{
		{"wire/exchange.go", "Siblings: p.Object.FillWith(base), Dots: p.Object.Dots()}", "Siblings: p.Object.FillWith(base), Dots: base.Clone()}\n	d.Dots.Union(p.Object.Dots())"},
	}},
	{name: "piece filled with an older clock", world: "exchange", alone: true, rule: "R9, C3", edits: []edit{
		{"sim/explore/exchange.go", "		delta := p.Delta(answer.Base)\n", "		delta := p.Delta(before.Bases())\n"},
		{"sim/explore/exchange.go", "	s := &w.sites[from]\n	ask.Dots", "	s := &w.sites[from]\n	before := s.synced\n	ask.Dots"},
	}},
	{name: "objects of pieces read before their clock", world: "exchange", alone: true, rule: "R5, C3", edits: []edit{
		{"sim/explore/exchange.go", "Pieces(s.stored, ask, 1<<20)", "Pieces(s.saved, ask, 1<<20)"},
	}},
	{name: "void dots taken into the clock only", world: "closes", alone: true, rule: "R15", edits: []edit{
		{"replica/closing.go", "	r.closing.unswept.Union(dots)\n", ""},
	}},
	{name: "no touch", world: "closes", alone: true, rule: "R15, C8", edits: []edit{
		{"replica/key.go", "	if k.leaked && !k.Damaged() && !k.r.Retired() {\n", "	if false {\n"},
	}},
	{name: "late write whose dot is void taken", world: "closes", alone: true, rule: "R14, I1", edits: []edit{
		{"replica/closing.go", "	if c.void.IsEmpty() {\n", "	if true {\n"},
	}},
	{name: "dots void that a home holds", world: "closes", alone: true, rule: "R15", edits: []edit{
		{"sim/explore/closes.go", "		void = void.Minus(report.Held)\n", "		if i == 0 {\n			void = void.Minus(report.Held)\n		}\n"},
	}},
	{name: "rebuild without what the source knew", world: "rebuild", alone: true, rule: "R13, C5", edits: []edit{
		{"replica/rebuild.go", "	knows, known := c.Knows, k.r.clock\n", "	knows, known := vclock.DotSet{}, k.r.clock\n"},
	}},
	{name: "what a rebuild knows of passed keys forgotten", world: "rebuild", alone: true, rule: "R13, C13", edits: []edit{
		{"replica/key.go", "besides: r.besides(bucket, key)}", "besides: vclock.DotSet{}}"},
	}},
	{name: "what a rebuild knows is not read at the start", world: "rebuild", alone: true, rule: "R13, C13", edits: []edit{
		{"replica/replica.go", "	if r.passes, err = readPasses(id, store); err != nil {", "	if _, err = readPasses(id, store); err != nil {"},
	}},
	{name: "rebuild goes on from a source without its beginning", world: "rebuild", alone: true, rule: "R13", edits: []edit{
		{"antientropy/rebuild.go", "if failed || !m.useful(clock) {", "if failed || !m.begun && !m.useful(clock) {"},
	}},
	{name: "live versions of a rebuild not logged", world: "rebuild", alone: true, rule: "R13, R1", edits: []edit{
		{"replica/rebuild.go", "	change = k.logLive(c0, change, rows)\n", ""},
	}},
	{name: "retry acknowledged before its dot is in the clock", world: "rebuild", alone: true, rule: "R10, R13", edits: []edit{
		{"replica/key.go", "	k.Claim(rows)\n	return k.Whole(d)\n", "	return k.Whole(d)\n"},
	}},
	{name: "rebuild copies live versions that it knows to be gone", world: "rebuild", alone: true, rule: "R13, C13", edits: []edit{
		{"replica/rebuild.go", "	k.object.MergeVersions(known, wire.Delta{Siblings: wire.Object{Versions: from.Versions, Context: knows}})\n", "	k.object.MergeVersions(vclock.DotSet{}, wire.Delta{Siblings: wire.Object{Versions: from.Versions, Context: knows}})\n"},
	}},
	{name: "message of a later format read as one of now", rule: "F18", edits: []edit{
		{"wire/message.go", "	if b[0] != Format {\n", "	if b[0] < Format {\n"},
	}},
	{name: "more at the end of a message overlooked", rule: "F18", edits: []edit{
		{"wire/message.go", "	if err := r.end(kind.String()); err != nil {\n", "	if err := r.end(kind.String()); err != nil && false {\n"},
	}},
}
