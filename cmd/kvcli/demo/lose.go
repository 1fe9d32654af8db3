package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kindredkv/kindred/local"
)

const (
	victim   = "n2"
	downtime = 2 * time.Second
)

// lose takes a node and its disk away under load. No operation may fail, and the
// node must hold its whole share again.
func (d *demo) lose(ctx context.Context) error {
	shop := openShop(ctx, "shop", d.client)
	shop.readFrom(time.Now())
	err := d.wipeAndRestart(ctx)
	if err = errors.Join(err, shop.close()); err != nil {
		return err
	}
	d.quiet = time.Now()
	d.expected = append(d.expected, shop.acknowledged...)
	d.say("%s writes and %s reads meanwhile, every write acknowledged, every read right: no failure; the slowest took %s",
		count(len(shop.acknowledged)), count(shop.reads), shop.slowest.Round(time.Millisecond))
	return nil
}

func (d *demo) wipeAndRestart(ctx context.Context) error {
	if err := pause(ctx, steady); err != nil {
		return err
	}
	n, err := d.cluster.Node(victim)
	if err != nil {
		return err
	}
	if err := d.cluster.Kill(ctx, victim); err != nil {
		return err
	}
	if err := d.cluster.Wipe(ctx, victim); err != nil {
		return err
	}
	d.timeline.mark("%s is killed and its disk wiped", victim)
	d.say("killed %s (process %d) and wiped its disk", victim, n.PID)
	if err := pause(ctx, downtime); err != nil {
		return err
	}
	begin := time.Now()
	if err := d.cluster.Restart(ctx, victim, local.RestartOptions{}); err != nil {
		return err
	}
	took := short(time.Since(begin))
	s, err := d.stateOf(ctx, victim)
	if err != nil {
		return err
	}
	copied := s.repairs.RebuildKeys + s.repairs.PiecesReceived
	if s.Trusted != s.Replicas || copied == 0 {
		return fmt.Errorf("%s is ready, and %d of its %d replicas count toward reads after %d objects were copied", victim, s.Trusted, s.Replicas, copied)
	}
	d.timeline.mark("%s is rebuilt, %s after its start", victim, took)
	d.say("%s, started empty, is rebuilt %s after its start: %s objects copied into %d replicas, which count toward reads again", victim, took, count(int(copied)), s.Replicas)
	return pause(ctx, steady)
}
