package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// cart is a set of items. Its merge is the union, so it never loses one.
type cart map[string]bool

func readCart(values [][]byte) cart {
	c := cart{}
	for _, v := range values {
		for item := range strings.SplitSeq(string(v), "\n") {
			if item != "" {
				c[item] = true
			}
		}
	}
	return c
}

func (c cart) bytes() []byte {
	var items []string
	for item := range c {
		items = append(items, item)
	}
	slices.Sort(items)
	return []byte(strings.Join(items, "\n"))
}

func (c cart) String() string { return strings.ReplaceAll(string(c.bytes()), "\n", ", ") }

// adding is a merge that adds an item to whatever there is.
func adding(item string) func([][]byte) ([]byte, error) {
	return func(siblings [][]byte) ([]byte, error) {
		c := readCart(siblings)
		c[item] = true
		return c.bytes(), nil
	}
}

// A shopping cart that never loses an item: the phone and the laptop change it
// at the same time, neither knowing of the other, and the next update merges.
func Example() {
	cluster := startCluster(3) // stands for three running nodes
	defer cluster.stop()

	ctx := context.Background()
	c, err := client.Dial(ctx, cluster.addrs())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	carts := c.Bucket("carts")

	if _, err := carts.Update(ctx, "alice", adding("milk")); err != nil {
		fmt.Println(err)
		return
	}

	// The phone and the laptop both read the cart, then both write.
	seen, err := carts.Get(ctx, "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, item := range []string{"bread", "jam"} {
		changed, _ := adding(item)(seen.Values())
		if _, err := carts.Put(ctx, "alice", changed, client.Seen(seen.Context)); err != nil {
			fmt.Println(err)
			return
		}
	}

	// A reader who wants one value is told that there are two.
	both, err := carts.Get(ctx, "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = both.Value()
	fmt.Println(err)
	fmt.Println("in the cart:", readCart(both.Values()))

	// The next update leaves one value with everything in it.
	if _, err := carts.Update(ctx, "alice", adding("tea")); err != nil {
		fmt.Println(err)
		return
	}
	one, err := carts.Get(ctx, "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := one.Value()
	fmt.Println("in the cart:", readCart([][]byte{value}), err)

	// Output:
	// kindred: the key has 2 concurrent values: merge them and put the result with their context
	// in the cart: bread, jam, milk
	// in the cart: bread, jam, milk, tea <nil>
}

// What to do when a write fails depends on what is known of it.
func ExampleError() {
	cluster := startCluster(1)
	defer cluster.stop()
	cluster.nodes[0].refusal.Store(&kindred.Error{
		Code: kindred.CodeUnavailable, Message: "w=2, but 1 of 3 replicas can be reached", Outcome: kindred.NotApplied,
	})

	ctx := context.Background()
	c, err := client.Dial(ctx, cluster.addrs())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	_, err = c.Bucket("carts").Put(ctx, "alice", []byte("milk"), client.Timeout(50*time.Millisecond))
	var failed *client.Error
	if errors.As(err, &failed) && failed.Err.Outcome == kindred.Unknown {
		fmt.Println("read the key, or repeat with request id", failed.RequestID)
	}
	fmt.Println(kindred.OutcomeOf(err), kindred.HasCode(err, kindred.CodeUnavailable))

	// Output:
	// not_applied true
}

// Scan lists keys in partition order, which is no order of keys.
func ExampleBucket_Scan() {
	cluster := startCluster(3)
	defer cluster.stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, cluster.addrs())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	users := c.Bucket("users")
	for _, name := range []string{"ada", "alan", "barbara"} {
		if _, err := users.Put(ctx, name, nil); err != nil {
			fmt.Println(err)
			return
		}
	}
	for entry, err := range users.Scan(ctx, client.Prefix("a")) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(entry.Key)
	}

	// Unordered output:
	// ada
	// alan
}
