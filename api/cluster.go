package api

import (
	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// ClusterHeader is the gRPC metadata by which a caller names the cluster that it wants; a
// node of another one refuses it.
const ClusterHeader = "kindred-cluster"

// FormatDescribe carries what a node knows of its cluster and of itself.
func FormatDescribe(c *kindred.Cluster, l *kindred.Local) *pb.DescribeResponse {
	return &pb.DescribeResponse{
		Node: text(&c.Node), ClusterId: text(&c.ClusterID), Layout: c.Layout, LayoutVersion: text(&c.LayoutVersion),
		Partitions: small(c.Partitions), Replicas: small(c.Replicas),
		Members: each(c.Members, formatMember), Problems: each(c.Problems, text), Local: formatLocal(l),
	}
}

// ParseDescribe is the inverse of [FormatDescribe].
func ParseDescribe(m *pb.DescribeResponse) (kindred.Cluster, kindred.Local) {
	return kindred.Cluster{
		Node: m.GetNode(), ClusterID: m.GetClusterId(), Layout: m.GetLayout(), LayoutVersion: m.GetLayoutVersion(),
		Partitions: int(m.GetPartitions()), Replicas: int(m.GetReplicas()),
		Members: each(m.GetMembers(), parseMember), Problems: m.GetProblems(),
	}, parseLocal(m.GetLocal())
}

func formatMember(m *kindred.Member) *pb.Member {
	state := string(m.State)
	return &pb.Member{
		Name: text(&m.Name), Zone: text(&m.Zone), Capacity: m.Capacity, State: text(&state),
		ClientAddr: text(&m.ClientAddr), PeerAddr: text(&m.PeerAddr),
		GossipAddr: text(&m.GossipAddr), HttpAddr: text(&m.HTTPAddr),
		Linked: m.Linked, Partitions: small(m.Partitions),
	}
}

func parseMember(p **pb.Member) kindred.Member {
	m := *p
	return kindred.Member{
		Name: m.GetName(), Zone: m.GetZone(), Capacity: m.GetCapacity(), State: kindred.MemberState(m.GetState()),
		ClientAddr: m.GetClientAddr(), PeerAddr: m.GetPeerAddr(),
		GossipAddr: m.GetGossipAddr(), HTTPAddr: m.GetHttpAddr(),
		Linked: m.GetLinked(), Partitions: int(m.GetPartitions()),
	}
}

func formatLocal(l *kindred.Local) *pb.Local {
	return &pb.Local{
		Node: text(&l.Node), Version: text(&l.Version), StartedUnixMs: formatTime(l.Started),
		Ready: l.Ready, Reason: text(&l.Reason), Partitions: small(l.Partitions), Shards: small(l.Shards),
		DiskBytes: l.DiskBytes, DiskFreeBytes: l.DiskFreeBytes, Replication: formatReplication(l.Replication),
	}
}

func parseLocal(l *pb.Local) kindred.Local {
	return kindred.Local{
		Node: l.GetNode(), Version: l.GetVersion(), Started: parseTime(l.GetStartedUnixMs()),
		Ready: l.GetReady(), Reason: l.GetReason(), Partitions: int(l.GetPartitions()), Shards: int(l.GetShards()),
		DiskBytes: l.GetDiskBytes(), DiskFreeBytes: l.GetDiskFreeBytes(), Replication: parseReplication(l.GetReplication()),
	}
}
