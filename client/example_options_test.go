package client_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/node"
)

// Spans of every operation, for any provider of OpenTelemetry; here they are kept
// in memory. An update has one around those of its get and its put.
func ExampleWithTracerProvider() {
	cluster := startCluster(3) // stands for three running nodes
	defer cluster.stop()
	ctx := context.Background()
	spans := tracetest.NewSpanRecorder() // instead of an exporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	defer provider.Shutdown(ctx)

	c, err := client.Dial(ctx, cluster.addrs(), client.WithTracerProvider(provider))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if _, err := c.Bucket("carts").Update(ctx, "alice", adding("tea")); err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range spans.Ended() {
		fmt.Println(s.Name()) // a verb and a bucket: keys and values belong to users
	}

	// Output:
	// get carts
	// put carts
	// update carts
}

// The numbers of a client beside those of the program it is in. Several clients
// share a registry if each has a label with a value of its own.
func ExampleWithMetrics() {
	cluster := startCluster(3)
	defer cluster.stop()
	ctx := context.Background()
	registry := prometheus.NewRegistry() // or prometheus.DefaultRegisterer
	labelled := prometheus.WrapRegistererWith(prometheus.Labels{"cluster": "shop"}, registry)

	c, err := client.Dial(ctx, cluster.addrs(), client.WithMetrics(labelled))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if _, err := c.Bucket("carts").Put(ctx, "alice", []byte("tea")); err != nil {
		fmt.Println(err)
		return
	}
	families, err := registry.Gather()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range families {
		if f.GetName() == "kindred_client_operation_seconds" {
			for _, m := range f.GetMetric() {
				fmt.Println(m.GetLabel()[1].GetValue(), m.GetHistogram().GetSampleCount())
			}
		}
	}

	// Output: put 1
}

// A get that has no answer for a while asks a second node, and the first answer
// counts. Writes are never hedged.
func ExampleWithHedgeAfter() {
	cluster := startCluster(3)
	defer cluster.stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, cluster.addrs(), client.WithHedgeAfter(20*time.Millisecond))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	carts := c.Bucket("carts")
	if _, err := carts.Put(ctx, "alice", []byte("tea")); err != nil {
		fmt.Println(err)
		return
	}
	printValue(carts, "alice")
	_ = c.Stats().Hedges // how many second nodes were asked so far

	// Output: tea <nil>
}

// oneNode is the client of a real node that this program runs itself, and what
// ends both.
func oneNode(ctx context.Context) (*client.Client, func(), error) {
	dir, err := os.MkdirTemp("", "kindred-example-")
	if err != nil {
		return nil, nil, err
	}
	cfg := node.DefaultConfig()
	cfg.Name, cfg.DataDir, cfg.Expect, cfg.Replicas = "n1", dir, 1, 1
	cfg.ClientAddr, cfg.PeerAddr, cfg.GossipAddr, cfg.HTTPAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	n, err := node.Start(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	if err := n.AwaitReady(ctx); err != nil {
		return nil, nil, err
	}
	c, err := client.Dial(ctx, []string{n.ClientAddr()})
	if err != nil {
		return nil, nil, err
	}
	return c, func() { c.Close(); n.Stop(ctx); os.RemoveAll(dir) }, nil
}

// Options of a bucket hold for every request that does not say otherwise. To create
// it again with the same options changes nothing; other options are refused, unless
// the bucket is changed on purpose.
func ExampleClient_CreateBucket() {
	ctx := context.Background()
	c, done, err := oneNode(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer done()
	options := kindred.BucketOptions{Siblings: kindred.SiblingsLWW, TTL: 24 * time.Hour, ValueBytesMax: 4096}
	if _, err := c.CreateBucket(ctx, "sessions", options); err != nil {
		fmt.Println(err)
		return
	}
	sessions := c.Bucket("sessions")
	for _, value := range []string{"alice", "bob"} { // two writers who have seen nothing
		if _, err := sessions.Put(ctx, "4711", []byte(value)); err != nil {
			fmt.Println(err)
			return
		}
	}
	printValue(sessions, "4711")

	options.TTL = time.Hour
	_, err = c.CreateBucket(ctx, "sessions", options)
	fmt.Println(kindred.HasCode(err, kindred.CodeInvalid))
	changed, err := c.ChangeBucket(ctx, "sessions", options)
	fmt.Println(changed.Bucket.Version, changed.Bucket.Options.TTL, err)

	// Output:
	// bob <nil>
	// true
	// 2 1h0m0s <nil>
}
