package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// node is a machine with a disk, and while it is up a process with shards. It
// plays the shell exactly as package core demands, and as package node does it.
type node struct {
	run   *run
	name  string
	index int

	store *memstore.Store
	disk  disk
	// rot are the rows that were made to rot, spoilt what else the disk did to
	// replicas that have not been restored yet.
	rot    map[string]bool
	spoilt map[replica.ID]spoilt
	shards []*shell
	// replicas are those that it has something of, phase is by whose owners it works,
	// nil before it knows of a layout.
	replicas []replica.ID
	phase    *ring.Phase
	// ownedCount is how many replicas the phase ownedBy gives it.
	ownedBy    *ring.Phase
	ownedCount int
	// away: nobody starts it, because it has not joined yet or will never come back.
	away bool
	// returning: some operator is about to make it a member again.
	returning bool
	// fading: it is to be removed soon, and little of what it says is heard.
	fading bool
	// voting: it holds a layout that is not used yet. A disk that is lost with that is
	// beyond what the protocol bears.
	voting bool
	// announced is the layout with which it said that it is complete, rebuiltFor the one
	// with which a rebuild has ended.
	announced, rebuiltFor ring.Version
	// helm drives its control core, meta is what it last told of itself, heard what it
	// has heard of others.
	helm  *helm
	meta  []byte
	heard map[string][]byte
	// lives counts the starts; what an earlier life has begun does not end.
	lives      uint64
	up, paused bool
	// slow: its disk is. Lame: its process is.
	slow, lame bool
	// stalled is what the process would do if it were not paused.
	stalled []func()
	// noticed are the links that it knows to be up, links those that its shards know.
	noticed, links map[string]bool
	// linkedAt is when the last of them changed, start the incarnation of this life.
	linkedAt time.Duration
	start    vclock.Actor
	// oldParts are parts of hash trees as they were saved once, by their rows.
	oldParts map[string][]byte
	// diskID belongs to the disk, image is what it once was.
	diskID uint64
	image  *image
	// disks counts those it has had.
	disks uint64
	// early are the first messages of this life.
	early []letter
	// skew is what its wall clock is off, wallMax the latest time it has shown.
	skew    time.Duration
	wallMax int64
	// pending are the requests of clients that have not been answered.
	pending map[uint64]func(*kindred.Response)
}

// shell drives one shard.
type shell struct {
	node   *node
	number int
	shard  *core.Shard
	inbox  []event
	// due says that a round is planned, wake when the next deadline is.
	due  bool
	wake time.Duration
	// phase is by whose owners it works, era since when.
	phase *ring.Phase
	era   *era
	// dropping: what it need not hold any more is to be given up.
	dropping bool
}

type event func(now time.Time, s *core.Shard)

// epoch is the time of the first event of a run, and what a wall clock shows then
// that is not off.
var epoch = time.UnixMilli(1_790_000_000_000)

func (n *node) clock() time.Time { return epoch.Add(n.run.agenda.now) }

// later plans what this life of the node will do.
func (n *node) later(d time.Duration, do func()) {
	life := n.lives
	n.run.agenda.after(d, func() {
		if n.lives == life {
			n.act(do)
		}
	})
}

// act does something now, or when the node is no longer paused.
func (n *node) act(do func()) {
	if n.paused {
		n.stalled = append(n.stalled, do)
		return
	}
	do()
}

// boot starts the node on what its disk holds. The incarnation is a new one.
func (n *node) boot() {
	n.lives++
	n.up, n.paused, n.stalled = true, false, nil
	n.noticed, n.links, n.pending = map[string]bool{}, map[string]bool{}, map[uint64]func(*kindred.Response){}
	n.disk = disk{node: n}
	n.recollect()
	draw := chance(n.run.seed).with(0xB007, uint64(n.index), n.lives)
	start := vclock.Actor{Disk: n.diskID, Nonce: uint64(draw.with(2)) | 1}
	n.start, n.linkedAt = start, n.run.agenda.now
	n.run.trace.say(n.name, "start", "life %d, %v", n.lives, start)
	clean := n.takeMark()
	n.shards = make([]*shell, n.run.cfg.Shards)
	for i := range n.shards {
		shard := core.New(core.Config{Node: n.name, Start: start, Clean: clean, Limits: n.run.cfg.Limits})
		shard.SetBuckets(n.run.buckets)
		n.shards[i] = &shell{node: n, number: i, shard: shard}
	}
	n.setWall(time.Duration((draw.with(1).unit() - 0.5) * 2 * float64(n.run.cfg.Skew)))
	n.recover()
}

func (n *node) recover() {
	snapshot, err := n.store.Snapshot()
	if err != nil {
		n.run.oracle.find("S5", "%s: snapshot: %v", n.name, err)
		return
	}
	defer snapshot.Close()
	for i, s := range n.shards {
		mine := func(partition uint32) bool { return n.shardOf(partition) == i }
		if err := s.shard.RecoverPromises(snapshot, mine); err != nil {
			n.run.oracle.find("I4", "%s cannot read its promises: %v", n.name, err)
			return
		}
	}
	for i, s := range n.shards {
		if err := s.shard.RecoverHints(snapshot, func(p uint32) bool { return n.shardOf(p) == i }); err != nil {
			n.run.oracle.find("I4", "%s cannot count its hints: %v", n.name, err)
		}
	}
	n.steer()
}

// cleanMark is a row that an orderly stop leaves behind, as package node does it.
func cleanMark() []byte { return storage.MetaKey(nil, "clean") }

// takeMark reports whether the last life ended in good order. The mark is gone
// before this life begins.
func (n *node) takeMark() bool {
	_, err := n.store.Get(cleanMark())
	if err != nil {
		return false
	}
	var rows storage.Batch
	rows.Delete(cleanMark())
	n.write(&rows)
	n.run.hits.add(StartedClean)
	return true
}

// lacksNothing reports whether every replica had caught up with what earlier lives
// have lost. A mark of one that had not would make the next life forget it.
func (n *node) lacksNothing() bool {
	for _, s := range n.shards {
		if s.phase == nil || len(s.shard.Untrusted()) > 0 { // without a layout it may be a disk that lost one
			return false
		}
	}
	return true
}

// write makes rows of the node itself durable.
func (n *node) write(rows *storage.Batch) {
	err := n.store.Apply(rows)
	if err == nil {
		err = n.store.Sync()
	}
	if err != nil {
		n.run.oracle.find("S4", "%s: %v", n.name, err)
	}
}

// owned are the replicas that this node has something of, or may have.
func (n *node) owned() []replica.ID { return n.replicas }

// own adds those that a phase gives it.
func (n *node) own(phase *ring.Phase) {
	for _, p := range phase.Owned(n.name, n.run.cfg.Replicas) {
		n.have(replica.ID{Partition: uint32(p), N: uint8(n.run.cfg.Replicas)})
	}
}

// have adds a replica.
func (n *node) have(id replica.ID) {
	if !slices.Contains(n.replicas, id) {
		n.replicas = append(n.replicas, id)
		slices.SortFunc(n.replicas, func(a, b replica.ID) int { return cmp.Compare(a.Partition, b.Partition) })
	}
}

func (n *node) shardOf(partition uint32) int { return int(partition) % n.run.cfg.Shards }

// request is a client's; answer is called once, or never if the process ends.
func (n *node) request(token uint64, req *kindred.Request, answer func(*kindred.Response)) {
	partition := n.run.layout.PartitionOf(req.Bucket, req.Key)
	if req.Op == kindred.OpScan {
		partition = 0
		if c, err := core.ParseCursor(req.Scan.Cursor); err == nil {
			partition = ring.Partition(c.Partition)
		}
	}
	n.pending[token] = answer
	s := n.shards[n.shardOf(uint32(partition))]
	s.put(func(now time.Time, shard *core.Shard) { shard.Request(now, token, req) })
}

// receive takes the bytes of a message from the network.
func (n *node) receive(from string, raw []byte) {
	m, err := wire.Decode(raw)
	if err != nil {
		n.run.oracle.find("wire", "%s cannot read a message of %s: %v", n.name, from, err)
		return
	}
	if isControl(m) {
		n.helm.put(func(now time.Time, c *core.Control) { c.Message(now, from, m) })
		return
	}
	s := n.shards[n.shardOf(wire.HeadOf(m).Partition)]
	s.put(func(now time.Time, shard *core.Shard) {
		n.run.oracle.arrives(n, from, m)
		shard.Message(now, from, m)
	})
}

// put queues an event for the shard's next round.
func (s *shell) put(e event) {
	s.inbox = append(s.inbox, e)
	s.plan()
}

func (s *shell) plan() {
	if !s.due {
		s.due = true
		s.node.later(s.node.roundTime(), s.round)
	}
}

// round gives the shard a batch of events and carries out what comes of it.
func (s *shell) round() {
	s.due = false
	now := s.node.clock()
	events := s.inbox[:min(len(s.inbox), s.node.run.cfg.EventsPerRound)]
	s.inbox = s.inbox[len(events):]
	for _, e := range events {
		e(now, s.shard)
	}
	if clear(events); len(s.inbox) == 0 {
		s.inbox = events[:0]
	}
	if at, ok := s.shard.Deadline(); ok && !at.After(now) {
		s.shard.Tick(now)
		if at, ok := s.shard.Deadline(); ok && !at.After(now) && s.shard.Effects().Empty() {
			s.node.run.oracle.find("core", "%s wants to be woken for what was due and does nothing: it would never sleep", s.node.name)
		}
	}
	s.perform()
	if s.dropping {
		s.drop()
	}
	if len(s.inbox) > 0 {
		s.plan()
	}
	s.arm()
}

// arm plans a round for the next deadline.
func (s *shell) arm() {
	at, ok := s.shard.Deadline()
	if !ok {
		return
	}
	wait := max(at.Sub(s.node.clock()), 0) + 5*time.Millisecond
	if when := s.node.run.agenda.now + wait; s.wake <= s.node.run.agenda.now || when < s.wake {
		s.wake = when
		s.node.later(wait, s.plan)
	}
}

// perform carries out effects: first the rows, then what depended on them.
func (s *shell) perform() {
	n, out := s.node, s.shard.Effects()
	if out.Rows.Len() > 0 {
		if err := n.store.Apply(&out.Rows); err != nil {
			n.run.oracle.find("S1", "%s: apply: %v", n.name, err)
			return
		}
		n.run.oracle.applied(s, out)
		n.disk.touch()
	}
	if len(out.Discards) > 0 { // what rots here is one row, which was deleted
		s.put(func(_ time.Time, shard *core.Shard) { shard.Discarded() })
	}
	s.release(out)
	for _, r := range out.Replies {
		n.reply(r)
	}
	for _, l := range out.Loads {
		s.load(l)
	}
	for _, peer := range out.Differ {
		n.helm.put(func(now time.Time, c *core.Control) { c.Differ(now, peer) })
	}
	s.readPages(out.Pages)
	s.lookUp(out.Looks)
	out.Reset()
}

// release sends what may go now, and the rest once the rows are durable.
func (s *shell) release(out *core.Effects) {
	var held []core.Send
	for _, send := range out.Sends {
		if send.Sync {
			held = append(held, send)
		} else {
			s.node.run.send(s.node, send)
		}
	}
	if len(held) == 0 && len(out.Syncs) == 0 {
		return
	}
	syncs := append([]uint64(nil), out.Syncs...)
	s.node.disk.after(func() {
		for _, send := range held {
			s.node.run.send(s.node, send)
		}
		if len(syncs) > 0 {
			s.put(func(_ time.Time, shard *core.Shard) { shard.Synced(syncs) })
		}
	})
}

func (n *node) reply(r core.Reply) {
	if answer := n.pending[r.Token]; answer != nil {
		delete(n.pending, r.Token)
		if e := r.Response.Err; e != nil && e.Code == kindred.CodeNoLayout && strings.HasPrefix(e.Message, n.name+" ") && n.hasLayout() {
			n.run.oracle.find("core", "%s has a layout and answers: %v", n.name, e)
		}
		answer(r.Response)
		return
	}
	n.run.oracle.find("core", "%s answers request %d, which is not waiting for an answer", n.name, r.Token)
}

// load reads an object a little later.
func (s *shell) load(l core.Load) {
	n := s.node
	n.later(n.run.draw(0x10AD, hashBytes(fnvOffset, l.Row), n.lives).about(n.diskTime(n.run.cfg.Disk.Read)), func() {
		object, err := replica.Load(n.store, l.Replica, l.Bucket, l.Key)
		if err != nil && !n.rot[l.Row] {
			n.run.oracle.find("I4", "%s: %v", n.name, err)
		}
		s.put(func(now time.Time, shard *core.Shard) { shard.Loaded(now, l.Row, object, err) })
	})
}

// readPages takes one snapshot for all pages, and each clock's base at this very
// moment (R5). The pages are read later.
func (s *shell) readPages(asks []*wire.ScanRead) {
	for _, ask := range asks {
		id := replica.ID{Partition: ask.Partition, N: ask.N}
		base, ok := s.shard.Base(id)
		if !ok {
			continue
		}
		snapshot, err := s.node.store.Snapshot()
		if err != nil {
			s.node.run.oracle.find("S5", "%s: snapshot: %v", s.node.name, err)
			return
		}
		read := s.node.run.draw(0x9A6E, uint64(id.Partition), s.node.lives).about(s.node.diskTime(4 * s.node.run.cfg.Disk.Read))
		s.node.later(read, func() {
			defer snapshot.Close()
			page := replica.Page(snapshot, id, base, ask)
			s.put(func(now time.Time, shard *core.Shard) { shard.Paged(now, ask, page) })
		})
	}
}

// crash ends the process without warning. Its disk keeps that share of the
// batches that were not durable, from the oldest on.
func (n *node) crash(share float64) {
	unsynced := n.store.Unsynced()
	n.run.trace.say(n.name, "crash", "keeps %.0f %% of %d batches", share*100, unsynced)
	n.end()
	n.store = n.store.Crash(func(unsynced int) int { return int(share * float64(unsynced)) })
	n.recollect() // what was given up is there again, if that was not durable
	n.run.oracle.crashed(n)
}

// end is what every end of a process has in common: clients lose their
// connections, timers and messages on the way are gone.
func (n *node) end() {
	n.lives++
	n.up, n.paused, n.stalled = false, false, nil
	for _, s := range n.shards {
		n.run.ended(s)
	}
	waiting := n.pending
	n.pending = nil
	if len(waiting) > 0 {
		n.run.hits.add(CrashWithRequests)
	}
	for _, token := range sortedKeys(waiting) {
		answer := waiting[token]
		n.run.agenda.after(0, func() {
			answer(&kindred.Response{Err: &kindred.Error{
				Code: kindred.CodeUnavailable, Outcome: kindred.Unknown, Message: "the connection to " + n.name + " broke",
			}})
		})
	}
	n.run.linksChanged()
}

// stop is an orderly end: the clocks are saved and everything is durable.
func (n *node) stop() {
	n.run.trace.say(n.name, "stop", "")
	for _, s := range n.shards {
		s.shard.Checkpoint()
		s.perform()
	}
	var mark storage.Batch
	if n.lacksNothing() {
		mark.Set(cleanMark(), nil)
	} else {
		n.run.hits.add(StoppedUntrusted)
	}
	n.write(&mark)
	n.run.oracle.synced(n)
	n.end()
	n.store = n.store.Crash(func(unsynced int) int { return unsynced })
	n.run.oracle.crashed(n)
}

func (n *node) pause() {
	n.run.trace.say(n.name, "pause", "")
	n.paused = true
}

func (n *node) resume() {
	n.run.trace.say(n.name, "resume", "")
	n.paused = false
	stalled, life := n.stalled, n.lives
	n.stalled = nil
	for _, do := range stalled {
		if n.lives == life {
			n.act(do)
		}
	}
}

// setFull makes the node refuse writes, or take them again.
func (n *node) setFull(full bool) {
	n.run.trace.say(n.name, "full", "%v", full)
	var refusal *kindred.Error
	if full {
		refusal = &kindred.Error{Code: kindred.CodeDiskFull, Outcome: kindred.NotApplied, Message: fmt.Sprintf("the disk of %s is full", n.name)}
	}
	for _, s := range n.shards {
		s.put(func(_ time.Time, shard *core.Shard) { shard.SetFull(refusal) })
	}
}
