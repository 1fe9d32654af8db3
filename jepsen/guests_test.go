package jepsen_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// TestGuestsStandIn: five real processes, R=W=2 of n=3. Two of them are killed, and
// come back; then the five are cut into two and three, and healed. Those who use the
// client library do not notice: no operation fails, and nothing is lost.
func TestGuestsStandIn(t *testing.T) {
	cluster, _, _ := startNodes(t, 5)
	pause := func(d time.Duration) { <-time.After(d) }
	storm(t, 5, jepsen.Plan{
		Cluster: cluster, Workloads: []workload.Kind{workload.Set, workload.Register}, Keys: 24, Pause: 5 * time.Millisecond,
		Script: func(ctx context.Context, e jepsen.Events) (err error) {
			pause(time.Second)
			back := e.Begin("kill", "n4 and n5 killed")
			for _, n := range []string{"4", "5"} {
				err = errors.Join(err, cluster.Kill(ctx, n))
				pause(time.Second) // what the next one alone has acknowledged is synced elsewhere
			}
			pause(2 * time.Second)
			for _, n := range []string{"4", "5"} {
				err = errors.Join(err, cluster.Restart(ctx, n, local.RestartOptions{}))
			}
			back()
			pause(time.Second)
			_, cut := cluster.Cut(ctx, local.Sides{Left: []string{"1", "2"}, Right: []string{"3", "4", "5"}}, false)
			healed := e.Begin("cut", "n1,n2 | n3,n4,n5")
			pause(noticedMax)
			err = errors.Join(err, cut, cluster.Heal(ctx))
			healed()
			pause(2 * time.Second)
			return err
		},
	})
}
