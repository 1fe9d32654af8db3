package sim

import "time"

// backgroundSync is how long rows that nobody waits for stay unsynced before a
// sync begins: half of what durability batch promises, as package node does it.
const backgroundSync = 25 * time.Millisecond

// disk makes rows durable: one sync at a time, for everybody who waits when it
// begins. What is applied during a sync may or may not survive a crash; it has
// survived once the next sync has ended.
type disk struct {
	node    *node
	waiting []func()
	syncing bool
	dirty   bool
}

// touch says that rows were applied: they are durable before long.
func (d *disk) touch() {
	if d.dirty {
		return
	}
	d.dirty = true
	d.node.later(backgroundSync, func() {
		if d.dirty {
			d.begin()
		}
	})
}

// after calls then once everything applied so far is durable.
func (d *disk) after(then func()) {
	d.waiting = append(d.waiting, then)
	d.begin()
}

func (d *disk) begin() {
	if d.syncing {
		return
	}
	served := d.waiting
	d.waiting, d.syncing, d.dirty = nil, true, false
	d.node.later(d.latency(), func() { d.end(served) })
}

func (d *disk) end(served []func()) {
	n := d.node
	d.syncing = false
	if err := n.store.Sync(); err != nil {
		n.run.oracle.find("S4", "%s: sync: %v", n.name, err)
		return
	}
	n.run.oracle.synced(n)
	for _, s := range n.shards {
		n.mended(s)
	}
	for _, then := range served {
		then()
	}
	if len(d.waiting) > 0 {
		d.begin()
	}
}

// diskTime is how long something takes that takes so long on a good day.
func (n *node) diskTime(d time.Duration) time.Duration {
	if n.slow {
		return slowness * d
	}
	return d
}

func (d *disk) latency() time.Duration {
	draw := d.node.run.draw(0x5717C, uint64(d.node.index))
	took := draw.about(d.node.diskTime(d.node.run.cfg.Disk.Sync))
	if draw.with(1).happens(d.node.run.cfg.Disk.Stall) && !d.node.run.calm && d.node.run.occurs(IncidentStall) {
		took += d.node.run.cfg.Disk.StallFor
	}
	return took
}
