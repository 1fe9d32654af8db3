package kindred

import "time"

// MemberState is a node as gossip sees it.
type MemberState string

const (
	Alive   MemberState = "alive"
	Suspect MemberState = "suspect"
	Dead    MemberState = "dead"
	Left    MemberState = "left"
)

// Member is one node of the cluster as another node sees it.
type Member struct {
	Name     string
	Zone     string
	Capacity uint32
	State    MemberState
	// Addresses in host:port form.
	ClientAddr, PeerAddr, GossipAddr, HTTPAddr string
	// Linked reports whether the answering node can send to it now.
	Linked bool
	// Partitions is the number of partitions it is a home of.
	Partitions int
}

// Cluster is what one node knows of its cluster.
type Cluster struct {
	// Node is the one that answers.
	Node      string
	ClusterID string
	// Layout is the encoded ring layout, empty before there is one, and
	// LayoutVersion its version in readable form.
	Layout        []byte
	LayoutVersion string
	Partitions    int
	Replicas      int
	Members       []Member
	// Problems says, in sentences, what is not as it should be.
	Problems []string
}

// Local is what one node knows of itself.
type Local struct {
	Node    string
	Version string
	Started time.Time
	// Ready reports whether the node serves its share; Reason says why not.
	Ready  bool
	Reason string
	// Partitions it is a home of, and the shards that serve them.
	Partitions, Shards int
	DiskBytes          uint64
	DiskFreeBytes      uint64
	// Replication is nil where nobody asked for it: it costs the node more.
	Replication *Replication
}
