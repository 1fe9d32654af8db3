package sim

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// I9: homes have the longer to become equal the more one of them lacks and the slower it
// pulls, and no longer than that.
func TestI9CountsThePaceOfPulls(t *testing.T) {
	cfg := Draw(1)
	cfg.Nodes, cfg.Replicas, cfg.Shards, cfg.Partitions, cfg.Zones = 3, 3, 2, 4, 3
	cfg.Limits.PullPace.ItemsPerSecond = 20
	r := newRun(1, cfg, Options{})
	lacks := func(partition uint32, dots uint64) {
		id := replica.ID{Partition: partition, N: 3}
		holder := r.byName[r.layout.Homes(ring.Partition(partition), 3)[0]]
		r.oracle.shadow(holder, id).clock.AddSpan(vclock.Actor{Disk: 7}, vclock.Span{Lo: 1, Hi: dots})
	}
	require.Zero(t, r.pulling())
	lacks(0, 40)
	require.Equal(t, 2*time.Second, r.pulling())
	lacks(1, 30)
	require.Equal(t, 2*time.Second, r.pulling(), "another shard pulls at a pace of its own")
	lacks(2, 60)
	require.Equal(t, 5*time.Second, r.pulling())

	for at := range 100 { // or no time would go by
		r.agenda.after(time.Duration(at)*time.Second, func() {})
	}
	r.converge()
	require.NotNil(t, r.oracle.finding, "nobody pulls")
	require.Equal(t, "I9", r.oracle.finding.Rule)
	require.InDelta(t, convergeWithin+5*time.Second, r.oracle.finding.At, float64(time.Second))
}
