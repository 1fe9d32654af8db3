package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/kindredkv/kindred/client"
)

const (
	carts = "carts"
	alice = "alice"
)

// carts lets two clients change what both have read. Neither change is lost,
// and a merge that has seen both replaces both.
func (d *demo) carts(ctx context.Context) error {
	phone, laptop, err := d.twoClients(ctx)
	if err != nil {
		return err
	}
	defer phone.Close()
	defer laptop.Close()
	if _, err := phone.Bucket(carts).Put(ctx, alice, cart("milk")); err != nil {
		return err
	}
	if err := changeTogether(ctx, phone, laptop); err != nil {
		return err
	}
	obj, err := d.client.Bucket(carts).Get(ctx, alice)
	if err != nil {
		return err
	}
	if err := haveExactly(obj, cart("milk", "bread"), cart("milk", "eggs")); err != nil {
		return err
	}
	d.say("both wrote, having seen the same cart; a read shows both, and where they come from:")
	for _, s := range obj.Siblings {
		d.say("  %s  written through %s at %s, dot %s", s.Value, s.Node, s.WrittenAt.UTC().Format("15:04:05.000"), s.Dot)
	}
	return d.merge(ctx, obj)
}

// twoClients dials through different nodes.
func (d *demo) twoClients(ctx context.Context) (*client.Client, *client.Client, error) {
	s, err := d.cluster.Status()
	if err != nil {
		return nil, nil, err
	}
	phone, err := client.Dial(ctx, []string{s.Nodes[0].Client})
	if err != nil {
		return nil, nil, err
	}
	laptop, err := client.Dial(ctx, []string{s.Nodes[1].Client})
	if err != nil {
		phone.Close()
		return nil, nil, err
	}
	return phone, laptop, nil
}

// changeTogether lets both read before either writes.
func changeTogether(ctx context.Context, phone, laptop *client.Client) error {
	seenByPhone, err := phone.Bucket(carts).Get(ctx, alice)
	if err != nil {
		return err
	}
	seenByLaptop, err := laptop.Bucket(carts).Get(ctx, alice)
	if err != nil {
		return err
	}
	for _, seen := range []*client.Object{seenByPhone, seenByLaptop} {
		if err := haveExactly(seen, cart("milk")); err != nil {
			return err
		}
	}
	if _, err := phone.Bucket(carts).Put(ctx, alice, cart("milk", "bread"), client.Seen(seenByPhone.Context)); err != nil {
		return err
	}
	_, err = laptop.Bucket(carts).Put(ctx, alice, cart("milk", "eggs"), client.Seen(seenByLaptop.Context))
	return err
}

// merge writes the union in place of what was read; every node must show it
// alone in the next chapters.
func (d *demo) merge(ctx context.Context, obj *client.Object) error {
	var union []string
	for _, value := range obj.Values() {
		var goods []string
		if err := json.Unmarshal(value, &goods); err != nil {
			return err
		}
		union = append(union, goods...)
	}
	slices.Sort(union)
	merged := cart(slices.Compact(union)...)
	if _, err := d.client.Bucket(carts).Put(ctx, alice, merged, client.Seen(obj.Context)); err != nil {
		return err
	}
	after, err := d.client.Bucket(carts).Get(ctx, alice)
	if err != nil {
		return err
	}
	if err := haveExactly(after, merged); err != nil {
		return err
	}
	d.expected = append(d.expected, item{carts, alice, string(merged)})
	d.say("merged with the context of that read, one value is left: %s", merged)
	return nil
}

func cart(goods ...string) []byte {
	b, err := json.Marshal(goods)
	if err != nil {
		panic(err) // strings always marshal
	}
	return b
}

// haveExactly compares values as a set.
func haveExactly(obj *client.Object, want ...[]byte) error {
	got := texts(obj.Values())
	if !slices.Equal(got, texts(want)) {
		return fmt.Errorf("%s/%s has the values %q, want %q", carts, alice, got, texts(want))
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
