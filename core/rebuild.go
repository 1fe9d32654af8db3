package core

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// rebuilder rebuilds replicas of this shard from other homes (R13), a few at a
// time, and serves theirs.
//
// A page is taken over in one step: the own objects of its range are read from a
// snapshot, joined with the page, and written in one batch with the note that the
// range is passed. Keys that other steps change between the snapshot and that, or
// that are open then, go through their latch one by one and before the others.
type rebuilder struct {
	jobs map[replica.ID]*rebuildJob
	// at is when something may have to be done by time alone.
	at time.Time
	// serving counts the pages that are being read for others.
	serving int
	stats   RebuildStats
}

// RebuildStats counts what rebuilds have done since the shard was made.
type RebuildStats struct {
	// Begun, Resumed, Finished and Restarted are passes; a pass that was resumed
	// had begun in an earlier life.
	Begun, Resumed, Finished, Restarted uint64
	// Pages, Keys and Bytes were taken over, Served the pages read for others.
	Pages, Keys, Bytes, Served uint64
	// Refused are pages that could not be used, SourcesChanged what it says.
	Refused, SourcesChanged uint64
}

// Plus adds the counters of another shard.
func (a RebuildStats) Plus(b RebuildStats) RebuildStats {
	a.Begun += b.Begun
	a.Resumed += b.Resumed
	a.Finished += b.Finished
	a.Restarted += b.Restarted
	a.Pages += b.Pages
	a.Keys += b.Keys
	a.Bytes += b.Bytes
	a.Served += b.Served
	a.Refused += b.Refused
	a.SourcesChanged += b.SourcesChanged
	return a
}

// rebuildJob is one replica being rebuilt.
type rebuildJob struct {
	r       *replica.Replica
	machine *antientropy.Rebuild
	state   rebuildState
	// first: the page now taken over begins a pass.
	first bool
	// taking is the page that is being taken over, next the one after it, in
	// bytes and from the wire.
	taking, next *rebuildPage
	// looking: own objects are being read.
	looking bool
	own     replica.Range
	// touched are the rows that were saved since the own objects were read, done
	// those of the page that went through their latch, busy how many are there.
	touched, done map[string]bool
	busy          int
	// held: what comes next waits for them.
	held bool
	// walk is how far a walk through the own keys has come.
	walk replica.Stretch
	// looked is when it was last tried to forget pieces.
	looked time.Time
}

type rebuildPage struct {
	*wire.RebuildPage
	bytes int
}

type rebuildState uint8

const (
	// waiting: other rebuilds come first.
	rebuildWaiting rebuildState = iota
	// copying: pages are asked for and taken over.
	rebuildCopying
	// claiming: the pass was given up, and what it brought is made the replica's
	// own before another begins.
	rebuildClaiming
	// settling: everything is copied; the clock does not say all of it yet.
	rebuildSettling
)

var rebuildStates = [...]string{"waiting", "copying", "claiming", "settling"}

const (
	// manyPieces is the number of pieces beyond which pages are larger, so that a
	// large partition makes fewer of them.
	manyPieces = 1 << 10
	// ownPages is how many times larger than a page the own objects are that are
	// read at once.
	ownPages = 4
	// touchedMax is the number of rows saved meanwhile beyond which the own
	// objects are read again.
	touchedMax = 16 << 10
	// settleEvery is how often it is tried to forget pieces.
	settleEvery = time.Second
)

// RebuildStatus says how far the rebuild of a replica has come.
type RebuildStatus struct {
	Replica replica.ID
	State   string
	// Lacks: dots that an exchange has to bring before the replica can be read.
	Lacks bool
	antientropy.Progress
}

// Rebuilds lists the rebuilds in progress, by replica.
func (s *Shard) Rebuilds() []RebuildStatus {
	var all []RebuildStatus
	for _, id := range s.Replicas() {
		if j := s.rebuilds.jobs[id]; j != nil {
			all = append(all, RebuildStatus{
				Replica: id, State: rebuildStates[j.state], Lacks: j.state == rebuildSettling, Progress: j.machine.Progress(),
			})
		}
	}
	return all
}

// RebuildStats returns the counters.
func (s *Shard) RebuildStats() RebuildStats { return s.rebuilds.stats }

// Rebuild begins to rebuild a replica from other homes, preferably that one: dots
// that it lacks are not in their logs any more, or it has lost much. It does
// nothing if that is being done already.
func (s *Shard) Rebuild(now time.Time, id replica.ID, from string) {
	s.rebuildFor(now, id, from, vclock.DotSet{})
}

// rebuildFor begins a rebuild that is to bring some of those dots, if there are any.
func (s *Shard) rebuildFor(now time.Time, id replica.ID, from string, needs vclock.DotSet) {
	r := s.replicas[id]
	if r == nil || r.Retired() || !r.MayPass(!needs.IsEmpty()) {
		return
	}
	if j := s.rebuilds.jobs[id]; j != nil && j.state < rebuildSettling {
		return
	}
	var formers []string // last: their clocks stand still, and they go when all have what they have
	if x := s.exchange.of[id]; x != nil {
		formers = x.Formers(needs)
	}
	s.addRebuild(now, r, from, formers...).machine.Need(needs)
	s.tendRebuilds(now)
}

// Rebuilding reports whether a replica must not be read, because it is half built.
func (s *Shard) Rebuilding(id replica.ID) bool {
	r := s.replicas[id]
	return r != nil && r.Rebuilding()
}

const beingRebuilt = "is being rebuilt"

// addRebuild has a replica rebuilt from one node before all others, from the homes that
// count, and from those of the last if none of these can go on.
func (s *Shard) addRebuild(now time.Time, r *replica.Replica, from string, last ...string) *rebuildJob {
	id := r.ID()
	others := slices.Concat(s.holdersOf(wire.Head(id)), last)
	if from != "" {
		others = append([]string{from}, others...)
	}
	// While owners change, those of before come first (R25): two new ones would copy from
	// one another what neither has.
	var homes, late []string
	base := s.baseOf(wire.Head(id))
	for i, h := range others {
		switch {
		case h == s.cfg.Node || s.phase.Gone(h) && h != from || slices.Contains(others[:i], h):
		case base != nil && !slices.Contains(base, h):
			late = append(late, h)
		default:
			homes = append(homes, h)
		}
	}
	homes = append(homes, late...)
	j := &rebuildJob{r: r, machine: antientropy.NewRebuild(now, homes)}
	for _, h := range homes {
		j.machine.SetLink(now, h, s.linked[h])
	}
	if s.rebuilds.jobs == nil {
		s.rebuilds.jobs = map[replica.ID]*rebuildJob{}
	}
	s.rebuilds.jobs[id] = j
	return j
}

// resumeRebuilds goes on with what an earlier life has begun.
func (s *Shard) resumeRebuilds(recovered []*replica.Replica) {
	for _, r := range recovered {
		if !r.Rebuilding() {
			continue
		}
		j := s.addRebuild(time.Time{}, r, "")
		if c0, _, _, copying := r.Copying(); copying {
			j.machine.Resume(c0)
			s.rebuilds.stats.Resumed++
		} else {
			j.state = rebuildSettling
		}
		s.rebuilds.at = time.Unix(0, 0)
	}
}

func (s *Shard) linkRebuilds(now time.Time, peer string, up bool) {
	for _, id := range s.Replicas() {
		if j := s.rebuilds.jobs[id]; j != nil {
			j.machine.SetLink(now, peer, up)
		}
	}
	s.tendRebuilds(now)
}

// tendRebuilds does for every rebuild what can be done now.
func (s *Shard) tendRebuilds(now time.Time) {
	if len(s.rebuilds.jobs) == 0 {
		s.rebuilds.at = time.Time{}
		return
	}
	active := 0
	for _, j := range s.rebuilds.jobs {
		if j.state == rebuildCopying || j.state == rebuildClaiming {
			active++
		}
	}
	for _, id := range s.Replicas() {
		j := s.rebuilds.jobs[id]
		if j == nil {
			continue
		}
		if j.state == rebuildWaiting && active < s.cfg.Limits.Rebuilds {
			j.state = rebuildCopying
			active++
		}
		s.tend(now, j)
	}
	s.armRebuilds(now)
}

// rebuildsDue tends rebuilds that have to be by time alone.
func (s *Shard) rebuildsDue(now time.Time) {
	if !s.rebuilds.at.IsZero() && !s.rebuilds.at.After(now) {
		s.tendRebuilds(now)
	}
}

func (s *Shard) armRebuilds(now time.Time) {
	s.rebuilds.at = time.Time{}
	for _, j := range s.rebuilds.jobs {
		if at, ok := s.wakeFor(now, j); ok && (s.rebuilds.at.IsZero() || at.Before(s.rebuilds.at)) {
			s.rebuilds.at = at
		}
	}
}

// wakeFor is when a rebuild has to be tended by time alone.
func (s *Shard) wakeFor(now time.Time, j *rebuildJob) (time.Time, bool) {
	switch {
	case j.state == rebuildCopying && j.room() && s.full == nil:
		at, ok := j.machine.Deadline(now)
		if free, held := s.pacing.holdsPages(now); held && (!ok || free.Before(at)) {
			return free, true
		}
		return at, ok
	case j.state == rebuildSettling || s.full != nil && j.state != rebuildWaiting:
		return now.Add(settleEvery), true
	}
	return time.Time{}, false
}

// room reports whether another page may be asked for: one is taken over while
// the next is on its way.
func (j *rebuildJob) room() bool {
	last := j.next
	if last == nil {
		last = j.taking
	}
	return j.next == nil && (last == nil || last.More)
}

func (s *Shard) tend(now time.Time, j *rebuildJob) {
	if s.full != nil {
		return // a page is rows; they wait until there is room
	}
	switch j.state {
	case rebuildCopying:
		if j.taking == nil && j.next == nil && j.machine.Hopeless(now) {
			s.claim(now, j)
			return
		}
		s.takePage(now, j)
		s.askPage(now, j)
		if j.machine.Vain(now) {
			s.giveUpVain(now, j)
		}
	case rebuildSettling:
		if now.Sub(j.looked) >= settleEvery {
			s.settle(now, j)
		}
	}
}
