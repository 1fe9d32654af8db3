package core

import (
	"time"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
)

// Look is something to be read from one snapshot of the store, away from the
// shard's thread: the effect behind everything that reads many rows.
type Look struct {
	// Begin is called at the moment of the snapshot, between two events, and
	// takes along what of the shard's memory has to be of that moment: a clock,
	// most often (R5, C3).
	Begin func() Reading
}

// Reading reads the snapshot. It runs anywhere and touches nothing of the shard;
// what it returns is given back to the shard as an event.
type Reading func(store storage.Snapshot) (seen func(now time.Time))

// look asks for something to be read.
func (s *Shard) look(begin func() Reading) { s.out.Looks = append(s.out.Looks, Look{Begin: begin}) }

// lookAt is look for what reads a replica, which is not given up before the end.
func (s *Shard) lookAt(id replica.ID, begin func() Reading) {
	s.looking[id]++
	s.look(func() Reading {
		reading := begin()
		return func(store storage.Snapshot) func(now time.Time) {
			seen := reading(store)
			return func(now time.Time) {
				if s.looking[id]--; s.looking[id] == 0 {
					delete(s.looking, id)
				}
				seen(now)
			}
		}
	})
}
