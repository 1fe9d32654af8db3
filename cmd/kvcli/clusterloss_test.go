package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// TestTheAccountOfALossIsWhatOthersHaveHeardOf: per partition, how many events, and since
// when nothing more is known; who cannot be asked is named, and so is who would be unsure.
func TestTheAccountOfALossIsWhatOthersHaveHeardOf(t *testing.T) {
	layout, err := ring.New([16]byte{1}, 2, 3, []ring.Node{{Name: "n1", Capacity: 1}, {Name: "n2", Capacity: 1}, {Name: "n3", Capacity: 1}})
	require.NoError(t, err)
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	node := func(name string, replicas ...kindred.ReplicaStatus) nodeView {
		return nodeView{Name: name, Local: kindred.Local{Ready: true, Replication: &kindred.Replication{Replicas: replicas}}}
	}
	s := &survey{Nodes: []nodeView{
		node("n1", kindred.ReplicaStatus{Partition: 0, Trusted: true, Lag: 4, Heard: noon}, kindred.ReplicaStatus{Partition: 1, Trusted: true, Heard: noon.Add(-time.Minute)}),
		node("n2", kindred.ReplicaStatus{Partition: 0, Lag: 3, Waits: []string{"n3"}, Heard: noon.Add(time.Second)}, kindred.ReplicaStatus{Partition: 1, Trusted: true, Heard: noon}),
		{Name: "n3", Err: errors.New("it is dead")},
	}}
	all := accountOf(s, layout, []string{"n3"})
	require.Equal(t, []lostDoc{{
		Node: "n3", Events: 4, Homes: 2, Heard: "2026-11-20T12:00:00Z", Unsure: []string{"n2"}, Unknown: []string{},
		Partitions: []lostPartitionDoc{{Partition: 0, Events: 4, Heard: "2026-11-20T12:00:01Z"}},
	}}, all)
	text := strings.Join(all[0].lines(), "\n")
	require.Contains(t, text, "heard of 4 write events of n3 that they lack (1 partition: partition 0; most, 4, in partition 0)")
	require.Contains(t, text, "Since 2026-11-20T12:00:00Z nothing is known of what n3 took alone")
	require.Contains(t, text, "n2 may have lost writes too")

	s.Nodes[1].Err = errors.New("it is slow")
	s.Nodes[0].Local.Replication.Replicas[0].Heard = time.Time{}
	one := accountOf(s, layout, []string{"n3"})[0]
	require.Equal(t, []string{"n2"}, one.Unknown)
	require.Empty(t, one.Heard, "it was not heard of there since n1 was started")
	require.Contains(t, strings.Join(one.lines(), "\n"), "n2 cannot be asked, so there may be more")
}
