package sim

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// oracle sees everything: what clients asked with which context, every dot that
// is minted, every batch that is applied. It keeps full histories, as no real
// store could, and compares them with what the replicas made of them.
type oracle struct {
	run     *run
	finding *Finding

	operations map[requestKey]*operation
	// reused are the ids that were used for two keys. Replicas remember them for one of
	// those.
	reused map[kindred.RequestID]bool
	writes map[vclock.Dot]*write
	keys   map[string]*keyHistory
	// minted is the highest counter of each actor.
	minted map[vclock.Actor]uint64
	// started says in which life of which node an actor was first used.
	started map[vclock.Actor]string
	// void are the dots that some member has called void.
	void    vclock.DotSet
	shadows map[place]*shadow
	// mintedAt is when the last write event was made.
	mintedAt time.Duration
	// owed is what a replica has to get back after a loss; replaced says that the
	// disk that is being looked at is not the one that was there before.
	owed     map[place]vclock.DotSet
	replaced bool
	// unsynced are the writes whose rows a node may still lose.
	unsynced [][]*write
	debts    debts
	// refusedAt is when a process was last refused a read by a home.
	refusedAt map[uint64]time.Duration
	// passedOn are the requests that were passed on.
	passedOn map[handover]passedOn
	// told are the dots that each node has called common, which were looked at then.
	told []vclock.DotSet
	// durable are the dots that each node has called durable, and were so.
	durable []vclock.DotSet
	// returned are void dots that an old image of each node's disk brought back: the
	// node holds them, as it did before they were lost, and has not heard yet that
	// they are void.
	returned []vclock.DotSet
	// stale are void dots that an old image of each node's disk owes to others: no
	// home takes them, and all know it.
	stale []vclock.DotSet
	// standing is what could be read when nodes came back.
	standing standing
	// batch is the one that is being looked through, versions the writes of an object
	// that is.
	batch    batch
	versions []*write
}

// requestKey names a write of a client: an id means something for one key only.
type requestKey struct {
	id  kindred.RequestID
	key string
}

// write is one write event: the dot, and what it really did.
type write struct {
	dot vclock.Dot
	key string
	op  *operation
	put bool
	// index is its place in the history of its key, seenFrom where those begin that
	// may have seen it.
	index, seenFrom int
	// expiry is when it expires, as it was stored.
	expiry wire.Expiry
	// written is the time that is stored with it.
	written int64
	// past is the context that it really had.
	past vclock.DotSet
	// applied, durable, acked, lost: at which nodes. Settled: which have said that
	// every home holds it.
	applied, durable, acked, lost, settled nodes
	// regained: got it back after they had lost it, the last of them at regainedAt.
	regained   nodes
	regainedAt time.Duration
	held       holding
	ackedAt    time.Duration
	isAcked    bool
	// forgotten: it was durable there, and the disk was lost.
	forgotten nodes
	// groups are the homes that counted while it was acknowledged, strong those of which
	// a majority did, readers those of whom it was read. GivenUp: have it no more, because
	// others are its homes.
	groups, strong   []nodes
	readers, givenUp nodes
	// unasked: had it, and were not asked when it was called void (R27).
	unasked nodes
	// under is the layout under which its coordinator sent it last.
	under ring.Version
	// nameless: some hint has brought it without its request.
	nameless bool
	// blunt: a copy that had retired has handed it on without what it had seen (R27).
	blunt bool
}

// nodes is a set of nodes, by index.
type nodes uint16

func (s nodes) has(n *node) bool { return s>>n.index&1 == 1 }
func (s nodes) len() int         { return bits.OnesCount16(uint16(s)) }
func (s *nodes) add(n *node)     { *s |= 1 << n.index }
func (s *nodes) remove(n *node)  { *s &^= 1 << n.index }

// place is one replica at one node.
type place struct {
	node int
	id   replica.ID
}

// shadow is what a replica must know, from the rows that were applied.
type shadow struct {
	actor vclock.Actor
	// counted is how many dots the actor had minted when the replica began.
	counted uint64
	clock   vclock.DotSet
	// void are the dots of which the disk says so.
	void vclock.DotSet
	// fresh are the dots that came in this life: the replica has their request
	// ids in memory, unless that is bounded tightly.
	fresh vclock.DotSet
	// passes: there is a row about a rebuild.
	passes bool
	keys   map[string]*shadowKey
	tree   treeCount
}

// shadowKey is what a replica knows of a key.
//
// A write that the clock has stays known, and a put that something known has seen
// stays superseded, for as long as the shadow lives: neither is looked at again. So
// the cost of a look does not grow with the history.
type shadowKey struct {
	// looked is how many writes of the history have been taken into pending: those
	// that the clock does not have, and whether the context does.
	looked  int
	pending []pending
	// past unites what those in E_k had seen, and open are the puts in E_k that are
	// not in it.
	past vclock.DotSet
	open []*write
}

// pending is a write that may or may not be in E_k.
type pending struct {
	write *write
	known bool
}

func newOracle(r *run) *oracle {
	o := &oracle{
		run: r, operations: map[requestKey]*operation{}, reused: map[kindred.RequestID]bool{}, writes: map[vclock.Dot]*write{},
		keys: map[string]*keyHistory{}, minted: map[vclock.Actor]uint64{}, started: map[vclock.Actor]string{},
		shadows: map[place]*shadow{}, standing: standing{}, owed: map[place]vclock.DotSet{}, unsynced: make([][]*write, r.cfg.everyNode()),
		refusedAt: map[uint64]time.Duration{}, passedOn: map[handover]passedOn{}, debts: newDebts(r.cfg.everyNode()), told: make([]vclock.DotSet, r.cfg.everyNode()), durable: make([]vclock.DotSet, r.cfg.everyNode()), returned: make([]vclock.DotSet, r.cfg.everyNode()), stale: make([]vclock.DotSet, r.cfg.everyNode()),
	}
	o.batch = newBatch(o)
	return o
}

// find notes the first broken promise; the run ends with it.
func (o *oracle) find(rule, format string, args ...any) {
	if o.finding == nil {
		o.finding = &Finding{Rule: rule, At: o.run.agenda.now, Text: fmt.Sprintf(format, args...)}
		o.run.trace.say("", "finding", "%v", o.finding)
	}
}

func (o *oracle) history(key string) *keyHistory {
	h := o.keys[key]
	if h == nil {
		h = o.newHistory(key)
		o.keys[key] = h
	}
	return h
}

func (o *oracle) shadow(n *node, id replica.ID) *shadow {
	at := place{n.index, id}
	s := o.shadows[at]
	if s == nil {
		s = &shadow{keys: map[string]*shadowKey{}}
		o.shadows[at] = s
	}
	return s
}

func (s *shadow) key(name string) *shadowKey {
	k := s.keys[name]
	if k == nil {
		k = &shadowKey{}
		s.keys[name] = k
	}
	return k
}

// recovered compares a replica that starts with what its disk holds.
func (o *oracle) recovered(n *node, r *replica.Replica) {
	s := o.shadow(n, r.ID())
	if s.clock.Compare(r.Clock()) != vclock.Equal {
		o.find("I4", "%s recovered the clock %v of replica %v, its log says %v", n.name, r.Clock(), r.ID(), s.clock)
	}
	o.checkTree(n, r.ID(), r.Tree(), nil)
	o.began(n, r.ID(), r.Actor())
}

// began notes the incarnation in which a replica goes on.
func (o *oracle) began(n *node, id replica.ID, a vclock.Actor) {
	life := fmt.Sprint(n.name, " ", n.lives)
	if before, used := o.started[a]; used && before != life {
		o.find("I2", "%s starts replica %v as %v, which has been used before", n.name, id, a)
	}
	o.started[a] = life
	s := o.shadow(n, id)
	s.actor, s.counted = a, o.minted[a]
}

// applied judges a batch once it is in the store.
func (o *oracle) applied(s *shell, out *core.Effects) {
	b := &o.batch
	b.begin(s, out)
	id := uint64(fnvOffset)
	err := out.Rows.Each(func(op storage.Op) error {
		id = mix(mix(id, hashMessage(op.Key)), hashMessage(op.Value))
		b.row(op)
		return nil
	})
	if err != nil {
		o.find("S1", "%s: %v", s.node.name, err)
	}
	o.run.trace.note(line{what: "apply", from: s.node.name}, id)
	for _, id := range s.shard.Replicas() {
		if !b.ids[id] {
			continue
		}
		if clock := o.shadow(s.node, id).clock; clock.Compare(s.shard.Clock(id)) != vclock.Equal {
			o.find("I4", "%s: the clock of replica %v is %v, its log has %v", s.node.name, id, s.shard.Clock(id), clock)
		}
	}
	b.look()
	b.checkTrees()
	b.judgeCheckpoints()
	for i := range b.found {
		o.check(s.node, &b.found[i])
	}
}

// batch is one applied batch being looked through. There is one at a time, and its
// maps are used again.
type batch struct {
	oracle *oracle
	shell  *shell
	out    *core.Effects
	keys   map[string]replica.ID
	ids    map[replica.ID]bool
	// saved are the checkpoints in the batch, pruned what it takes out of the log.
	saved, pruned map[replica.ID]vclock.DotSet
	// rebuilding are the replicas of whose rebuild the batch speaks.
	rebuilding map[replica.ID]bool
	// found are the objects of keys as they are stored now, by key.
	found []found
}

func newBatch(o *oracle) batch {
	return batch{
		oracle: o, keys: map[string]replica.ID{}, ids: map[replica.ID]bool{}, saved: map[replica.ID]vclock.DotSet{},
		pruned: map[replica.ID]vclock.DotSet{}, rebuilding: map[replica.ID]bool{},
	}
}

func (b *batch) begin(s *shell, out *core.Effects) {
	b.shell, b.out = s, out
	clear(b.keys)
	clear(b.ids)
	clear(b.saved)
	clear(b.pruned)
	clear(b.rebuilding)
}

// look reads the objects that the batch may have changed, and whether there is more to
// know of them than the log says.
func (b *batch) look() {
	if len(b.rebuilding) > 0 {
		b.lookForPasses()
	}
	clear(b.found)
	b.found = b.found[:0]
	for key, id := range b.keys {
		b.found = append(b.found, load(b.shell.node.store, id, key))
	}
	slices.SortFunc(b.found, func(x, y found) int { return strings.Compare(x.key, y.key) })
}

func (b *batch) lookForPasses() {
	o, n := b.oracle, b.shell.node
	snapshot, err := n.store.Snapshot()
	if err != nil {
		o.find("S5", "%s: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	for id := range b.rebuilding {
		o.readPasses(n, id, o.shadow(n, id), snapshot)
	}
}

// found is an object as it is stored, or why it cannot be read.
type found struct {
	id     replica.ID
	key    string
	object wire.Object
	err    error
}

func load(store replica.Reader, id replica.ID, key string) found {
	object, err := replica.Load(store, id, bucket, key)
	return found{id, key, object, err}
}

// erases reports whether a row takes a whole table of a replica that is given up.
func erases(id replica.ID, op storage.Op) bool {
	if op.Kind != storage.OpDeleteRange {
		return false
	}
	ranges := storage.ReplicaRanges(id.Partition, id.N)
	return slices.ContainsFunc(ranges[:], func(r storage.KeyRange) bool {
		return bytes.Equal(r.Low, op.Key) && bytes.Equal(r.High, op.Value)
	})
}

func (b *batch) row(op storage.Op) {
	table, partition, n, _ := storage.ParseReplica(op.Key)
	id := replica.ID{Partition: partition, N: n}
	hits := &b.oracle.run.hits
	if erases(id, op) {
		return // the shell says what has gone
	}
	switch table {
	case storage.TableLog:
		if op.Kind != storage.OpSet {
			b.prunedRow(id, op)
			return
		}
		b.ids[id] = true
		b.logged(id, op)
	case storage.TableObject:
		_, _, _, key, err := storage.ParseObjectKey(op.Key)
		if err != nil {
			b.oracle.find("rows", "%s: %v", b.shell.node.name, err)
			return
		}
		b.keys[string(key)] = id
		if op.Kind == storage.OpDelete {
			hits.add(ObjectRemoved)
		}
	case storage.TableHint:
		b.hinted(id, op)
	case storage.TablePromise:
		b.promised(id, op)
	case storage.TableValue:
		hits.add(ValueApart)
	case storage.TableCheckpoint:
		hits.add(CheckpointInPassing)
		b.checkpointed(id, op)
	}
}

// logged takes a row of the dot log: a dot that this replica has minted, or one
// that it has applied.
func (b *batch) logged(id replica.ID, op storage.Op) {
	o, n := b.oracle, b.shell.node
	_, _, raw, counter, err := storage.ParseLogKey(op.Key)
	if err != nil {
		o.find("rows", "%s: %v", n.name, err)
		return
	}
	entry, err := storage.ParseLogEntry(op.Value)
	if err != nil {
		o.find("rows", "%s: %v", n.name, err)
		return
	}
	actor, _, err := vclock.DecodeActor(raw[:])
	if err != nil {
		o.find("rows", "%s: %v", n.name, err)
		return
	}
	d, key := vclock.Dot{Actor: actor, Counter: counter}, string(entry.Key)
	s := o.shadow(n, id)
	if actor != s.actor && actor == b.shell.shard.Incarnation(id) {
		o.began(n, id, actor) // its node was nobody's home for a while
	}
	if actor == s.actor && counter > s.counted && !s.clock.Contains(d) {
		if entry.RequestID == [16]byte{} {
			o.endExpired(b, d, key)
		} else {
			o.mint(b, s, d, key, entry.RequestID)
		}
	}
	w := o.writes[d]
	if w == nil || w.key != key {
		o.find("I4", "%s logs %v for %s, which is not a write of that key", n.name, d, key)
		return
	}
	if o.void.Contains(d) {
		o.find("R14", "%s takes in %v of %s, which is void", n.name, d, key)
	}
	s.clock.Add(d)
	if !w.nameless || entry.RequestID != [16]byte{} {
		s.fresh.Add(d)
	}
	o.regain(n, w)
	o.unsynced[n.index] = append(o.unsynced[n.index], w)
	b.keys[key] = id
}

// mint records a new write event, with what its client really had seen.
func (o *oracle) mint(b *batch, s *shadow, d vclock.Dot, key string, id kindred.RequestID) {
	op := o.operations[requestKey{id, key}]
	if op == nil || !op.intent.IsWrite() {
		o.find("I10", "%s mints %v for %s, which no client asked for", b.shell.node.name, d, key)
		return
	}
	if before := o.writes[d]; before != nil {
		o.find("I2", "%s mints %v for %v, it has been minted for %v", b.shell.node.name, d, op, before.op)
		return
	}
	w := &write{dot: d, key: key, op: op, put: op.request.Op == kindred.OpPut, past: op.context}
	if len(op.request.Context) == 0 && !w.put {
		w.past = b.seenByDelete(d, key)
		o.run.hits.add(DeletedUnread)
	}
	o.writes[d] = w
	if w.put {
		b.noteSent(w)
	}
	if o.run.cfg.LastWins && w.put {
		o.overruled(b, s, w)
	}
	o.mintedAt = o.run.agenda.now
	o.minted[d.Actor] = max(o.minted[d.Actor], d.Counter)
	o.history(key).add(w)
	if op.writes = append(op.writes, w); len(op.writes) > 1 {
		o.run.hits.add(RetryMintedTwice)
	}
	for _, twin := range op.writes {
		if twin != w && o.remembers(op) && s.fresh.Contains(twin.dot) {
			o.find("R19", "%s mints %v for %v, which it has served as %v", b.shell.node.name, d, op, twin.dot)
		}
	}
	switch {
	case op.forbidden:
		o.find("C17", "%s mints %v for %v, whose context is of another key", b.shell.node.name, d, op)
	case op.refused:
		o.find("I10", "%s mints %v for %v, which was answered as not applied", b.shell.node.name, d, op)
	}
}

// seenByDelete is what a delete without a context had read: what it tells the
// others, or, if it tells nobody, all that its replica knows and does not show.
func (b *batch) seenByDelete(d vclock.Dot, key string) vclock.DotSet {
	for _, send := range b.out.Sends {
		if m, ok := send.Msg.(*wire.Write); ok && m.Delta.Dots.Contains(d) && !m.Op.IsZero() {
			return m.Delta.Context.Clone()
		}
	}
	n := b.shell.node
	id := replica.ID{Partition: uint32(b.oracle.run.layout.PartitionOf(bucket, key)), N: uint8(b.oracle.run.cfg.Replicas)}
	object, err := replica.Load(n.store, id, bucket, key)
	if err != nil {
		b.oracle.find("I4", "%s: %v", n.name, err)
	}
	past := b.shell.shard.Clock(id).Clone()
	past.Union(object.Context)
	live := object.Dots()
	live.Add(d)
	return past.Minus(live)
}

// synced notes that everything applied at a node so far is durable.
func (o *oracle) synced(n *node) {
	for _, w := range o.unsynced[n.index] {
		if w.applied.has(n) {
			w.durable.add(n)
			w.held.reached.add(n)
		}
	}
	o.unsynced[n.index] = o.unsynced[n.index][:0]
	o.hintsSynced(n)
}

// sameValue reports whether a stored version is what its write wrote.
func (w *write) sameValue(rec *wire.Record) bool {
	return w.put && bytes.Equal(rec.Value, w.op.request.Value) && rec.RequestID == w.op.request.RequestID
}

// remembers reports whether replicas keep the id of a request for all their life.
func (o *oracle) remembers(op *operation) bool {
	return o.run.cfg.Limits.Requests == core.DefaultLimits().Requests && !o.reused[op.request.RequestID]
}

// twins reports whether the request was served twice (R19).
func (w *write) twins() bool { return len(w.op.writes) > 1 }
