package server

import (
	"net/http"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

type clusterDoc struct {
	Node          string          `json:"node"`
	ClusterID     string          `json:"cluster_id"`
	Layout        []byte          `json:"layout"`
	LayoutVersion string          `json:"layout_version"`
	Partitions    int             `json:"partitions"`
	Replicas      int             `json:"replicas"`
	Members       []api.MemberDoc `json:"members"`
	Problems      []string        `json:"problems"`
}

type localDoc struct {
	Node          string `json:"node"`
	Version       string `json:"version"`
	Started       string `json:"started"`
	Ready         bool   `json:"ready"`
	Reason        string `json:"reason"`
	Partitions    int    `json:"partitions"`
	Shards        int    `json:"shards"`
	DiskBytes     uint64 `json:"disk_bytes"`
	DiskFreeBytes uint64 `json:"disk_free_bytes"`

	Replication api.ReplicationDoc `json:"replication"`
}

type replicasDoc struct {
	Node     string           `json:"node"`
	Unknown  string           `json:"unknown"`
	Replicas []api.ReplicaDoc `json:"replicas"`
}

// clusterOf never has a null: lists are empty instead.
func clusterOf(c kindred.Cluster) *clusterDoc {
	doc := &clusterDoc{
		Node: c.Node, ClusterID: c.ClusterID, Layout: append([]byte{}, c.Layout...), LayoutVersion: c.LayoutVersion,
		Partitions: c.Partitions, Replicas: c.Replicas,
		Members: make([]api.MemberDoc, len(c.Members)), Problems: append([]string{}, c.Problems...),
	}
	for i, m := range c.Members {
		doc.Members[i] = api.NewMemberDoc(&m)
	}
	return doc
}

func localOf(l kindred.Local) *localDoc {
	return &localDoc{
		Node: l.Node, Version: l.Version, Started: rfc3339(l.Started), Ready: l.Ready, Reason: l.Reason,
		Partitions: l.Partitions, Shards: l.Shards, DiskBytes: l.DiskBytes, DiskFreeBytes: l.DiskFreeBytes,
		Replication: api.NewReplicationDoc(l.Replication),
	}
}

func replicasOf(l kindred.Local) *replicasDoc {
	doc := &replicasDoc{Node: l.Node, Unknown: l.Replication.Unknown, Replicas: []api.ReplicaDoc{}}
	for i := range l.Replication.Replicas {
		doc.Replicas = append(doc.Replicas, api.NewReplicaDoc(&l.Replication.Replicas[i]))
	}
	return doc
}

type readyDoc struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason"`
}

func (d *httpDoor) readyz(w http.ResponseWriter, _ *http.Request, _ target) {
	d.allowTime(w)
	l := d.local()
	status := http.StatusOK
	if !l.Ready {
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", retryAfter)
	}
	writeJSON(w, status, readyDoc{l.Ready, l.Reason})
}
