package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/security"
)

// connected is a client of three running nodes, and what ends all of it.
func connected() (*client.Client, func()) {
	cluster := startCluster(3)
	c, err := client.Dial(context.Background(), cluster.addrs())
	if err != nil {
		panic(err)
	}
	return c, func() { c.Close(); cluster.stop() }
}

// printValue reads a key and prints its one value, as ExampleBucket_Put does.
func printValue(b *client.Bucket, key string, opts ...client.CallOption) {
	obj, err := b.Get(context.Background(), key, opts...)
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := obj.Value()
	fmt.Println(string(value), err)
}

// Put, get and delete. A write that passes on what a read or an earlier write has
// seen replaces exactly that.
func ExampleBucket_Put() {
	c, done := connected()
	defer done()
	ctx := context.Background()
	users := c.Bucket("users")

	first, err := users.Put(ctx, "ada", []byte("Ada Byron"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := users.Put(ctx, "ada", []byte("Ada Lovelace"), client.Seen(first.Context)); err != nil {
		fmt.Println(err)
		return
	}
	obj, err := users.Get(ctx, "ada")
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := obj.Value()
	fmt.Println(string(value), err)

	if _, err := users.Delete(ctx, "ada", client.Seen(obj.Context)); err != nil {
		fmt.Println(err)
		return
	}
	obj, err = users.Get(ctx, "ada") // a key without a value is no error of the get
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = obj.Value()
	fmt.Println(errors.Is(err, client.ErrNotFound))

	// Output:
	// Ada Lovelace <nil>
	// true
}

// Update merges what was written concurrently. The merge gets every sibling, and
// what it returns takes their place.
func ExampleBucket_Update() {
	c, done := connected()
	defer done()
	ctx := context.Background()
	carts := c.Bucket("carts")
	for _, item := range []string{"milk", "bread"} { // two writers who have seen nothing
		if _, err := carts.Put(ctx, "alice", []byte(item)); err != nil {
			fmt.Println(err)
			return
		}
	}
	if _, err := carts.Update(ctx, "alice", adding("tea")); err != nil {
		fmt.Println(err)
		return
	}
	obj, err := carts.Get(ctx, "alice")
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := obj.Value()
	fmt.Println(readCart([][]byte{value}), err)

	// Output: bread, milk, tea <nil>
}

// Many operations at a time. It is no transaction: each has a result of its own.
func ExampleBucket_Batch() {
	c, done := connected()
	defer done()
	ctx := context.Background()
	users := c.Bucket("users")
	if _, err := users.Put(ctx, "ada", []byte("Ada")); err != nil {
		fmt.Println(err)
		return
	}
	results, err := users.Batch(ctx, []client.Operation{
		{Op: kindred.OpGet, Key: "ada"},
		{Op: kindred.OpPut, Key: "alan", Value: []byte("Alan")},
		{Op: kindred.OpGet, Key: ""},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := results[0].Object.Value()
	fmt.Println(string(value), err)
	fmt.Println(results[1].Receipt.Dot != "", results[1].Err)
	fmt.Println(kindred.HasCode(results[2].Err, kindred.CodeInvalid))

	// Output:
	// Ada <nil>
	// true <nil>
	// true
}

// Wait until every home replica has the write on its disk. A home that is down
// holds it up, so the wait has a deadline; the write is done either way.
func ExampleReceipt_Wait() {
	c, done := connected()
	defer done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := c.Bucket("orders").Put(ctx, "17", []byte("paid"), client.Durability(kindred.Sync))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = r.Wait(ctx, kindred.Propagated)
	var late *client.StageError
	if errors.As(err, &late) {
		fmt.Println("it is", late.Reached)
	}
	fmt.Println(err)

	// Output: <nil>
}

// A value that expires by itself. What is written in its place says anew whether
// it expires.
func ExampleTTL() {
	c, done := connected()
	defer done()
	ctx := context.Background()
	r, err := c.Bucket("sessions").Put(ctx, "4711", []byte("alice"), client.TTL(time.Hour))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("it expires:", !r.ExpiresAt.IsZero()) // by the clock of the node that took it

	// Output: it expires: true
}

// Strict calls count home replicas only, and with R + W > N a get sees every write
// that was acknowledged before it. Sloppy ones, the default, go on where homes cannot
// be reached, and say so.
func ExampleStrict() {
	c, done := connected()
	defer done()
	ctx := context.Background()
	strict := c.Bucket("stock", client.Strict(), client.R(kindred.CountQuorum), client.W(kindred.CountQuorum))
	if _, err := strict.Put(ctx, "tea", []byte("12")); err != nil {
		fmt.Println(err)
		return
	}
	obj, err := strict.Get(ctx, "tea", client.R(kindred.CountAll))
	if err != nil {
		fmt.Println(err)
		return
	}
	value, err := obj.Value()
	fmt.Println(string(value), err, "sloppy:", obj.Sloppy())

	// Output: 12 <nil> sloppy: false
}

// A cluster with TLS, and a client that shows a token instead of a certificate.
func ExampleWithTLS() {
	files := security.ClientFiles{CA: "ca.pem", Token: "token"}
	config, token, err := files.Open()
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := client.Dial(context.Background(), []string{"n1.example.org:7400"},
		client.WithTLS(config), client.WithToken(token))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
}
