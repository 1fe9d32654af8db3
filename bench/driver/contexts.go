package driver

import (
	"sync/atomic"

	"github.com/kindredkv/kindred/client"
)

// contextsMax bounds the keys whose context is remembered. Keys beyond it share
// places, and are read before they are written more often.
const contextsMax = 1 << 20

// contexts remember what this program has last seen of keys.
type contexts []atomic.Pointer[seen]

// seen is what was seen of a key.
type seen struct {
	number  uint64
	context client.Context
}

func newContexts(keys uint64) contexts { return make(contexts, min(keys, contextsMax)) }

func (c contexts) place(number uint64) *atomic.Pointer[seen] { return &c[number%uint64(len(c))] }

// of is what was seen of a key, nil if nothing is known.
func (c contexts) of(number uint64) *seen {
	if s := c.place(number).Load(); s != nil && s.number == number {
		return s
	}
	return nil
}

// remember takes what a read or a write saw. Before is what was known when it
// began: if that has changed since, two writers have raced, nobody here has seen
// the whole, and the place is emptied so that the next put reads first.
func (c contexts) remember(number uint64, before *seen, context client.Context) {
	place := c.place(number)
	current := place.Load()
	switch {
	case current != nil && current.number != number: // another key has the place
		place.CompareAndSwap(current, &seen{number, context})
	case current == before:
		if !place.CompareAndSwap(before, &seen{number, context}) {
			place.Store(nil)
		}
	default:
		place.Store(nil)
	}
}
