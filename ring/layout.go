package ring

import (
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spaolacci/murmur3"
)

// The limits of a layout.
const (
	PartitionsMax = 1 << 16
	ReplicasMax   = 16
	NodesMax      = 512
	NameBytesMax  = 255 // of a node's name, and of a zone's

	// PairsMax limits partitions times nodes with a capacity, which the memory
	// and time of placement grow with: at the limit about a gigabyte and some
	// ten seconds. 512 nodes may have 16 partitions each, 128 nodes 512 each.
	PairsMax = 1 << 23
)

// Node is one member of a layout.
type Node struct {
	Name     string // 1 to 255 bytes of UTF-8, unique
	Zone     string // up to 255 bytes; nodes without one share the zone ""
	Capacity uint32 // relative weight, usually 1; 0 is a member that owns nothing
}

// Layout is one decision about which nodes own which partitions. It is
// immutable. Make one with New, Change, Merge or Decode.
type Layout struct {
	cluster  [16]byte
	version  Version
	bits     int // partitions = 1 << bits
	replicas int
	copies   int      // owners per partition: replicas, or all that there are
	members  members  // by name
	owners   []uint16 // indexes of members, copies for each partition
	homes    []string // their names, in the same places
}

// New makes the first layout of a cluster. Partitions is a power of two from 1
// to 65,536 and never changes; take at least 16 for each node the cluster may
// ever have, or shares come out uneven. Replicas, from 1 to 16, is the number
// of owners each partition gets if there are enough nodes.
//
// Errors: *LimitError, *NodeError.
func New(clusterID [16]byte, partitions, replicas int, nodes []Node) (*Layout, error) {
	if err := checkShape(partitions, replicas); err != nil {
		return nil, err
	}
	first := &Layout{cluster: clusterID, bits: bits.TrailingZeros(uint(partitions)), replicas: replicas}
	return first.Change(nodes)
}

// Change makes the next version of a layout, for the given nodes. It moves as
// few copies as rules 1 to 3 of the package allow. A node is known by its name:
// one that changes its zone or capacity keeps what it can.
//
// Errors: *LimitError, *NodeError.
func (l *Layout) Change(nodes []Node) (*Layout, error) {
	return l.change(nodes, l.version.Counter+1)
}

// change makes a later version.
func (l *Layout) change(nodes []Node, counter uint64) (*Layout, error) {
	m, err := newMembers(nodes)
	if err != nil {
		return nil, err
	}
	if err := checkRoom(l.Partitions(), m); err != nil {
		return nil, err
	}
	next := &Layout{
		cluster:  l.cluster,
		version:  Version{Counter: counter},
		bits:     l.bits,
		replicas: l.replicas,
		copies:   min(l.replicas, m.owning()),
		members:  m,
	}
	next.owners = arrange(next, l)
	next.seal()
	return next, nil
}

// seal derives what follows from the decision: names and hash.
func (l *Layout) seal() {
	l.homes = make([]string, len(l.owners))
	for i, o := range l.owners {
		l.homes[i] = l.members[o].Name
	}
	l.version.Hash = murmur3.Sum64(l.appendContent(nil))
}

// ClusterID is the cluster this layout belongs to.
func (l *Layout) ClusterID() [16]byte { return l.cluster }

// Version names this layout.
func (l *Layout) Version() Version { return l.version }

// Partitions is the number of arcs the key space is cut into.
func (l *Layout) Partitions() int { return 1 << l.bits }

// Replicas is the number of owners each partition should have.
func (l *Layout) Replicas() int { return l.replicas }

// Nodes returns all members, ordered by name.
func (l *Layout) Nodes() []Node {
	nodes := make([]Node, len(l.members))
	for i, m := range l.members {
		nodes[i] = m.Node
	}
	return nodes
}

// Node returns the member of that name.
func (l *Layout) Node(name string) (Node, bool) {
	i, ok := l.members.find(name)
	if !ok {
		return Node{}, false
	}
	return l.members[i].Node, true
}

// PartitionOf returns the partition of a key: the top bits of its hash.
func (l *Layout) PartitionOf(bucket, key string) Partition {
	return Partition(Hash(bucket, key) >> (64 - l.bits))
}

// ownersOf returns the owners of a partition as indexes of members.
func (l *Layout) ownersOf(p int) []uint16 {
	return l.owners[p*l.copies : (p+1)*l.copies]
}

// member is a node and what placement derives from it.
type member struct {
	Node
	id   uint64 // hash of the name
	zone int    // number of the zone, dense, in order of zone names
}

// members are ordered by name.
type members []member

func newMembers(nodes []Node) (members, error) {
	if len(nodes) > NodesMax {
		return nil, &LimitError{Field: "nodes", Got: uint64(len(nodes)), Min: 1, Max: NodesMax, Fix: "use fewer, larger nodes"}
	}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
	zones := make([]string, len(nodes))
	for i, n := range nodes {
		if err := checkNode(n); err != nil {
			return nil, err
		}
		if i > 0 && nodes[i-1].Name == n.Name {
			return nil, &NodeError{Name: n.Name, Reason: "is named twice", Fix: "give every node its own name"}
		}
		zones[i] = n.Zone
	}
	slices.Sort(zones)
	zones = slices.Compact(zones)
	m := make(members, len(nodes))
	for i, n := range nodes {
		z, _ := slices.BinarySearch(zones, n.Zone)
		m[i] = member{Node: n, id: murmur3.Sum64([]byte(n.Name)), zone: z}
	}
	return m, nil
}

func (m members) find(name string) (int, bool) {
	return slices.BinarySearchFunc(m, name, func(n member, name string) int { return strings.Compare(n.Name, name) })
}

// owning counts the members that may own something.
func (m members) owning() int {
	count := 0
	for _, n := range m {
		if n.Capacity > 0 {
			count++
		}
	}
	return count
}

func checkShape(partitions, replicas int) error {
	if partitions < 1 || partitions > PartitionsMax || partitions&(partitions-1) != 0 {
		return &LimitError{Field: "partitions", Got: uint64(max(0, partitions)), Min: 1, Max: PartitionsMax, Fix: "choose a power of two"}
	}
	if replicas < 1 || replicas > ReplicasMax {
		return &LimitError{Field: "replicas", Got: uint64(max(0, replicas)), Min: 1, Max: ReplicasMax, Fix: "choose 3 unless you know better"}
	}
	return nil
}

func checkRoom(partitions int, m members) error {
	owning := m.owning()
	if owning == 0 {
		return &LimitError{Field: "nodes with a capacity", Got: 0, Min: 1, Max: NodesMax, Fix: "give at least one node a capacity of 1"}
	}
	if pairs := partitions * owning; pairs > PairsMax {
		return &LimitError{Field: "partitions × nodes", Got: uint64(pairs), Min: 1, Max: PairsMax, Fix: "use fewer, larger nodes"}
	}
	return nil
}

func checkNode(n Node) error {
	switch {
	case n.Name == "":
		return &NodeError{Name: n.Name, Reason: "has no name", Fix: "name it"}
	case len(n.Name) > NameBytesMax:
		return &NodeError{Name: n.Name[:NameBytesMax], Reason: "has a name of over 255 bytes", Fix: "shorten it"}
	case len(n.Zone) > NameBytesMax:
		return &NodeError{Name: n.Name, Reason: "has a zone of over 255 bytes", Fix: "shorten it"}
	case !utf8.ValidString(n.Name) || !utf8.ValidString(n.Zone):
		return &NodeError{Name: n.Name, Reason: "has a name or zone that is not UTF-8", Fix: "use letters and digits"}
	}
	return nil
}
