package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// C15: five nodes, cut into two and three, so that some key has no home on one side.
// Every operation of every client is taken on either side, with R=W=2 of n=3;
// afterwards nothing is owed and all agree.
func TestACutRefusesNobody(t *testing.T) {
	var hits Hits
	for seed := range uint64(8) {
		cfg := Draw(seed + 1)
		cfg.Nodes, cfg.Replicas, cfg.Storm = 5, 3, 8*time.Second
		cfg.R, cfg.W, cfg.PR, cfg.PW, cfg.Mixed, cfg.Strict = 2, 2, 0, 0, false, 0
		cfg.ValueBytesMax = 0
		cfg.Fault, cfg.Loss, cfg.Disk.Stall, cfg.Net.Loss, cfg.Net.Tail = Faults{}, Losses{}, 0, 0, 0
		cfg.Net.Notice, cfg.Net.Unnoticed = 0, 0
		cfg.Foreign, cfg.Flood, cfg.Retry, cfg.Timeout = 0, 0, 0, 2*time.Second
		cfg.Limits = Draw(1).Limits
		cfg.Limits.Operations, cfg.Limits.Steps, cfg.Limits.Hints, cfg.Limits.Pages = 1000, 1000, 1000, 100
		r := newRun(seed, cfg, Options{Events: 60})
		homes := r.homes("key-0") // on one side, the two others on the other
		r.agenda.after(time.Second, func() {
			c := cut{}
			for i := range 5 {
				for j := range 5 {
					c[[2]int{i, j}] = slices.Contains(homes, r.nodes[i].name) != slices.Contains(homes, r.nodes[j].name)
				}
			}
			r.cuts = append(r.cuts, c)
			r.linksChanged()
		})
		cutAt := 1500 * time.Millisecond // what was on its way when the links broke may fail
		r.storm()
		r.quiet()
		require.Nil(t, r.oracle.finding, "seed %d", seed)
		taken := 0
		for _, op := range r.history.Ops {
			if op.Invoke < cutAt || op.Invoke > cfg.Storm-cfg.Timeout {
				continue
			}
			require.Equal(t, kindred.Applied, op.Outcome, "seed %d: %v", seed, op)
			taken++
		}
		require.Greater(t, taken, 100)
		hits = hits.Plus(r.hits)
	}
	require.Positive(t, hits[SloppyAcknowledged])
	require.Positive(t, hits[GuestMinted], "some key has all its homes on the other side")
}
