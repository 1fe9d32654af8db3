package core

import (
	"bytes"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// repairOp makes the home replicas of one key equal: it reads the key at all that
// can be reached, joins what they say, gives each what it lacks, and waits until
// they have it. Any node may do it.
type repairOp struct {
	request
	get     *replica.Get
	objects map[string]wire.Object
	views   map[string]kindred.ReplicaView
	// writing are the replicas that have not said yet whether they are mended.
	writing map[string]bool
	joined  bool
	// then takes the place of the answer, for an audit.
	then func(now time.Time, found repaired)
}

// repaired is what came of the repair of a key.
type repaired struct {
	// diverged: two replicas that knew the same showed something else (I9).
	diverged bool
	// conflict: two replicas have different values under one dot (I2).
	conflict bool
	// homes counts the replicas, heard those that answered and have, or need no,
	// repair, mended those that were behind and are not any more.
	homes, heard, mended int
}

func (s *Shard) startRepair(now time.Time, base request, homes []string, then func(time.Time, repaired)) {
	o := &repairOp{
		request: base, get: replica.NewGet(homes, kindred.Quorum{N: len(homes), R: len(homes), W: len(homes)}),
		objects: map[string]wire.Object{}, views: map[string]kindred.ReplicaView{}, writing: map[string]bool{}, then: then,
	}
	s.register(o)
	s.stats.KeyRepairs++
	ask := &wire.Read{Head: o.head, Op: s.opID(o.seq), Bucket: o.req.Bucket, Key: o.req.Key}
	for _, h := range homes {
		switch {
		case h == s.cfg.Node:
			s.serveRead(&readStep{ask: ask, asker: o})
		case s.linked[h]:
			s.send(h, ask, false)
		default:
			o.fail(s, now, h, "unreachable")
		}
	}
}

func (o *repairOp) heard(s *Shard, now time.Time, node string, m *wire.ReadReply) {
	switch {
	case s.operations[o.seq] == nil || o.joined:
		return
	case m.Failed != "":
		o.fail(s, now, node, m.Failed)
		return
	}
	for _, v := range m.Object.Versions {
		s.hold(&o.request, len(v.Value.Value))
	}
	o.get.Add(node, m.Object)
	o.get.Promised(node, m.Rounds, m.Void)
	o.objects[node] = m.Object
	o.views[node] = viewOf(node, m)
	o.proceed(s, now)
}

func (o *repairOp) fail(s *Shard, now time.Time, node, reason string) {
	if s.operations[o.seq] == nil || o.joined {
		return
	}
	o.get.Fail(node, reason)
	o.views[node] = kindred.ReplicaView{Node: node, Err: reason}
	o.proceed(s, now)
}

// proceed mends the replicas once all have spoken.
func (o *repairOp) proceed(s *Shard, now time.Time) {
	if o.joined || !o.get.Over() {
		return
	}
	o.joined = true
	repairs := o.get.Repairs()
	for _, r := range repairs {
		o.writing[r.Node] = true // all of them before one can answer
	}
	for _, r := range repairs {
		m := &wire.Write{
			Head: o.head, Op: s.opID(o.seq), Durability: kindred.Batch, Bucket: o.req.Bucket, Key: o.req.Key, Delta: r.Delta, Rounds: r.Rounds, Void: r.Void,
		}
		if r.Node == s.cfg.Node {
			s.join(m, func(_ bool, refused string) { o.acked(s, now, s.cfg.Node, refused) })
		} else {
			s.send(r.Node, m, len(r.Rounds) > 0)
		}
	}
	o.finish(s, now)
}

// acked notes that a replica has been mended, or why not.
func (o *repairOp) acked(s *Shard, now time.Time, node, refused string) {
	if s.operations[o.seq] == nil || !o.writing[node] {
		return
	}
	delete(o.writing, node)
	view := o.views[node]
	view.Err, view.Repaired = refused, refused == ""
	o.views[node] = view
	o.finish(s, now)
}

func (o *repairOp) finish(s *Shard, now time.Time) {
	if len(o.writing) > 0 || !o.joined || s.operations[o.seq] == nil {
		return
	}
	s.finish(o)
	if o.then != nil {
		o.then(now, o.found())
		return
	}
	var views []kindred.ReplicaView
	for _, h := range o.get.Homes() {
		views = append(views, o.views[h])
	}
	s.answer(o.ask, &kindred.Response{Replicas: views, Replied: o.get.Replied()})
}

// found judges what the replicas have said.
func (o *repairOp) found() (f repaired) {
	f.homes = len(o.get.Homes())
	for _, node := range o.get.Replied() {
		if o.views[node].Err == "" {
			f.heard++
		}
		if o.views[node].Repaired {
			f.mended++
		}
		for _, other := range o.get.Replied() {
			a, b := o.objects[node], o.objects[other]
			f.diverged = f.diverged || replica.Diverged(a, b)
			f.conflict = f.conflict || vclock.CheckSameValues(a, b, sameRecord) != nil
		}
	}
	return f
}

func sameRecord(a, b wire.Record) bool {
	return bytes.Equal(a.Value, b.Value) && a.ContentType == b.ContentType && a.ExpiresAt == b.ExpiresAt
}

// expire ends the wait: replicas that have not answered are reported as such.
func (o *repairOp) expire(s *Shard, now time.Time) {
	for _, h := range o.get.Homes() {
		if _, ok := o.views[h]; !ok {
			o.get.Fail(h, "did not answer")
			o.views[h] = kindred.ReplicaView{Node: h, Err: "did not answer"}
		}
	}
	if !o.joined && len(o.get.Replied()) > 0 {
		o.deadline = now.Add(s.cfg.Limits.RepairWait)
		s.deadlines.add(o.deadline, o.seq)
		o.proceed(s, now)
		return
	}
	for _, h := range o.get.Homes() {
		if o.writing[h] {
			view := o.views[h]
			view.Err = "did not acknowledge its repair"
			o.views[h] = view
		}
	}
	o.joined = true
	clear(o.writing)
	o.finish(s, now)
}
