package node

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/storage"
)

// BatchSyncWithin is the time within which a write of durability batch or
// memory reaches the disk.
const BatchSyncWithin = 50 * time.Millisecond

// committer makes applied rows durable for all shards: one sync of the disk at
// a time, for everybody who waits when it begins (group commit).
type committer struct {
	engine storage.Engine
	fail   func(error)

	mu      sync.Mutex
	waiting []func()
	wake    chan struct{}
	quit    chan struct{}
	done    chan struct{}
	// dirty is set while applied rows may not be durable.
	dirty atomic.Bool
	stir  chan struct{}
}

func startCommitter(engine storage.Engine, fail func(error)) *committer {
	c := &committer{
		engine: engine, fail: fail,
		wake: make(chan struct{}, 1), stir: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	go c.run()
	return c
}

// touch says that rows were applied: they will be synced within BatchSyncWithin.
func (c *committer) touch() {
	if !c.dirty.Swap(true) {
		signal(c.stir)
	}
}

// after calls then, in the committer's goroutine, once everything that was
// applied before the call is durable.
func (c *committer) after(then func()) {
	c.mu.Lock()
	c.waiting = append(c.waiting, then)
	c.mu.Unlock()
	signal(c.wake)
}

func (c *committer) run() {
	defer close(c.done)
	// Half the promise waits, the other half is for the disk.
	late := time.NewTimer(time.Hour)
	late.Stop()
	defer late.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-c.stir:
			late.Reset(BatchSyncWithin / 2)
			continue
		case <-late.C:
		case <-c.wake:
		}
		if !c.sync() {
			return
		}
	}
}

// sync serves those who wait now. A failed sync stops the node: what the disk
// holds is then unknown.
func (c *committer) sync() bool {
	c.mu.Lock()
	served := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	if !c.dirty.Swap(false) && len(served) == 0 {
		return true
	}
	if err := c.engine.Sync(); err != nil {
		c.fail(err)
		return false
	}
	for _, then := range served {
		then()
	}
	return true
}

// stop ends the committer; what waits is not called.
func (c *committer) stop() {
	close(c.quit)
	<-c.done
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
