package node

import (
	"fmt"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// greetPatience is how long after its start a node waits for links to members of the
// layout of which gossip has not heard: they may be up, or gone for a year.
const greetPatience = 2 * time.Second

// notReady says why this node does not hold its share, empty if it does. That others
// are gone is no reason, or one lost node would take all that balancers send away
// from those who serve it: it is for [kindred.Cluster] to tell. Nor is a full disk,
// which is read as before.
func (n *Node) notReady() string {
	layout, cluster := n.layout.Load(), n.Cluster()
	switch {
	case layout == nil:
		if p := cluster.Problems; len(p) > 0 {
			return p[0]
		}
		return "no layout yet"
	case n.removed.Load():
		return "it was removed from the cluster"
	case int(n.recovered.Load()) < len(n.workers):
		return "reading the clocks of its partitions"
	}
	if n.draining.Load() {
		return "it is drained; kvcli node drain " + n.cfg.Name + " --undo ends that"
	}
	up := time.Since(n.started)
	if reason := n.catchingUp().reason(up); reason != "" {
		return reason
	}
	others := neighbours(layout, cluster.Members, n.cfg.Name)
	if reason := others.tooFew(layout); reason != "" || n.greeted.Load() {
		return reason
	}
	reason := others.ungreeted(up)
	if reason == "" {
		n.greeted.Store(true)
	}
	return reason
}

// links are those of a node to the other members of the layout.
type links struct {
	up int
	// wavering members are suspect, silent ones are dead to gossip and link.
	wavering, silent []string
}

func neighbours(layout *ring.Layout, members []kindred.Member, self string) (l links) {
	for _, m := range members {
		if _, in := layout.Node(m.Name); !in || m.Name == self {
			continue
		}
		switch {
		case m.Linked:
			l.up++
		case m.State == kindred.Suspect:
			l.wavering = append(l.wavering, m.Name)
		case m.State == kindred.Dead:
			l.silent = append(l.silent, m.Name)
		}
	}
	return l
}

// tooFew says that no quorum of a majority can be had here, guests included.
func (l links) tooFew(layout *ring.Layout) string {
	nodes := len(layout.Nodes())
	need := min(layout.Replicas(), nodes)/2 + 1
	if l.up+1 >= need {
		return ""
	}
	return fmt.Sprintf("it reaches %d of %d others, and a quorum takes %d", l.up, nodes-1, need-1)
}

// ungreeted says whom a node that has just started is still calling: the next node
// may be stopped when this one is ready, so it has to be of use to the others.
func (l links) ungreeted(up time.Duration) string {
	switch {
	case len(l.wavering) > 0 && up <= trustPatience:
		return "it is still calling " + strings.Join(l.wavering, ", ")
	case len(l.silent) > 0 && up <= greetPatience:
		return "it is still calling " + strings.Join(l.silent, ", ")
	}
	return ""
}
