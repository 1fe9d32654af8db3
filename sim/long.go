package sim

import (
	"math/rand/v2"
	"time"
)

// DrawLong is the configuration of a seed for a storm of at least that length. The
// cluster and its machinery are those of Draw. Faults come less often and last
// longer, so that there is time between them in which a cluster settles, forgets and
// prunes, and time in them that is longer than what anybody waits for. Keys come and
// go (see Rotate).
func DrawLong(seed uint64, storm time.Duration) Config {
	c := Draw(seed)
	r := rand.New(rand.NewPCG(seed, 0x1046))
	c.Storm = storm + span(r, 0, storm/5)
	c.Keys, c.Rotate = 2+r.IntN(8), span(r, 500*time.Millisecond, 4*time.Second)
	c.Clients, c.Rate = 5+r.IntN(5), 102+12*r.Float64()
	c.Think = time.Duration(c.Clients) * time.Second / time.Duration(90+r.IntN(60))
	c.Timeout = span(r, 150*time.Millisecond, time.Second)
	c.Flood /= 10
	c.Net.Unnoticed = often(r, 0.2)
	c.Disk.Stall /= 10
	c.Fault.Within = 8 * time.Second
	drawLongFaults(r, &c)
	drawMoreLongFaults(seed, &c)
	drawInterruptions(seed, &c)
	c.Net.Later /= 10
	return c
}

func drawLongFaults(r *rand.Rand, c *Config) {
	f, l := &c.Fault, &c.Loss
	f.CutFor, f.KillFor = span(r, 100*time.Millisecond, 15*time.Second), span(r, time.Millisecond, 12*time.Second)
	f.PauseFor, f.FullFor = span(r, 10*time.Millisecond, 8*time.Second), span(r, 50*time.Millisecond, 4*time.Second)
	f.SlowFor = span(r, 100*time.Millisecond, 10*time.Second)
	f.AfterRepair, f.AfterHint, f.Stillborn = f.AfterRepair/10, f.AfterHint/10, f.Stillborn/3
	l.AfterPage /= 5
	// pace stretches all means alike: some runs are stormy, some nearly quiet.
	pace := time.Duration(1 + r.IntN(4))
	for _, mean := range []*time.Duration{&f.Cut, &f.Kill, &f.Stop, &f.Pause, &f.Full, &f.Slow, &f.Jump, &f.Rot, &f.Audit, &l.Image, &l.Away} {
		if *mean = 0; r.IntN(3) > 0 {
			*mean = pace * span(r, 4*time.Second, 30*time.Second)
		}
	}
	if c.Expire == 0 {
		f.Jump = 0
	}
	l.Wipe = pace * span(r, 4*time.Second, 20*time.Second)
	l.ImageAge, l.AwayFor = span(r, 2*time.Second, time.Minute), span(r, 2*time.Second, 40*time.Second)
}
