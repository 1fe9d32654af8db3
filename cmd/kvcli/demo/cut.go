package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

const (
	// leftNodes of the nodes are on the left side of the cut.
	leftNodes = 2
	// Both sides work for steady before the cut, and after all nodes noticed it.
	steady = time.Second
	// noticeMax is how long all nodes may take to find out, which needs a link to
	// be silent for 8 s.
	noticeMax = 30 * time.Second
	// deliverMax is how long guests may take to deliver all hints.
	deliverMax = 60 * time.Second
)

// cut divides the nodes and the clients in two. No write may be refused on either
// side, and each side reads what it wrote.
func (d *demo) cut(ctx context.Context) error {
	s, err := d.cluster.Status()
	if err != nil {
		return err
	}
	if d.left, err = newSide(ctx, s.Nodes[:leftNodes]); err != nil {
		return err
	}
	if d.right, err = newSide(ctx, s.Nodes[leftNodes:]); err != nil {
		return err
	}
	if err := d.fill(ctx); err != nil {
		return err
	}
	d.say("%s carts stored and read on both sides", count(len(d.carts)))
	d.left.shop, d.right.shop = openShop(ctx, "left", d.left.client), openShop(ctx, "right", d.right.client)
	err = d.workApart(ctx)
	if err = errors.Join(err, d.left.shop.close(), d.right.shop.close()); err != nil {
		return err
	}
	for _, side := range []*side{d.left, d.right} {
		d.expected = append(d.expected, side.shop.acknowledged...)
		d.say("%-8s  %s writes and %s reads, 0 refused, and %s carts changed; the slowest took %s", side, count(len(side.shop.acknowledged)),
			count(side.shop.reads), count(len(d.carts)), side.shop.slowest.Round(time.Millisecond))
	}
	d.timeline.mark("0 writes refused on either side: %s on %s, %s on %s",
		count(len(d.left.shop.acknowledged)+len(d.carts)), d.left, count(len(d.right.shop.acknowledged)+len(d.carts)), d.right)
	return nil
}

// workApart is what happens while the shops are open.
func (d *demo) workApart(ctx context.Context) error {
	if err := pause(ctx, steady); err != nil {
		return err
	}
	if _, err := d.cluster.Cut(ctx, local.Sides{Left: d.left.names(), Right: d.right.names()}, false); err != nil {
		return err
	}
	begin := time.Now()
	d.timeline.mark("the network is cut: %s | %s", d.left, d.right)
	d.say("cut: %s | %s; the clients of a side reach its nodes only", d.left, d.right)
	d.left.shop.readFrom(begin)
	d.right.shop.readFrom(begin)
	if err := await(ctx, noticeMax, d.notNoticed); err != nil {
		return err
	}
	d.timeline.mark("all %d nodes have noticed, %s after the cut", d.nodes, short(time.Since(begin)))
	d.say("all %d nodes have noticed after %s", d.nodes, short(time.Since(begin)))
	if err := d.left.change(ctx, d.carts, leftOf); err != nil {
		return fmt.Errorf("on %s: %w", d.left, err)
	}
	if err := d.right.change(ctx, d.carts, rightOf); err != nil {
		return fmt.Errorf("on %s: %w", d.right, err)
	}
	return pause(ctx, steady)
}

// notNoticed describes a node that is mistaken about whom it reaches.
func (d *demo) notNoticed(ctx context.Context) (string, error) {
	for _, s := range []*side{d.left, d.right} {
		for _, name := range s.names() {
			cluster, _, err := d.client.Describe(ctx, name)
			if err != nil {
				return "", err
			}
			for _, m := range cluster.Members {
				if m.Name != name && m.Linked != s.has(m.Name) {
					return fmt.Sprintf("%s takes its link to %s for up=%v", name, m.Name, m.Linked), nil
				}
			}
		}
	}
	return "", nil
}

// heal ends the cut. Then every hint must be delivered, and every home replica of
// every key become equal, by themselves.
func (d *demo) heal(ctx context.Context) error {
	changed := slices.Concat(d.left.shop.acknowledged, d.right.shop.acknowledged)
	for _, c := range d.carts {
		changed = append(changed, item{bucket: carts, key: c.key})
	}
	owed, err := d.hints(ctx)
	if err != nil {
		return err
	}
	if owed == 0 {
		return errors.New("nobody holds a hint at the end of the cut, so no guest has helped, which shows nothing")
	}
	if err := d.cluster.Heal(ctx); err != nil {
		return err
	}
	begin := time.Now()
	d.timeline.mark("the cut has ended")
	delivered := make(chan error, 1)
	var at time.Time
	go func() {
		err := await(ctx, deliverMax, d.owing)
		at = time.Now()
		delivered <- err
	}()
	err = d.awaitEqual(ctx, changed)
	equal := time.Now()
	if err = errors.Join(err, <-delivered); err != nil {
		return err
	}
	d.say("%s hints, kept by guests for homes on the other side: delivered %s after its end", count(owed), short(at.Sub(begin)))
	d.say("%s keys were changed meanwhile: all home replicas of each hold the same %s after its end", count(len(changed)), short(equal.Sub(begin)))
	d.timeline.markAt(at, "all hints are delivered, %s after the end of the cut", short(at.Sub(begin)))
	d.timeline.markAt(equal, "all replicas are equal, %s after the end of the cut", short(equal.Sub(begin)))
	return nil
}

// owing says how much guests still keep.
func (d *demo) owing(ctx context.Context) (string, error) {
	left, err := d.hints(ctx)
	if err != nil || left == 0 {
		return "", err
	}
	return fmt.Sprintf("%d hints are not delivered", left), nil
}

// agree looks at every cart through every node, and merges what has siblings.
func (d *demo) agree(ctx context.Context) error {
	if err := each(ctx, d.carts, func(c *cart) error { return d.shownAlike(ctx, c) }); err != nil {
		return err
	}
	kinds := map[int]int{}
	for _, c := range d.carts {
		kinds[len(c.values())]++
	}
	d.say("each of %s carts read through each of %d nodes:", count(len(d.carts)), d.nodes)
	d.say("  %4d put on both sides: two siblings; the same two everywhere", kinds[2])
	d.say("  %4d put on one side, deleted on the other: the put, which the delete had not seen", kinds[1])
	d.say("  %4d deleted on both sides: gone", kinds[0])
	if err := d.provenance(ctx, d.carts[0]); err != nil {
		return err
	}
	if err := each(ctx, d.carts, func(c *cart) error { return d.conclude(ctx, c) }); err != nil {
		return err
	}
	for _, c := range d.carts {
		want := item{bucket: carts, key: c.key, gone: len(c.values()) == 0}
		if !want.gone {
			want.value = string(c.merged)
		}
		d.expected = append(d.expected, want)
	}
	d.say("merged with the context of a read, %s/%s is %s; so are the other %d carts with siblings", carts, d.carts[0].key, d.carts[0].merged, kinds[2]-1)
	d.timeline.mark("%d carts with siblings are merged", kinds[2])
	return nil
}

// shownAlike reads a cart through every node: all show what both sides made of it,
// with the same dots.
func (d *demo) shownAlike(ctx context.Context, c *cart) error {
	var first []string
	for _, door := range d.doors {
		obj, err := door.client.Bucket(carts).Get(ctx, c.key, client.R(2))
		if err == nil {
			err = haveExactly(c.key, obj.Siblings, c.values()...)
		}
		if err != nil {
			return fmt.Errorf("through %s: %w", door, err)
		}
		dots := make([]string, len(obj.Siblings))
		for i, s := range obj.Siblings {
			dots[i] = s.Dot
		}
		if first == nil {
			first = dots
		}
		if !slices.Equal(first, dots) {
			return fmt.Errorf("%s/%s has the dots %q through %s and %q through %s", carts, c.key, first, d.doors[0], dots, door)
		}
	}
	return nil
}

// provenance shows where the siblings of a cart are from. Each must be of its side.
func (d *demo) provenance(ctx context.Context, c *cart) error {
	obj, err := d.client.Bucket(carts).Get(ctx, c.key)
	if err != nil {
		return err
	}
	d.say("%s/%s, through whichever node:", carts, c.key)
	for _, s := range obj.Siblings {
		if on := d.left.has(s.Node); on == strings.Contains(string(s.Value), c.right.adds) {
			return fmt.Errorf("%s/%s: %s was written through %s, which is on the other side", carts, c.key, s.Value, s.Node)
		}
		d.say("  %s  written through %s at %s (%s), dot %s", s.Value, s.Node, s.WrittenAt.UTC().Format("15:04:05.000"), s.Causes, s.Dot)
	}
	return nil
}

// conclude merges a cart that has siblings, and leaves one that has one value or
// none.
func (d *demo) conclude(ctx context.Context, c *cart) (err error) {
	switch values := c.values(); len(values) {
	case 0:
	case 1:
		c.merged = values[0]
	default:
		c.merged, err = d.merge(ctx, c)
	}
	return err
}
