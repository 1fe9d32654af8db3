package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/local"
)

const (
	newcomers = 3
	// taker takes the orders: it stays throughout.
	taker = "n2"
	// joinMax is how long newcomers may take to be seen, leaveMax how long leavers may
	// take to deliver what they keep for others.
	joinMax  = 30 * time.Second
	leaveMax = 30 * time.Second
)

// leavers are one of the first nodes and one of the newcomers; every zone keeps a node.
var leavers = []string{"n1", "n5"}

// becomeSix starts newcomers beside the three nodes and gives them their share, while
// clients write and read.
func (d *demo) becomeSix(ctx context.Context) error {
	d.shop = openShop(ctx, "shop", d.client)
	d.shop.readFrom(time.Now())
	w, err := d.newWatch(ctx)
	if err != nil {
		return err
	}
	if err := w.during(ctx, 2*steady); err != nil {
		return err
	}
	added, err := d.cluster.Add(ctx, newcomers, local.AddOptions{})
	if err != nil {
		return err
	}
	var names []string
	for _, n := range added {
		names = append(names, n.Name)
	}
	w.tell("%s are started; they own nothing yet", strings.Join(names, ", "))
	return w.change(ctx, func(ctx context.Context) ([]kindred.NodeChange, error) { return d.joins(ctx, names) })
}

// joins makes newcomers owners once they are seen.
func (d *demo) joins(ctx context.Context, names []string) (changes []kindred.NodeChange, err error) {
	err = await(ctx, joinMax, func(ctx context.Context) (problem string, err error) {
		info, _, err := d.client.Describe(ctx, taker)
		changes = nil
		for _, m := range info.Members {
			if slices.Contains(names, m.Name) && m.State == kindred.Alive && m.Linked {
				changes = append(changes, kindred.NodeChange{Node: m.Name, Intent: kindred.IntentOwn, Zone: m.Zone, Capacity: m.Capacity})
			}
		}
		if len(changes) < len(names) {
			problem = fmt.Sprintf("%s sees %d of %d newcomers", taker, len(changes), len(names))
		}
		return problem, err
	})
	return changes, err
}

// becomeFour lets nodes leave, and stops them when they owe nothing.
func (d *demo) becomeFour(ctx context.Context) error {
	w, err := d.newWatch(ctx)
	if err != nil {
		return err
	}
	err = w.change(ctx, func(context.Context) (changes []kindred.NodeChange, err error) {
		for _, name := range leavers {
			changes = append(changes, kindred.NodeChange{Node: name, Intent: kindred.IntentLeave})
		}
		return changes, nil
	})
	if err != nil {
		return err
	}
	if err := await(ctx, leaveMax, d.leaversOwe); err != nil {
		return err
	}
	for _, name := range leavers {
		if _, err := d.cluster.Remove(ctx, name, local.RemoveOptions{Grace: grace}); err != nil {
			return err
		}
	}
	d.say("%s are stopped", strings.Join(leavers, " and "))
	d.timeline.mark("%s are stopped", strings.Join(leavers, " and "))
	if w, err = d.newWatch(ctx); err != nil {
		return err
	}
	if err := w.during(ctx, 2*steady); err != nil {
		return err
	}
	w.end()
	return nil
}

// leaversOwe says which of them still keeps hints for others.
func (d *demo) leaversOwe(ctx context.Context) (string, error) {
	for _, name := range leavers {
		_, self, err := d.client.Describe(ctx, name)
		switch r := self.Replication; {
		case err != nil:
			return "", err
		case r == nil || r.Unknown != "":
			return name + " does not say what it keeps", nil
		case r.Hints.Hints > 0:
			return fmt.Sprintf("%s keeps %d hints", name, r.Hints.Hints), nil
		}
	}
	return "", nil
}

// change stages, plans and commits what is wanted, and watches until it is settled.
func (w *watch) change(ctx context.Context, wanted func(context.Context) ([]kindred.NodeChange, error)) error {
	changes, err := wanted(ctx)
	if err != nil {
		return err
	}
	if _, err := w.client.Stage(ctx, taker, changes...); err != nil {
		return err
	}
	plan, err := w.client.Plan(ctx, taker)
	if err != nil {
		return err
	}
	w.plan = &plan
	w.tell("staged: %s; %d copies of partitions are to be sent, about %s", intentions(changes), plan.Copies, term.Bytes(plan.Bytes))
	if err := w.during(ctx, 2*steady); err != nil {
		return err
	}
	w.committed = time.Now()
	if _, err := w.client.Commit(ctx, taker, plan.Version, false); err != nil {
		return err
	}
	w.version = plan.Version
	w.tell("committed layout %s", plan.Version)
	if err := w.until(ctx, func(p *picture) bool { return p.step == steps[len(steps)-1] }); err != nil {
		return err
	}
	took := short(time.Since(w.committed))
	w.end()
	w.say("settled %s after the commit: every node works by the new layout alone", took)
	w.timeline.mark("%s, settled %s after the commit", intentions(changes), took)
	return nil
}

func intentions(changes []kindred.NodeChange) string {
	var names []string
	for _, c := range changes {
		names = append(names, c.Node)
	}
	if changes[0].Intent == kindred.IntentLeave {
		return strings.Join(names, ", ") + " leave"
	}
	return strings.Join(names, ", ") + " join"
}

// end leaves the last picture where it is.
func (w *watch) end() {
	if w.screen != nil {
		w.screen.Wipe()
	}
	for _, l := range w.now.lines(pageWidth, w.Style) {
		fmt.Fprintln(w.Out, l)
	}
}

// pageWidth is how wide the pictures are that stay.
const pageWidth = 80

// lookForAll ends the load and reads back everything that was acknowledged.
func (d *demo) lookForAll(ctx context.Context) error {
	shop := d.shop
	d.shop = nil
	if err := shop.close(); err != nil {
		return err
	}
	d.expected = append(d.expected, shop.acknowledged...)
	d.say("%s writes and %s reads while owners changed twice, 0 failed; the slowest took %s",
		count(len(shop.acknowledged)), count(shop.reads), shop.slowest.Round(time.Millisecond))
	if err := d.readBack(ctx); err != nil {
		return err
	}
	d.timeline.mark("0 of %s acknowledged writes are lost, 0 of %s operations failed", count(len(d.expected)), count(len(shop.acknowledged)+shop.reads))
	return nil
}
