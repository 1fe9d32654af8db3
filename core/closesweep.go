package core

import (
	"time"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// closeSweep is a walk through the objects of a replica that remember anything in
// a context, page by page: each is opened and saved, whereby what is void is
// touched and what the clock covers is stripped. One walk follows every outcome
// of a round, one every start, because what an earlier life had noticed of
// contexts is lost with it, and one what the sweeper could not remember.
type closeSweep struct {
	// at is when the next page is read, zero while none is wanted or one is being
	// read.
	at   time.Time
	from []byte
	// void are the dots that were void when the walk began; more says that others
	// became so since, and reading that a page is being read.
	void          vclock.DotSet
	reading, more bool
}

// surveyEvery paces the pages of a walk.
const surveyEvery = 50 * time.Millisecond

// startSweep begins a walk, or has one begin after the present one.
func (c *closer) startSweep(r *replica.Replica) {
	p := c.place(r.ID())
	if r.Retired() {
		return
	}
	if p.sweep.reading || !p.sweep.at.IsZero() {
		p.sweep.more = true
		return
	}
	p.sweep = closeSweep{void: p.promises.Unswept()}
	c.wake(&p.sweep.at, c.now.Add(surveyEvery))
}

// survey reads the next page, unless much is going on.
func (c *closer) survey(p *place) {
	p.sweep.at = time.Time{}
	if r := c.s.replicas[p.id]; r == nil || r.Retired() {
		return
	}
	if c.s.full != nil || c.s.steps >= c.s.cfg.Limits.Steps/2 {
		c.wake(&p.sweep.at, c.now.Add(time.Second))
		return
	}
	p.sweep.reading = true
	c.stats.Surveys++
	id, void, from := p.id, p.sweep.void, p.sweep.from
	c.s.lookAt(id, func() Reading {
		return func(store storage.Snapshot) func(now time.Time) {
			page := replica.Remembering(store, id, void, from)
			return func(now time.Time) { c.surveyed(now, p, page) }
		}
	})
}

// surveyed opens the objects of a page. The walk is over once they are saved: the
// rows that say so are written after theirs.
func (c *closer) surveyed(now time.Time, p *place, page replica.MemoryPage) {
	c.now, p.sweep.reading = now, false
	r := c.s.replicas[p.id]
	if r == nil || r.Retired() {
		return
	}
	if page.Failed != nil { // what cannot be read is for an audit to mend
		c.s.auditor.unreadable(c.s, r)
		c.wake(&p.sweep.at, now.Add(time.Minute))
		return
	}
	p.sweep.from = page.Next
	left, failed := len(page.Objects), false
	for _, o := range page.Objects {
		c.s.enter(r, o.Bucket, o.Key, func(now time.Time, k *replica.Key, err error) {
			if err == nil {
				k.Strip()
			}
			failed = failed || err != nil
			if left--; left == 0 {
				c.turn(now, p, r, failed)
			}
		})
	}
	if left == 0 {
		c.turn(now, p, r, false)
	}
}

// turn goes on to the next page, or ends the walk.
func (c *closer) turn(now time.Time, p *place, r *replica.Replica, failed bool) {
	c.now = now
	switch {
	case failed:
		p.sweep.from = nil
		c.wake(&p.sweep.at, now.Add(time.Minute))
		return
	case p.sweep.from != nil:
		c.wake(&p.sweep.at, now.Add(surveyEvery))
		return
	}
	r.Swept(p.sweep.void)
	for _, a := range p.promises.SetSwept(p.sweep.void) {
		p.promises.Save(&c.s.out.Rows, p.id.Partition, p.id.N, a)
	}
	if p.sweep.more {
		p.sweep = closeSweep{}
		c.startSweep(r)
	}
}

// touch sends the whole object to the other homes if saving it has minted a dot
// for an effect that had lost its own.
func (c *closer) touch(r *replica.Replica, bucket, key string, k *replica.Key) {
	d, touched := k.Touched()
	if !touched {
		return
	}
	c.stats.Touches++
	delta := k.Whole(d)
	id := r.ID()
	m := &wire.Write{
		Head: wire.Head{Partition: id.Partition, N: id.N}, Bucket: bucket, Key: key,
		Delta: delta, Rounds: c.s.Promised(id, delta.Dots),
	}
	for _, h := range c.s.holdersOf(wire.Head(id)) {
		if h != c.s.cfg.Node && c.s.linked[h] {
			c.s.send(h, m, true)
		}
	}
}
