package nemesis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

// Nemesis makes things go wrong, one at a time.
type Nemesis interface {
	// Hurt makes something go wrong and says what in a few words, such as
	// "n1,n2 | n3". It is in force on return, and lasts until Heal.
	Hurt(ctx context.Context) (what string, err error)
	// Heal ends all that Hurt did, also if that failed half-way; where there is
	// nothing to end it does nothing. Nodes that were taken down have a process
	// again on return. It does not wait until they are ready: the cause may be a
	// hurt of another kind that is healed next.
	Heal(ctx context.Context) error
}

// Target is what a nemesis may do its worst to.
type Target struct {
	Cluster *local.Cluster
	// Nodes are the names of all nodes.
	Nodes []string
	// Random is for every choice that it makes. It belongs to one stroke.
	Random *rand.Rand
	// Disks is how many disks may be lost in one stroke.
	Disks int
	// Wire is the network of the nodes, if they are in namespaces of their own; nil
	// on the loopback interface. The node at a place of Nodes is at that place of it.
	Wire *netns.Network
}

// One is a node drawn at random.
func (t Target) One() string { return t.Nodes[t.Random.IntN(len(t.Nodes))] }

// Few draws a minority of the nodes, at least one, and returns the others as well,
// each in order.
func (t Target) Few() (few, most []string) {
	n := 1 + t.Random.IntN(max(1, (len(t.Nodes)-1)/2))
	drawn := t.Random.Perm(len(t.Nodes))[:n]
	for i, node := range t.Nodes {
		if slices.Contains(drawn, i) {
			few = append(few, node)
		} else {
			most = append(most, node)
		}
	}
	return few, most
}

// Touch is what a kind lays its hands on.
type Touch uint8

const (
	// Network is what nodes send to one another.
	Network Touch = iota + 1
	// Nodes are processes, their disks, their clocks.
	Nodes
)

// String is one word.
func (t Touch) String() string {
	switch t {
	case Network:
		return "network"
	case Nodes:
		return "nodes"
	}
	return fmt.Sprintf("Touch(%d)", uint8(t))
}

// Loss is what is gone for good.
type Loss uint8

const (
	// Nothing is lost: what a node has acknowledged it still has afterwards.
	Nothing Loss = iota
	// Unsynced is what a node had acknowledged and not synced yet.
	Unsynced
	// Disk is everything that a node had, or all of it since some time ago.
	Disk
)

// String says what is lost.
func (l Loss) String() string {
	switch l {
	case Nothing:
		return "nothing"
	case Unsynced:
		return "what was not synced"
	case Disk:
		return "a disk"
	}
	return fmt.Sprintf("Loss(%d)", uint8(l))
}

// Kind is one way in which things go wrong.
type Kind struct {
	// Name is a word or two with a hyphen.
	Name string
	// Doc says in a line what goes wrong.
	Doc string
	// Holds says in a line what is promised meanwhile, beyond what always is.
	Holds   string
	Touches Touch
	Loses   Loss
	// NodesMin is how many nodes it takes; 0 means 1.
	NodesMin int
	// Needs says what it takes of the machine, such as root; empty means nothing.
	// Missing says what of that is not there; nil means that nothing can be missing.
	Needs   string
	Missing func() error
	// Args are flags that every node has to be started with.
	Args []string
	// Prepare, if set, readies the folder of a cluster that has not been started
	// yet, and says how to undo it once the cluster has ended. A kind with it
	// cannot be used on a cluster that runs already.
	Prepare func(ctx context.Context, dir string, nodes []string) (undo func() error, err error)
	// New makes the nemesis of one stroke.
	New func(Target) Nemesis
}
