package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/jepsen/workload"
)

// Config is what one seed draws: the cluster, its clients, and all that goes
// wrong. Runs differ much from one another on purpose (swarm testing): a fault
// that is always there hides what needs its absence.
type Config struct {
	// Nodes stand in so many Zones, and every key has Replicas homes.
	Nodes, Zones, Shards, Partitions, Replicas int

	Clients int
	Kinds   []workload.Kind
	Keys    int
	// Think is the mean time between two operations of a client.
	Think time.Duration
	// Rate is how many operations a second there should be at least, zero for any.
	Rate float64
	// Rotate is how long clients work on the oldest key before they leave it for a
	// new one, zero for ever.
	Rotate time.Duration
	// Storm is how long clients work and faults happen.
	Storm time.Duration
	// R, W and Durability are those of every operation; the zero Durability
	// draws one for each, and so does Mixed for R and W. PR and PW are how many homes
	// have to be among those who answer, zero for any.
	R, W       kindred.Count
	PR, PW     kindred.Count
	Mixed      bool
	Durability kindred.Durability
	// Strict of the operations take no guests.
	Strict  float64
	Timeout time.Duration
	// Retry is how likely a failed attempt is made again under its request id,
	// Again how likely one that succeeded is. Foreign is how likely a write is
	// tried with the context of another key, Large how likely a value is large,
	// ByName how likely a delete passes no context, and Flood how likely a client
	// puts many siblings at once. Reuse of the writes have the id of one of another key.
	Retry, Again, Foreign, Large, ByName, Flood, Reuse float64

	Net   Network
	Disk  Disk
	Fault Faults
	Loss  Losses
	// Layouts is what operators do; no seed draws it by itself (see WithLayouts).
	Layouts Layouts
	// EventsPerRound is how many events a shard takes before it commits, and
	// Round the time until it begins.
	EventsPerRound int
	Round          time.Duration
	Limits         core.Limits
	// Expire is how likely a put is given a time to live, TTL about how long.
	Expire float64
	TTL    time.Duration
	// LastWins: the bucket keeps only what was written last. BucketTTL is the time to
	// live that it gives to puts without one, ValueBytesMax what values it takes; zero
	// for none. Left of the requests leave to it what else it can decide.
	LastWins      bool
	BucketTTL     time.Duration
	ValueBytesMax int
	Left          float64
	// Skew is how far a node's wall clock may be off when it starts.
	Skew time.Duration

	// Steady clients draw for each operation by its number and begin it at a time of
	// its own, so that one more or less changes little of the others (see steady.go).
	// No seed draws it.
	Steady bool
	// part is what the run keeps of all that happens in it, nil for everything.
	part *Part
}

// Network says what happens to messages.
type Network struct {
	Delay, Jitter time.Duration
	// Tail of the messages take a hundred times as long, Loss are lost, Repeat
	// come twice, Late come once more up to LateBy later.
	Tail, Loss, Repeat, Late float64
	LateBy                   time.Duration
	// Forge of the messages are followed by one that cannot be, and what is left of
	// Mangle of them is read and thrown away (see hostile.go).
	Forge, Mangle float64
	// Later of the messages are followed by one of a version that nobody knows.
	Later float64
	// Replay is how likely a node that starts gets messages of its last life.
	Replay float64
	// Notice is the mean time until a node knows that a link is up or down;
	// Unnoticed of the changes to down are never noticed.
	Notice    time.Duration
	Unnoticed float64
}

// Disk says how long it takes.
type Disk struct {
	Read, Sync time.Duration
	// Stall of the syncs take StallFor more.
	Stall    float64
	StallFor time.Duration
}

// Faults are mean times between two faults of a kind, zero for none, and how
// long each lasts.
type Faults struct {
	Cut, Kill, Stop, Pause, Full, Slow          time.Duration
	CutFor, KillFor, PauseFor, FullFor, SlowFor time.Duration
	// Special of the cuts have a shape of their own (see cuts.go), and Zone of the
	// kills hit all nodes of a zone at once.
	Special, Zone float64
	// Swizzle is the mean time between two series of cuts, Lame between two times at
	// which a process gets little of its processor, for LameFor.
	Swizzle, Lame, LameFor time.Duration
	// Jump is the mean time between two jumps of some wall clock, Strobe of which go
	// on for a while.
	Jump   time.Duration
	Strobe float64
	// Rot is the mean time between two rows that a disk spoils, Vanish of the starts
	// find a row gone, and a part of the hash tree wrong; Audit is the mean time
	// between two audits that somebody asks for.
	Rot, Audit time.Duration
	Vanish     float64
	// Blackout of the kills hit every node at once.
	Blackout float64
	// Within so long of one another there should be two faults on average, zero for no
	// matter.
	Within time.Duration
	// AfterRepair is how likely a node loses power just after a read repair,
	// AfterHint just after a hint was delivered to it, AfterKept just after it has kept
	// one for others.
	AfterRepair, AfterHint, AfterKept float64
	// AfterPromise is how likely one loses power just after it has made a promise about
	// a dead incarnation, or learned what came of it.
	AfterPromise float64
	// AfterAudit is how likely an audit is interrupted at each of its messages.
	AfterAudit float64
	// AfterLeak is how likely a node loses power just after a read repair has
	// carried away the effect of a delete that is durable nowhere. Stillborn is how
	// likely nobody hears of a write, and its coordinator loses power soon after.
	// Belated of the messages about such a write come after all, much later.
	AfterLeak, Stillborn, Belated float64
}

// replicasDrawn is how many homes every key has, if drawSwarm does not draw another
// number, replicasLeast how many it has at least.
const replicasDrawn, replicasLeast = 3, 2

// Draw is the configuration of a seed.
func Draw(seed uint64) Config {
	r := rand.New(rand.NewPCG(seed, 0xC0F))
	c := Config{
		Nodes: replicasDrawn + r.IntN(3), Shards: 1 + r.IntN(2), Partitions: 4 << r.IntN(2), Replicas: replicasDrawn,
		Clients: 2 + r.IntN(7), Keys: 1 + r.IntN(10),
		Think: span(r, 2*time.Millisecond, 100*time.Millisecond), Storm: span(r, 2*time.Second, 20*time.Second),
		Timeout: span(r, 150*time.Millisecond, 3*time.Second),
		Retry:   often(r, 0.9), Again: often(r, 0.3), Foreign: often(r, 0.1), Large: often(r, 0.02), ByName: often(r, 0.5), Flood: often(r, 0.02),
		EventsPerRound: []int{1, 4, 64, 512}[r.IntN(4)], Round: span(r, 0, 300*time.Microsecond),
		Limits: drawLimits(r),
		Skew:   time.Duration(r.IntN(3)) * time.Hour,
	}
	c.Kinds = drawKinds(r)
	drawQuorums(r, &c)
	c.Net = drawNetwork(r)
	c.Disk = Disk{
		Read: span(r, 0, 2*time.Millisecond), Sync: span(r, 50*time.Microsecond, 5*time.Millisecond),
		Stall: often(r, 0.05), StallFor: span(r, 50*time.Millisecond, 2*time.Second),
	}
	c.Fault = drawFaults(r)
	drawExpiry(r, &c)
	drawGuests(r, &c)
	drawCloses(r, &c)
	c.Loss = drawLosses(r, &c.Limits)
	c.LastWins = drawLastWins(seed)
	drawPulls(seed, &c.Limits)
	drawSwarm(seed, &c)
	drawMoreFaults(seed, &c)
	drawLater(seed, &c)
	return c
}

// drawPulls has a source of its own: the rest of a seed's configuration is older.
func drawPulls(seed uint64, l *core.Limits) {
	r := rand.New(rand.NewPCG(seed, 0x9A11))
	l.PullDots = 1 + r.IntN(64)
	l.PullPace.ItemsPerSecond = []int{20, 200, 2000}[r.IntN(3)]
	l.RebuildPace.ItemsPerSecond = []int{20, 200, 2000}[r.IntN(3)]
}

func drawCloses(r *rand.Rand, c *Config) {
	c.Limits.CloseAfter = span(r, 50*time.Millisecond, 5*time.Second)
	c.Fault.AfterLeak, c.Fault.Stillborn = often(r, 0.9), often(r, 0.05)
}

func drawKinds(r *rand.Rand) []workload.Kind {
	all := workload.Kinds()
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:1+r.IntN(len(all))]
}

func drawQuorums(r *rand.Rand, c *Config) {
	pairs := [][2]kindred.Count{{0, 0}, {2, 2}, {1, 3}, {3, 1}, {1, 1}, {kindred.CountQuorum, kindred.CountAll}}
	pair := pairs[r.IntN(len(pairs))]
	c.R, c.W, c.Mixed = pair[0], pair[1], r.IntN(4) == 0
	c.Durability = kindred.Durability(r.IntN(4))
}

func drawLimits(r *rand.Rand) core.Limits {
	l := core.DefaultLimits()
	l.AuditEvery = 0 // faults call for audits, or an idle cluster would never be
	l.RepairWait = span(r, 20*time.Millisecond, 2*time.Second)
	if r.IntN(3) == 0 {
		l.Requests = 1 + r.IntN(16)
	}
	if r.IntN(4) == 0 {
		l.LateReads = r.IntN(4)
	}
	if r.IntN(8) == 0 {
		l.Unstripped = r.IntN(4)
	}
	if r.IntN(4) == 0 {
		l.Pulls, l.PieceBytes = 1+r.IntN(2), r.IntN(1000)
	}
	if r.IntN(6) == 0 {
		l.Operations, l.Steps, l.Pages = 2+r.IntN(6), 4+r.IntN(8), 1
	}
	return l
}

func drawGuests(r *rand.Rand, c *Config) {
	c.Strict = []float64{0, 0, 0.3, 1}[r.IntN(4)]
	c.Fault.AfterHint = often(r, 0.1)
	drawDamage(r, &c.Fault)
	c.Limits.HintPace = drawPace(r.IntN)
	c.Limits.GuestAfter = span(r, 10*time.Millisecond, 500*time.Millisecond)
	if r.IntN(8) == 0 {
		c.Limits.Hints = 1 + r.IntN(8)
	}
}

func drawNetwork(r *rand.Rand) Network {
	return Network{
		Delay: span(r, 50*time.Microsecond, 3*time.Millisecond), Jitter: span(r, 0, 5*time.Millisecond),
		Tail: often(r, 0.05), Loss: often(r, 0.1), Repeat: often(r, 0.1), Late: often(r, 0.02), Replay: often(r, 1),
		LateBy: span(r, time.Second, 2*time.Minute),
		Notice: span(r, 0, time.Second), Unnoticed: often(r, 0.5),
	}
}

// drawExpiry comes last: the rest of a seed's configuration is older.
func drawExpiry(r *rand.Rand, c *Config) {
	c.Expire, c.TTL = often(r, 0.6), span(r, 2*time.Millisecond, 4*time.Second)
	c.Limits.ExpiryGrace = span(r, 0, time.Second)
	c.Limits.ExpiryStagger = span(r, 0, 3*time.Second)
	if c.Expire > 0 && r.IntN(2) == 0 {
		c.Fault.Jump = span(r, 300*time.Millisecond, 6*time.Second)
	}
}

func drawFaults(r *rand.Rand) Faults {
	f := Faults{
		CutFor: span(r, 50*time.Millisecond, 3*time.Second), KillFor: span(r, time.Millisecond, 3*time.Second),
		PauseFor: span(r, 10*time.Millisecond, 2*time.Second), FullFor: span(r, 50*time.Millisecond, 2*time.Second),
		Blackout: often(r, 0.3), AfterRepair: often(r, 0.05),
	}
	for _, mean := range []*time.Duration{&f.Cut, &f.Kill, &f.Stop, &f.Pause, &f.Full} {
		if r.IntN(2) == 0 {
			*mean = span(r, 300*time.Millisecond, 6*time.Second)
		}
	}
	return f
}

// drawDamage draws what disks do to what is stored.
func drawDamage(r *rand.Rand, f *Faults) {
	f.Vanish = often(r, 0.9)
	for _, mean := range []*time.Duration{&f.Rot, &f.Audit} {
		if r.IntN(2) == 0 {
			*mean = span(r, 300*time.Millisecond, 6*time.Second)
		}
	}
}

// drawLosses lets disks be lost in every run, as often as the budget bears.
func drawLosses(r *rand.Rand, limits *core.Limits) Losses {
	l := Losses{
		Wipe: span(r, time.Second, 5*time.Second), ImageAge: span(r, time.Second, 10*time.Second), AwayFor: span(r, time.Second, 8*time.Second),
	}
	if r.IntN(2) == 0 {
		l.Image = span(r, time.Second, 5*time.Second)
	}
	if r.IntN(3) == 0 {
		l.Away = span(r, 2*time.Second, 8*time.Second)
	}
	if r.IntN(2) == 0 {
		limits.LogRows = 8 + r.IntN(100)
	}
	limits.RebuildPageBytes = 1 + r.IntN(1000)
	l.AfterPage = often(r, 0.5)
	return l
}

// span is between lo and hi, small values as likely as large ones.
func span(r *rand.Rand, lo, hi time.Duration) time.Duration {
	share := r.Float64()
	return lo + time.Duration(float64(hi-lo)*share*share)
}

// often is a probability up to most; in half of the runs it is zero.
func often(r *rand.Rand, most float64) float64 {
	share := r.Float64()
	if r.IntN(2) == 0 {
		return 0
	}
	return most * share
}

// String is a few lines for the report of a failure.
func (c Config) String() string {
	return fmt.Sprintf("%d nodes of %d shards in %d zones, %d partitions, n=%d; %d clients %v on %d keys, rotate %v, think %v rate %.0f, storm %v, r=%q w=%q pr=%q pw=%q mixed=%v durability=%q strict %.1f, timeout %v, retry %.2f again %.2f foreign %.2f large %.3f by name %.2f flood %.4f reuse %.2f\n"+
		"network %+v\ndisk %+v\nfaults %+v\nlosses %+v, layouts %+v\n%d events a round after %v, expire %.2f after %v, skew %v, last wins %v, left to the bucket %.2f, its ttl %v and values %d, limits %+v",
		c.Nodes, c.Shards, c.Zones, c.Partitions, c.Replicas, c.Clients, c.Kinds, c.Keys, c.Rotate, c.Think, c.Rate, c.Storm, c.R, c.W, c.PR, c.PW, c.Mixed, c.Durability, c.Strict, c.Timeout, c.Retry, c.Again, c.Foreign, c.Large, c.ByName, c.Flood, c.Reuse,
		c.Net, c.Disk, c.Fault, c.Loss, c.Layouts, c.EventsPerRound, c.Round, c.Expire, c.TTL, c.Skew, c.LastWins, c.Left, c.BucketTTL, c.ValueBytesMax, c.Limits)
}
