package sim

import (
	"math/rand/v2"
	"time"
)

// A client of a run that was drawn takes its chances one after the other, and begins
// an operation some time after the last one has ended: leave out one, and all that it
// does afterwards is different. Steady clients are for runs that are being shrunk. It
// is another run, which happens to break the same promise or does not; but once it
// does, its operations can be left out one by one.

// steadySource draws by the number of the operation.
type steadySource struct {
	of   chance
	next uint64
}

// Uint64 is the next draw for the operation.
func (s *steadySource) Uint64() uint64 {
	s.next++
	return uint64(s.of.with(s.next))
}

// source is what a client draws from, for that purpose.
func (c *client) source(purpose uint64) *rand.Rand {
	if !c.run.cfg.Steady {
		return rand.New(rand.NewPCG(c.run.seed, purpose))
	}
	s := &steadySource{of: chance(c.run.seed).with(0x57EA, purpose)}
	c.sources = append(c.sources, s)
	return rand.New(s)
}

// turn comes before each operation.
func (c *client) turn() {
	for i, s := range c.sources {
		*s = steadySource{of: chance(c.run.seed).with(0x57EA, uint64(c.number), uint64(i), c.begun)}
	}
}

// goOn plans the next operation.
func (c *client) goOn() {
	if !c.run.cfg.Steady {
		c.run.agenda.after(c.pauseBetween(), c.next)
		return
	}
	c.slot += c.trip() + chance(c.run.seed).with(0x5107, uint64(c.number), c.begun).about(c.run.cfg.Think)
	c.run.agenda.after(c.slot-c.run.agenda.now, c.next) // now, if it is late
}

// trip is about how long an operation takes where nothing is wrong.
func (c *client) trip() time.Duration {
	net, disk := c.run.cfg.Net, c.run.cfg.Disk
	return 4*(net.Delay+net.Jitter) + 2*(disk.Sync+disk.Read)
}
