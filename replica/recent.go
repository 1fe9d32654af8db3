package replica

import (
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// Recent remembers which dots served which request ids, as far back as its
// limit: the best-effort half of R19. Live versions carry their ids themselves;
// this finds those that were superseded, and deletes.
//
// An id counts for one key only: a client that uses it again on another key
// means another intention.
type Recent struct {
	limit  int
	served map[kindred.RequestID]service
	// order is a ring of the ids in the order of their arrival.
	order []kindred.RequestID
	next  int
	// room is for the dots of requests to come, most of which have one: they are
	// allocated together, and go at about the same time.
	room []vclock.Dot
}

// service is one request as it was served: the hash of its key, and its dots.
type service struct {
	key  uint64
	dots []vclock.Dot
}

// dotsPerRequest bounds what one id can grow to: a client that retries through
// every replica of a partition mints one dot at each.
const dotsPerRequest = kindred.ReplicasMax

// roomDots is how many dots are allocated at a time.
const roomDots = 128

// NewRecent remembers up to limit ids, about 120 bytes each.
func NewRecent(limit int) *Recent {
	return &Recent{limit: limit, served: make(map[kindred.RequestID]service)}
}

// Add remembers that d served id on the key with that hash.
func (r *Recent) Add(id kindred.RequestID, key uint64, d vclock.Dot) {
	if id.IsZero() {
		return
	}
	known, ok := r.served[id]
	if !ok {
		r.admit(id)
		known.key = key
	}
	if known.key != key || len(known.dots) >= dotsPerRequest || slices.Contains(known.dots, d) {
		return
	}
	if known.dots == nil {
		known.dots = r.one()
	}
	known.dots = append(known.dots, d)
	r.served[id] = known
}

// one is an empty list with room for one dot.
func (r *Recent) one() []vclock.Dot {
	if len(r.room) == 0 {
		r.room = make([]vclock.Dot, roomDots)
	}
	first := r.room[:0:1]
	r.room = r.room[1:]
	return first
}

// admit makes room by forgetting the oldest id.
func (r *Recent) admit(id kindred.RequestID) {
	if len(r.order) < r.limit {
		r.order = append(r.order, id)
		return
	}
	delete(r.served, r.order[r.next])
	r.order[r.next] = id
	r.next = (r.next + 1) % r.limit
}

// Dots are the dots known to have served id on that key.
func (r *Recent) Dots(id kindred.RequestID, key uint64) []vclock.Dot {
	if known := r.served[id]; known.key == key {
		return known.dots
	}
	return nil
}
