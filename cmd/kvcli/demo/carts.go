package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

const (
	carts = "carts"
	// cartsPerKind of every kind of dispute are changed on both sides.
	cartsPerKind = 100
)

// change is what one side does to a cart: it puts in one more thing, or deletes
// the cart if there is none.
type change struct {
	adds string
	// seen is what the side had read of the cart before the cut.
	seen client.Context
}

// after is the value that a change leaves on its own side, if any.
func (c *change) after() [][]byte {
	if c.adds == "" {
		return nil
	}
	return [][]byte{goods("milk", c.adds)}
}

// cart is a key that both sides change, having seen the same.
type cart struct {
	key         string
	left, right change
	// merged is the value that is left after all.
	merged []byte
}

// newCarts are carts of every kind: both sides add, one adds and one deletes, both
// delete.
func newCarts() []*cart {
	var all []*cart
	for i := range cartsPerKind {
		for _, k := range []struct{ owner, left, right string }{
			{"alice", "bread", "eggs"}, {"bob", "bread", ""}, {"carol", "", "eggs"}, {"dave", "", ""},
		} {
			key := k.owner
			if i > 0 {
				key = fmt.Sprintf("%s-%d", k.owner, i)
			}
			all = append(all, &cart{key: key, left: change{adds: k.left}, right: change{adds: k.right}})
		}
	}
	return all
}

// values are what has to be there once each side has heard the other: what one
// adds stays, whatever the other deletes, because that had not seen it.
func (c *cart) values() [][]byte { return append(c.left.after(), c.right.after()...) }

func leftOf(c *cart) *change  { return &c.left }
func rightOf(c *cart) *change { return &c.right }

// fill stores every cart, and lets both sides read it.
func (d *demo) fill(ctx context.Context) error {
	d.carts = newCarts()
	milk := goods("milk")
	return each(ctx, d.carts, func(c *cart) error {
		if _, err := d.client.Bucket(carts).Put(ctx, c.key, milk); err != nil {
			return err
		}
		return errors.Join(d.left.look(ctx, c, leftOf(c), milk), d.right.look(ctx, c, rightOf(c), milk))
	})
}

// look reads a cart on one side and keeps the context.
func (s *side) look(ctx context.Context, c *cart, ch *change, want ...[]byte) error {
	obj, err := s.client.Bucket(carts).Get(ctx, c.key)
	if err != nil {
		return err
	}
	ch.seen = obj.Context
	return haveExactly(c.key, obj.Siblings, want...)
}

// change changes every cart on this side, and reads there what it did.
func (s *side) change(ctx context.Context, all []*cart, of func(*cart) *change) error {
	bucket := s.client.Bucket(carts)
	return each(ctx, all, func(c *cart) (err error) {
		ch := of(c)
		if value := ch.after(); value == nil {
			_, err = bucket.Delete(ctx, c.key, client.Seen(ch.seen))
		} else {
			_, err = bucket.Put(ctx, c.key, value[0], client.Seen(ch.seen))
		}
		if err != nil {
			return err
		}
		return s.look(ctx, c, ch, ch.after()...)
	})
}

// merge writes the union of what is there in place of it, and returns it.
func (d *demo) merge(ctx context.Context, c *cart) ([]byte, error) {
	var merged []byte
	_, err := d.client.Bucket(carts).Update(ctx, c.key, func(siblings [][]byte) ([]byte, error) {
		var union []string
		for _, value := range siblings {
			var things []string
			if err := json.Unmarshal(value, &things); err != nil {
				return nil, err
			}
			union = append(union, things...)
		}
		slices.Sort(union)
		merged = goods(slices.Compact(union)...)
		return merged, nil
	})
	if err != nil {
		return nil, err
	}
	after, err := d.client.Bucket(carts).Get(ctx, c.key)
	if err != nil {
		return nil, err
	}
	return merged, haveExactly(c.key, after.Siblings, merged)
}

func goods(things ...string) []byte {
	b, err := json.Marshal(things)
	if err != nil {
		panic(err) // strings always marshal
	}
	return b
}

// haveExactly compares values as a set.
func haveExactly(key string, siblings []kindred.Sibling, want ...[]byte) error {
	values := make([][]byte, len(siblings))
	for i, s := range siblings {
		values[i] = s.Value
	}
	got := texts(values)
	if !slices.Equal(got, texts(want)) {
		return fmt.Errorf("%s/%s has the values %q, want %q", carts, key, got, texts(want))
	}
	return nil
}

func texts(values [][]byte) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	slices.Sort(out)
	return out
}

// hands is how many do something at once.
const hands = 16

// each does something for all, many at once, and returns the first error.
func each[T any](ctx context.Context, all []T, do func(T) error) error {
	work := make(chan T)
	errs := make(chan error, hands)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range hands {
		wg.Go(func() {
			for it := range work {
				if err := do(it); err != nil {
					errs <- err
					cancel()
					return
				}
			}
		})
	}
	for _, it := range all {
		select {
		case work <- it:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}
