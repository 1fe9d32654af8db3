package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kindredkv/kindred/buckets"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage/memstore"
)

// bucket is where everything happens.
const bucket = "b"

// Options say how a run is watched; they change nothing in it.
type Options struct {
	// Events is how many of the last events a finding shows.
	Events int
	// Log, if not nil, is given every event in words.
	Log func(string)
}

// Result is what came of a run.
type Result struct {
	Seed   uint64
	Config Config
	// Finding is the first broken promise, or nil.
	Finding *Finding
	// Hash is of every event of the run, Events how many there were.
	Hash, Events uint64
	// Stormed is the time that passed while clients worked and things went
	// wrong. The calm after it lasts for minutes in which little happens.
	Stormed time.Duration
	// Converged is how long after the last write, or the end of the last fault, all
	// homes were equal.
	Converged time.Duration
	// Operations of clients, and Attempts to carry them out.
	Operations, Attempts int
	// Faults is how many began, Keys how many there have been.
	Faults FaultCount
	Keys   int
	Hits   Hits
	Stats  core.Stats
	// Kept is what happened of all that the seed draws: with it the same seed gives
	// the same run.
	Kept Part
	// History is what the clients did and were told.
	History history.History
	// Last are the last events in words.
	Last []string
}

// Finding is a broken promise.
type Finding struct {
	// Rule is its number: an invariant, a rule of the protocol, a checker.
	Rule string
	At   time.Duration
	Text string
}

// String is one line.
func (f *Finding) String() string { return fmt.Sprintf("%s at %v: %s", f.Rule, f.At, f.Text) }

// Run plays the run of a seed.
func Run(seed uint64, options Options) *Result { return Play(seed, Draw(seed), options) }

// RunLong plays the long run of a seed, with a storm of at least that length.
func RunLong(seed uint64, storm time.Duration, options Options) *Result {
	return Play(seed, DrawLong(seed, storm), options)
}

// Play plays a run of that seed with another configuration than it draws.
func Play(seed uint64, cfg Config, options Options) *Result {
	r := newRun(seed, cfg, options)
	r.storm()
	r.quiet()
	return r.result()
}

// run is a cluster, its clients, its faults and its judge.
type run struct {
	seed   uint64
	cfg    Config
	agenda agenda
	trace  *trace
	// layout is the newest that anybody has worked by, tip its version.
	layout *ring.Layout
	tip    ring.Version
	// eras are the phases that shards work by and have worked by, ownersBy what follows
	// from each.
	eras     []*era
	ownersBy map[*ring.Phase][]*owners
	// ever are all that have been the homes of each partition together.
	ever [][]nodes
	// gone are the nodes that an operator has declared gone for ever, back those that were
	// and are members again.
	gone, back nodes
	// quietUntil is until when operators leave the layout alone, for a node is to return.
	quietUntil time.Duration
	// decisions are those that operators have committed, used the layouts that somebody
	// has worked by.
	decisions []decided
	used      map[ring.Version]bool
	// buckets is what every node goes by.
	buckets *buckets.Registry
	nodes   []*node
	// disks counts those that were ever in use.
	disks  uint64
	byName map[string]*node
	cuts   []cut
	// calm is the second act: nothing goes wrong any more from calmAt on.
	calm   bool
	calmAt time.Duration
	// unmended: homes differ in a way that only reads and audits see.
	unmended bool
	// stopped: clients begin nothing new.
	stopped bool

	// first is the number of the first key that clients work on.
	first    int
	keyNames []string
	retired  *undertaker

	clients  []*client
	tokens   uint64
	recorder history.Recorder
	history  history.History
	oracle   *oracle
	hits     Hits
	faults   FaultCount
	// due counts the incidents of each kind, occurred are those that the run does not
	// leave out. Spared is how many faults it leaves out, leftOut how many operations.
	due      [incidentKinds]uint64
	occurred [incidentKinds]Numbers
	spared   uint64
	leftOut  int
	stats    core.Stats
	closes   core.CloseStats
	rebuilds core.RebuildStats
	// closed: what is left of lost dots has been closed.
	closed   bool
	ops      int
	attempts int
	// open are attempts of clients that wait for an answer, flying the messages
	// between nodes.
	open, flying int
	// scratch is where messages are encoded.
	scratch []byte
	// converged is how long after the last write all homes were equal.
	converged time.Duration
}

func newRun(seed uint64, cfg Config, options Options) *run {
	r := &run{seed: seed, cfg: cfg, byName: map[string]*node{}, ownersBy: map[*ring.Phase][]*owners{}, used: map[ring.Version]bool{}, disks: uint64(cfg.everyNode())}
	r.ever = make([][]nodes, cfg.Partitions)
	r.trace = newTrace(&r.agenda, options.Events, options.Log)
	r.oracle = newOracle(r)
	for i := range cfg.everyNode() {
		n := &node{run: r, away: i >= cfg.Nodes, name: fmt.Sprintf("n%d", i+1), index: i, store: memstore.New(), diskID: uint64(i + 1), rot: map[string]bool{}, spoilt: map[replica.ID]spoilt{}}
		r.nodes = append(r.nodes, n)
		r.byName[n.name] = n
	}
	r.layout, r.buckets = r.form(), cfg.registry()
	for _, n := range r.nodes[:cfg.Nodes] {
		n.own(n.phase)
	}
	return r
}

// draw is a keyed draw at this moment.
func (r *run) draw(words ...uint64) chance {
	return chance(r.seed).with(uint64(r.agenda.now)).with(words...)
}

// homes are those of a key by the newest layout.
func (r *run) homes(key string) []string {
	h := r.oracle.history(key)
	if h.by != r.layout {
		h.by, h.homes = r.layout, r.layout.Homes(ring.Partition(h.id.Partition), r.cfg.Replicas)
	}
	return h.homes
}

func (r *run) idOf(key string) replica.ID { return r.oracle.history(key).id }

// storm is the first act: clients work, and everything goes wrong.
func (r *run) storm() {
	for _, n := range r.nodes[:r.cfg.Nodes] {
		n.boot()
	}
	r.linksChanged()
	r.startClients()
	r.startFaults()
	r.startLosses()
	r.startChanges()
	r.until(func() bool { return r.agenda.now >= r.cfg.Storm })
}

// until lets things happen until done, or until a promise is broken.
func (r *run) until(done func() bool) {
	for r.oracle.finding == nil && !done() && r.agenda.step() {
	}
}

// settleMost is the longest that a cluster may need until nothing goes on.
const settleMost = 5 * time.Minute

// settle lets everything happen that was begun. What replicas tell one another
// every second goes on for ever and is not waited for.
func (r *run) settle() {
	end := r.agenda.now + settleMost
	r.until(func() bool { return r.isQuiet() || r.agenda.now > end })
	if r.oracle.finding == nil && !r.isQuiet() {
		r.demandIdle()
		r.oracle.find("C14", "something still goes on %v after everything ended: %d attempts, %d messages", settleMost, r.open, r.flying)
	}
}

// pass lets time go by.
func (r *run) pass(d time.Duration) {
	end := r.agenda.now + d
	r.until(func() bool { return r.agenda.now >= end })
}

// isQuiet reports whether no request, message or step is on its way.
func (r *run) isQuiet() bool {
	if r.open > 0 || r.flying > 0 {
		return false
	}
	for _, n := range r.nodes {
		if len(n.pending) > 0 {
			return false
		}
		for _, s := range n.shards {
			if len(s.inbox) > 0 || !n.standsStill() && !s.shard.Held().IsZero() {
				return false
			}
		}
	}
	return true
}

func (r *run) result() *Result {
	for _, n := range r.nodes {
		r.countStats(n)
	}
	if r.oracle.finding != nil {
		r.history = r.recorded()
	}
	r.hits[BeatenEnded] += r.stats.Beaten
	r.hits[CopyRetired] += r.stats.Retired
	r.hits[WriteForwarded] += r.stats.Forwards
	r.hits[WriteResent] += r.stats.Resends
	r.hits[RetryServed] += r.stats.Retries
	r.hits[Swept] += r.stats.Sweeps
	r.hits[Pulled] += r.stats.Pulls
	r.hits[PieceJoined] += r.stats.PiecesJoined
	r.hits[StrayAnswer] += r.stats.Stray
	r.hits[RoundFailed] += r.closes.Failed
	r.hits[LeafDamaged] += r.stats.LostLeaves
	r.hits[ObjectRestored] += r.stats.Restored
	r.hits[LeafMended] += r.stats.MendedLeaves
	r.hits[AuditRan] += r.stats.Audits
	r.hits[AuditFoundDifference] += r.stats.DifferingLeaves
	r.hits[KeyRepaired] += r.stats.KeyRepairs
	r.hits[ReadHedged] += r.stats.Hedges
	r.hits[HintRefused] += r.stats.HintsRefused
	r.hits[HintWidened] += r.stats.HintsWidened
	r.hits[HintContained] += r.stats.HintsContained
	r.hits[HintRead] += r.stats.GuestReads
	r.hits[UnreadableMet] += r.stats.Unreadable
	r.hits[PrunedUnshared] += r.stats.PrunedUnshared
	r.hits[DeltaRefused] += r.stats.RefusedJoins
	r.hits[PromiseHeld] += r.closes.Refused
	r.hits[OutcomeLearned] += r.closes.Learned
	r.hits[MemorySwept] += r.closes.Surveys
	r.hits[RebuildBegun] += r.rebuilds.Begun
	r.hits[RebuildResumed] += r.rebuilds.Resumed
	r.hits[RebuildSourceChanged] += r.rebuilds.SourcesChanged
	r.hits[RebuildPageRefused] += r.rebuilds.Refused
	return &Result{
		Seed: r.seed, Config: r.cfg, Finding: r.oracle.finding, Hash: r.trace.hash, Events: r.trace.count,
		History: r.history, Converged: r.converged, Stormed: min(r.agenda.now, r.cfg.Storm), Operations: r.ops, Attempts: r.attempts,
		Faults: r.faults, Keys: r.first + r.cfg.Keys, Hits: r.hits, Stats: r.stats, Last: r.trace.last(), Kept: r.kept(),
	}
}

// kept is the part of the seed's run that was played.
func (r *run) kept() Part {
	p := Part{Incidents: map[Incident]Numbers{}, Clients: map[int]Numbers{}}
	if r.cfg.part != nil {
		p.End, p.Nodes, p.Keys, p.Plain = r.cfg.part.End, r.cfg.part.Nodes, r.cfg.part.Keys, r.cfg.part.Plain
	}
	for i, numbers := range r.occurred {
		if numbers != nil {
			p.Incidents[Incident(i)] = numbers
		}
	}
	workers := r.clients
	if r.retired != nil {
		workers = append(slices.Clone(workers), r.retired.client)
	}
	for _, c := range workers {
		if c.did != nil {
			p.Clients[c.number] = c.did
		}
	}
	return p
}

// countStats takes over the counters of a life that ends.
func (r *run) countStats(n *node) {
	for _, s := range n.shards {
		r.ended(s)
		r.stats = r.stats.Plus(s.shard.Stats())
		r.closes = r.closes.Plus(s.shard.CloseStats())
		r.rebuilds = r.rebuilds.Plus(s.shard.RebuildStats())
	}
	n.shards = nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
