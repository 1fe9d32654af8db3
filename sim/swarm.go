package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/buckets"
)

// drawSwarm draws how many homes a key has, where the nodes stand, who has to be asked
// for, and what the bucket decides. It has a source of its own: the rest of a seed's
// configuration is older.
func drawSwarm(seed uint64, c *Config) {
	r := rand.New(rand.NewPCG(seed, 0x5A42))
	switch r.IntN(8) {
	case 0:
		c.Replicas = 2
	case 1:
		c.Replicas, c.Nodes = 5, 5+r.IntN(3)
	case 2:
		c.Nodes = 6 + r.IntN(2)
	}
	// What is drawn for three homes means the same for as many as there are.
	for _, count := range []*kindred.Count{&c.R, &c.W} {
		switch *count {
		case 2:
			*count = kindred.CountQuorum
		case 3:
			*count = kindred.CountAll
		}
	}
	c.Zones = c.Nodes
	if r.IntN(2) == 0 {
		c.Zones = 1 + r.IntN(c.Nodes)
	}
	if r.IntN(4) == 0 {
		c.PR, c.PW = kindred.Count(r.IntN(c.Replicas+1)), kindred.Count(r.IntN(c.Replicas+1))
	}
	c.Left, c.Reuse = often(r, 1), often(r, 0.2)
	if c.Expire > 0 && r.IntN(3) == 0 {
		c.BucketTTL = max(c.TTL.Round(time.Millisecond), time.Millisecond)
	}
	if r.IntN(6) == 0 {
		c.ValueBytesMax = 32 << 10
	}
}

// options are those of the bucket. Requests leave some of them open.
func (c *Config) options() kindred.BucketOptions {
	o := kindred.BucketOptions{R: c.R, W: c.W, Durability: c.Durability, TTL: c.BucketTTL, ValueBytesMax: c.ValueBytesMax}
	if c.LastWins {
		o.Siblings = kindred.SiblingsLWW
	}
	return o
}

// registry is what all nodes know of the bucket; nil where it has the defaults.
func (c *Config) registry() *buckets.Registry {
	var none *buckets.Registry
	if !c.LastWins && c.Left == 0 && c.BucketTTL == 0 && c.ValueBytesMax == 0 {
		return none
	}
	r, err := none.Change(bucket, c.options().Complete(c.Replicas), "n1", epoch)
	if err != nil {
		panic(fmt.Sprintf("sim: the bucket cannot be made: %v", err))
	}
	return r
}

// leave is the request as its client sends it, who leaves to the bucket what it decides
// in the same way.
func (c *client) leave(q kindred.Request) kindred.Request {
	cfg := &c.run.cfg
	if q.TTL == cfg.BucketTTL {
		q.TTL = 0
	}
	if cfg.Left == 0 || c.rng.Float64() >= cfg.Left {
		return q
	}
	c.run.hits.add(LeftToTheBucket)
	if q.R == cfg.R {
		q.R = kindred.CountDefault
	}
	if q.W == cfg.W {
		q.W = kindred.CountDefault
	}
	if q.Durability == cfg.Durability {
		q.Durability = kindred.DurabilityDefault
	}
	return q
}

// zoneOf is where a node stands.
func (r *run) zoneOf(i int) string { return fmt.Sprintf("z%d", i%max(r.cfg.Zones, 1)+1) }

// drawMoreFaults has a source of its own as well.
func drawMoreFaults(seed uint64, c *Config) {
	r := rand.New(rand.NewPCG(seed, 0xFA43))
	f := &c.Fault
	f.Special, f.Zone, f.AfterKept, f.Strobe = often(r, 0.6), often(r, 0.5), often(r, 0.05), often(r, 0.6)
	f.AfterPromise, f.Belated = often(r, 0.3), often(r, 0.8)
	f.LameFor = span(r, 50*time.Millisecond, 3*time.Second)
	for _, mean := range []*time.Duration{&f.Swizzle, &f.Lame} {
		if r.IntN(3) == 0 {
			*mean = span(r, 500*time.Millisecond, 6*time.Second)
		}
	}
	c.Net.Forge, c.Net.Mangle = often(r, 0.01), often(r, 0.01)
}

// drawLater has a source of its own as well.
func drawLater(seed uint64, c *Config) {
	c.Net.Later = often(rand.New(rand.NewPCG(seed, 0x1A7E)), 0.01)
}

// drawInterruptions lets audits be interrupted, and guests run out of bytes, in some long
// storms.
func drawInterruptions(seed uint64, c *Config) {
	r := rand.New(rand.NewPCG(seed, 0xF190))
	c.Fault.AfterAudit = often(r, 0.2)
	if r.IntN(8) == 0 {
		c.Limits.HintBytes = int64(200 + r.IntN(4000))
	}
}

// drawMoreLongFaults makes them as rare and as long as those of long storms are.
func drawMoreLongFaults(seed uint64, c *Config) {
	r := rand.New(rand.NewPCG(seed, 0xFA44))
	f := &c.Fault
	f.AfterKept /= 10
	f.LameFor = span(r, 100*time.Millisecond, 10*time.Second)
	for _, mean := range []*time.Duration{&f.Swizzle, &f.Lame} {
		if *mean = 0; r.IntN(3) > 0 {
			*mean = time.Duration(1+r.IntN(4)) * span(r, 4*time.Second, 30*time.Second)
		}
	}
	c.Net.Forge, c.Net.Mangle = c.Net.Forge/10, c.Net.Mangle/10
}
