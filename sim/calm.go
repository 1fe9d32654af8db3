package sim

import (
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
)

// quiet is the second act: nothing goes wrong any more, clients stop, and the
// cluster has to become equal.
func (r *run) quiet() {
	if r.oracle.finding != nil {
		return
	}
	r.calm, r.stopped, r.cuts = true, true, nil
	for _, n := range r.nodes {
		switch {
		case n.away:
		case !n.up:
			r.restart(n)
		case n.paused:
			n.resume()
		}
		if n.up {
			n.setFull(false)
		}
		n.slow, n.lame = false, false
	}
	r.linksChanged()
	r.settleLayouts()
	r.homecoming()
	r.auditEverything()
	r.calmAt = r.agenda.now
	r.converge()
	r.closeEverything()
	r.endEverything()
	r.demandNothingExpires()
	r.demandIdle()
	r.demandNoHints()
	r.stayEqual()
	r.demandDropped()
	r.mend()
	r.demandEqual()
	r.finalReads()
	r.demandOneLeft()
	r.finalScan()
	r.demandNothingExpires()
	r.demandIdle()
	r.judgeHistory()
}

// demandIdle demands that nothing is left of the operations that ended (C14).
func (r *run) demandIdle() {
	for _, n := range r.nodes {
		if n.standsStill() {
			continue
		}
		for _, s := range n.shards {
			if held := s.shard.Held(); !held.IsZero() {
				r.oracle.find("C14", "%s still holds %+v when nothing is going on", n.name, held)
			}
		}
		if len(n.pending) > 0 {
			r.oracle.find("C14", "%s has not answered %d requests", n.name, len(n.pending))
		}
	}
}

// readEverything reads every key from all replicas, each at some node, and lets
// the repairs arrive.
func (r *run) readEverything() {
	for i, key := range r.allKeys() {
		r.readFinally(workload.Intent{
			Kind: history.Get, Bucket: bucket, Key: key, Final: true,
			Node: r.asked(r.draw(0xF1AA, uint64(i)).below(len(r.nodes))).index,
		}, nil)
		r.settle()
	}
}

// finalReads reads every key at every node.
func (r *run) finalReads() {
	for _, intent := range (workload.Config{Bucket: bucket, Keys: r.first + r.cfg.Keys, Nodes: len(r.nodes)}).FinalReads() {
		if r.asked(intent.Node).index != intent.Node {
			continue // it is no member any more
		}
		r.readFinally(intent, r.oracle.judgeFinal)
		r.settle()
	}
}

func (r *run) readFinally(intent workload.Intent, judge func(*operation)) {
	if r.oracle.finding != nil {
		return
	}
	op := &operation{client: r.clients[0], intent: intent, began: r.agenda.now, record: -1}
	op.request = r.clients[0].request(intent)
	op.sent = op.request
	op.then = func(result workload.Result) {
		if result.Outcome != kindred.Applied {
			r.oracle.find("I9", "%v failed when nothing was wrong: %s", op, result.Error)
		}
	}
	if judge != nil {
		op.record = r.recorder.Begin(intent.Begin(r.cfg.Clients, op.began))
		judge(op)
	}
	r.clients[0].send(op, r.nodes[intent.Node])
}

// judgeFinal demands that the end of a key knows every write that some replica
// has kept (I1).
func (o *oracle) judgeFinal(op *operation) {
	for _, w := range o.history(op.intent.Key).writes {
		if kept := w.applied &^ o.run.gone; kept != 0 && !o.isVoid(w.dot) { // every hint was delivered
			// Whoever kept it acknowledges it for this read.
			w.isAcked, w.acked, w.lost, w.ackedAt = true, w.acked|kept, w.lost&^kept, min(w.ackedAt, o.run.agenda.now-1)
			o.noteGroups(w, o.run.agenda.now, o.history(w.key).id.Partition)
			w.regained = 0
		}
	}
}

// demandEqual demands that all homes show the same versions of every key (I9).
func (r *run) demandEqual() {
	for _, key := range r.allKeys() {
		id := replica.ID{Partition: uint32(r.layout.PartitionOf(bucket, key)), N: uint8(r.cfg.Replicas)}
		var first vclock.DotSet
		for j, name := range r.homes(key) {
			object, err := replica.Load(r.byName[name].store, id, bucket, key)
			if err != nil {
				r.oracle.find("I4", "%s: %v", name, err)
				return
			}
			if j == 0 {
				first = object.Dots()
			} else if dots := object.Dots(); dots.Compare(first) != vclock.Equal {
				r.oracle.find("I9", "%s shows %v of %s, %s shows %v", r.homes(key)[0], first, key, name, dots)
			}
		}
	}
}

// finalScan demands that a scan of an idle cluster shows exactly what is there.
func (r *run) finalScan() {
	if r.oracle.finding != nil {
		return
	}
	r.cfg.Timeout = time.Minute
	r.scan(kindred.CountAll, func(found map[string]int) {
		for _, key := range r.allKeys() {
			object, err := replica.Load(r.byName[r.homes(key)[0]].store, replica.ID{
				Partition: uint32(r.layout.PartitionOf(bucket, key)), N: uint8(r.cfg.Replicas),
			}, bucket, key)
			want := len(object.Versions)
			if r.cfg.LastWins {
				want = min(want, 1)
			}
			if err != nil || want != found[key] {
				r.oracle.find("scan", "the last scan shows %d siblings of %s, there are %d (%v)", found[key], key, want, err)
			}
		}
	})
	r.settle()
}

// judgeHistory gives what the clients were told to the checker that judges real
// clusters: a second opinion by other means, on both sides.
func (r *run) judgeHistory() {
	if r.oracle.finding != nil {
		return
	}
	h := r.recorded()
	complete := r.completeHistory(&h)
	r.history = h
	kept := r.hits[CrashLostRows]+r.hits[CrashLostHints] == 0 && r.gone|r.back == 0
	properties := []checker.Property{checker.NotApplied, checker.UniqueDots}
	switch {
	case r.cfg.Expire > 0, r.cfg.LastWins:
		// It knows nothing of values that go by themselves, or because of others.
	case r.hits[RetryMintedTwice] > 0 || !complete:
		// It takes the second event of a request for the first one, and knows no
		// write that has seen one which began later.
	case kept:
		properties = checker.All()
	case r.hits[CrashLostAcknowledged]+r.hits[LossAccepted] == 0:
		properties = append(properties, checker.Kept, checker.StaysGone, checker.Fresh)
	}
	report := checker.Check(&h, checker.Options{Properties: properties, DisksKept: kept})
	for _, v := range report.Verdicts {
		if v.Status == checker.Violated {
			r.oracle.find("checker", "%v: %v", v.Property, v.Findings[0])
		}
	}
}

// recorded is what the clients have done and were told so far.
func (r *run) recorded() history.History {
	var kinds []string
	for _, k := range r.cfg.Kinds {
		kinds = append(kinds, string(k))
	}
	if r.cfg.Expire > 0 {
		kinds = append(kinds, history.Expiring)
	}
	if r.cfg.LastWins {
		kinds = append(kinds, "last wins")
	}
	return r.recorder.History(history.Header{Workload: strings.Join(kinds, "+"), Seed: r.seed}, r.agenda.now)
}

// completeHistory adds what was not known when an operation ended: how often it
// was sent in all, and what a delete without a context had read. The elements of
// sets mean something only where nobody else writes. It reports whether every
// write has seen only writes that began before it.
func (r *run) completeHistory(h *history.History) bool {
	complete := true
	for _, op := range r.oracle.operations {
		if op.record < 0 {
			continue
		}
		record := &h.Ops[op.record]
		record.Attempts = op.attempts
		if op.request.Op == kindred.OpDelete && len(op.request.Context) == 0 {
			for _, seen := range r.oracle.seenBy(op) {
				complete = complete && seen.record < op.record
				record.Seen = append(record.Seen, seen.intent.Write)
			}
		}
	}
	if slices.Equal(r.cfg.Kinds, []workload.Kind{workload.Set}) {
		return complete
	}
	for i := range h.Ops {
		for j := range h.Ops[i].Siblings {
			h.Ops[i].Siblings[j].Set = nil
		}
	}
	return complete
}

func (o *oracle) seenBy(op *operation) (seen []*operation) {
	for _, w := range op.writes {
		for _, other := range o.history(w.key).writes {
			if w.past.Contains(other.dot) && other.op != op && !other.isTouch() {
				seen = append(seen, other.op)
			}
		}
	}
	return seen
}

// repairArrived loses a node's power now and then, just after a read repair: its
// rows are applied and not durable.
func (r *run) repairArrived(n *node) {
	draw := r.draw(0x4E9A, uint64(n.index))
	if r.calm || !draw.happens(r.cfg.Fault.AfterRepair) || !r.occurs(IncidentAfterRepair) {
		return
	}
	life := n.lives
	r.agenda.after(draw.with(1).about(2*time.Millisecond), func() {
		if n.lives == life && n.up && !r.calm {
			r.hits.add(KilledAfterRepair)
			r.kill(n, 0, draw.with(2))
		}
	})
}
