package node_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/node"
)

// A node inside a Go program: a cluster of one, in a folder of its own, on free
// ports of loopback.
func Example() {
	if err := embed(); err != nil {
		fmt.Println(err)
	}
	// Output: milk
}

func embed() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "kindred-example")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	cfg := node.DefaultConfig()
	cfg.Name, cfg.DataDir, cfg.Expect = "n1", dir, 1
	cfg.Replicas = 1 // a cluster that will have more nodes begins with 3
	cfg.ClientAddr, cfg.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0"
	cfg.PeerAddr, cfg.GossipAddr = "127.0.0.1:0", "127.0.0.1:0"
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return err
	}
	defer n.Stop(ctx)
	if err := n.AwaitReady(ctx); err != nil {
		return err
	}

	c, err := client.Dial(ctx, []string{n.ClientAddr()})
	if err != nil {
		return err
	}
	defer c.Close()
	carts := c.Bucket("carts")
	if _, err := carts.Put(ctx, "alice", []byte("milk")); err != nil {
		return err
	}
	obj, err := carts.Get(ctx, "alice")
	if err != nil {
		return err
	}
	value, err := obj.Value()
	if err != nil {
		return err
	}
	fmt.Println(string(value))
	return c.Close()
}
