package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
)

// trustPatience is how long after its start a node says that it is not ready
// because of homes that it cannot reach. Afterwards it serves what it can: its
// writes are taken, and its reads ask others.
const trustPatience = 10 * time.Second

// leaveMark notes that everything which was applied is on the disk, so that the
// next start need not catch up with its peers before it is read (R17).
func (n *Node) leaveMark() {
	for _, w := range n.workers {
		// What an earlier life has lost and this one has not got back is still
		// missing: the next one has to know.
		if w.failed || len(w.shard.Untrusted()) > 0 {
			return
		}
	}
	if n.layout.Load() == nil || n.store.Failed() != nil { // without a layout it may be a disk that lost one
		return
	}
	if err := saveMeta(n.store, metaClean, cleanMark(n.self.Start)); err != nil {
		n.log.Warn("the next start will have to catch up with its peers", "error", err)
	}
}

// catching is what replicas of this node still wait for before they are read.
type catching struct {
	// replicas wait, stuck of them only for homes that cannot be reached.
	replicas, stuck int
	// homes are those that they wait for.
	homes []string
}

// catchingUp asks all shards.
func (n *Node) catchingUp() (c catching) {
	for _, x := range ofShards(n, (*recording.Shard).Untrusted) {
		c.add(x)
	}
	slices.Sort(c.homes)
	c.homes = slices.Compact(c.homes)
	return c
}

func (c *catching) add(x core.ExchangeStatus) {
	c.replicas++
	if len(x.Waits) == len(x.Unreachable) {
		c.stuck++
	}
	c.homes = append(c.homes, x.Waits...)
}

// reason says why the node does not hold its share yet, empty if it does, or if
// it has waited long enough for homes that cannot be reached.
func (c catching) reason(up time.Duration) string {
	if c.replicas == 0 || up > trustPatience && c.stuck == c.replicas {
		return ""
	}
	return c.String()
}

// String is a sentence.
func (c catching) String() string {
	return fmt.Sprintf("%d partitions are catching up with %s: this node may have lost writes when it went down", c.replicas, strings.Join(c.homes, ", "))
}

// checkTrust remembers which partitions do not count toward reads although the
// node calls itself ready.
func (n *Node) checkTrust() {
	if n.layout.Load() == nil {
		return
	}
	c := n.catchingUp()
	if c.replicas == 0 {
		n.untrusted.Store(nil)
		return
	}
	text := c.String()
	n.untrusted.Store(&text)
}
