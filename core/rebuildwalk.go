package core

import (
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
)

// claim begins to make the replica's own what a pass has brought that nobody can
// go on with: its live versions are logged, so that others get them from here.
// What the pass lets the replica know of its keys stays as long as it is needed.
func (s *Shard) claim(now time.Time, j *rebuildJob) {
	j.state = rebuildClaiming
	j.walk = replica.Stretch{}
	s.walkOn(now, j)
}

// claimed begins another pass.
func (s *Shard) claimed(now time.Time, j *rebuildJob) {
	j.state = rebuildCopying
	j.machine.Restart(now)
	s.rebuilds.stats.Restarted++
	s.tendRebuilds(now)
}

// settle forgets what the clock says by now. Contexts that were kept because it did
// not are left to the sweeper.
func (s *Shard) settle(now time.Time, j *rebuildJob) {
	j.looked = now
	j.r.DropCovered(&s.out.Rows)
	s.closer.awaits(now, j.r)
	if !j.r.Rebuilding() {
		delete(s.rebuilds.jobs, j.r.ID())
	}
}

// walkOn reads the next own objects of a walk and lets those that it is for go
// through their latch.
func (s *Shard) walkOn(_ time.Time, j *rebuildJob) {
	id, within := j.r.ID(), j.walk
	s.lookAt(id, func() Reading {
		return func(store storage.Snapshot) func(time.Time) {
			own, err := replica.ReadRange(store, id, within, ownPages*s.cfg.Limits.RebuildPageBytes)
			return func(now time.Time) {
				if s.rebuilds.jobs[id] == j {
					s.walked(now, j, own, err)
				}
			}
		}
	})
}

func (s *Shard) walked(now time.Time, j *rebuildJob, own replica.Range, err error) {
	if err != nil {
		s.auditor.unreadable(s, j.r)
	}
	for i := range own.Items {
		item := &own.Items[i]
		if !j.r.Unclaimed(item) {
			continue
		}
		j.busy++
		s.enter(j.r, item.Bucket, item.Key, func(_ time.Time, k *replica.Key, err error) {
			j.busy--
			if err == nil {
				k.Claim(&s.out.Rows)
			}
		})
	}
	if own.More && err == nil {
		last := own.Items[len(own.Items)-1]
		j.walk = replica.Stretch{Begun: true, Bucket: last.Bucket, Key: last.Key}
	} else {
		j.walk.Ends = true
	}
	if j.held = j.busy > 0; !j.held {
		s.walkNext(now, j)
	}
}

// walkNext goes on with the walk, or with what comes after it. An object that cannot
// be read ends it: what it was for is left to the next write of each key.
func (s *Shard) walkNext(now time.Time, j *rebuildJob) {
	if j.walk.Ends {
		s.claimed(now, j)
	} else {
		s.walkOn(now, j)
	}
}

// rebuildManyDots is the number of missing dots from which a replica that lacks
// more than it has is rebuilt, although the logs of others have them all: reading
// objects in order is quicker than by dots.
const rebuildManyDots = 100

// rebuildLost begins to rebuild a replica that an exchange cannot, or should not,
// bring up to date.
func (s *Shard) rebuildLost(now time.Time, x *exchange) {
	id := x.replica.ID()
	if j := s.rebuilds.jobs[id]; j != nil && j.state < rebuildSettling || now.Before(x.rebuildAt) {
		return
	}
	lost, from := x.Unserved(x.clock())
	if lost.IsEmpty() {
		if lag := x.Lag(x.clock()); lag < rebuildManyDots || lag < antientropy.Count(x.clock()) {
			return
		}
	}
	s.rebuildFor(now, id, from, lost)
}

// vainFor is how long a rebuild waits that found nobody who has what it is for.
const vainFor = 10 * time.Second

// giveUpVain ends a rebuild that nobody can begin now. An earlier one may not have
// settled yet.
func (s *Shard) giveUpVain(now time.Time, j *rebuildJob) {
	if _, _, _, copying := j.r.Copying(); copying { // it has to come to an end, whoever begins it anew
		j.machine.Need(vclock.DotSet{})
	} else {
		j.state = rebuildSettling
	}
	if x := s.exchange.of[j.r.ID()]; x != nil {
		x.rebuildAt = now.Add(vainFor)
		x.Unpaged(x.rebuildAt)
	}
}

// gaveUp reports whether a pass of a replica was given up and no other has begun.
func (s *Shard) gaveUp(id replica.ID) bool {
	j := s.rebuilds.jobs[id]
	if j == nil || j.state != rebuildCopying {
		return false
	}
	_, begun := j.machine.C0()
	_, _, _, copying := j.r.Copying()
	return copying && !begun
}

// copying reports whether pages of a replica are being taken over now.
func (s *Shard) copying(id replica.ID) bool {
	j := s.rebuilds.jobs[id]
	return j != nil && (j.state == rebuildCopying || j.state == rebuildWaiting) && !j.machine.Stuck()
}
