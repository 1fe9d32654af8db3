package node_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/node"
	"github.com/kindredkv/kindred/transport/faults"
)

// within is how long anything here may take.
const within = 30 * time.Second

// embedded is a node on free ports of loopback.
func embedded(t *testing.T, name string, change func(*node.Config)) *node.Node {
	t.Helper()
	cfg := node.DefaultConfig()
	cfg.Name, cfg.DataDir, cfg.Partitions = name, t.TempDir(), 16
	for _, addr := range []*string{&cfg.ClientAddr, &cfg.PeerAddr, &cfg.GossipAddr, &cfg.HTTPAddr} {
		*addr = "127.0.0.1:0"
	}
	change(&cfg)
	n, err := node.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.Stop(context.Background()) })
	return n
}

// threeEmbedded is a cluster in this process, and a client of it.
func threeEmbedded(t *testing.T) ([]*node.Node, *client.Client) {
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var nodes []*node.Node
	var addrs []string
	for i := range 3 {
		n := embedded(t, fmt.Sprintf("n%d", i+1), func(cfg *node.Config) {
			cfg.Expect, cfg.Zone, cfg.FaultInjection = 3, cfg.Name, true
			if i > 0 {
				cfg.Join = []string{nodes[0].GossipAddr()}
			}
		})
		nodes, addrs = append(nodes, n), append(addrs, n.ClientAddr())
	}
	for _, n := range nodes {
		require.NoError(t, n.AwaitReady(ctx))
	}
	c, err := client.Dial(ctx, addrs)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return nodes, c
}

func TestThreeNodesOfOneProcessServeWithoutOneOfThem(t *testing.T) {
	nodes, c := threeEmbedded(t)
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	b := c.Bucket("carts")
	write := func(key string) {
		_, err := b.Put(ctx, key, []byte(key))
		require.NoError(t, err)
	}
	read := func(key string) {
		obj, err := b.Get(ctx, key)
		require.NoError(t, err)
		value, err := obj.Value()
		require.NoError(t, err)
		require.Equal(t, key, string(value))
	}
	for i := range 20 {
		write(fmt.Sprint("before-", i))
	}
	require.NoError(t, nodes[1].Stop(ctx))
	require.NoError(t, nodes[1].Err(), "stopped in order")
	for i := range 20 {
		write(fmt.Sprint("after-", i))
		read(fmt.Sprint("before-", i))
		read(fmt.Sprint("after-", i))
	}
}

// items are what a cart holds; their union is the merge.
func items(values [][]byte) []string {
	var all []string
	for _, v := range values {
		all = append(all, strings.Fields(string(v))...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// adding is a merge that adds an item to all that there is.
func adding(item string) func([][]byte) ([]byte, error) {
	return func(siblings [][]byte) ([]byte, error) {
		return []byte(strings.Join(append(items(siblings), item), " ")), nil
	}
}

// shopper adds items to the shared cart through one node, one after another, and
// notes those that it was told are in the cart.
type shopper struct {
	name     string
	bucket   *client.Bucket
	mu       sync.Mutex
	added    []string
	siblings int // the most it met
}

// shopAt connects a shopper that can reach one node only, as if it stood beside it.
func shopAt(t *testing.T, name string, n *node.Node) *shopper {
	door := n.ClientAddr()
	c, err := client.Dial(t.Context(), []string{door}, client.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		if addr != door {
			return nil, fmt.Errorf("%s is out of reach", addr)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}))
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return &shopper{name: name, bucket: c.Bucket("carts", client.R(1), client.W(1), client.Timeout(2*time.Second))}
}

// shop goes on until it is told that it is enough. A failed update is forgotten:
// nobody was promised anything.
func (s *shopper) shop(ctx context.Context, enough <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-enough:
			return
		default:
		}
		item, met := fmt.Sprintf("%s-%d", s.name, i), 0
		add := adding(item)
		_, err := s.bucket.Update(ctx, "shared", func(siblings [][]byte) ([]byte, error) {
			met = len(siblings)
			return add(siblings)
		})
		s.mu.Lock()
		s.siblings = max(s.siblings, met)
		if err == nil {
			s.added = append(s.added, item)
		}
		s.mu.Unlock()
	}
}

func (s *shopper) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.added)
}

// awaitMore waits until every shopper has added some more items.
func awaitMore(t *testing.T, shoppers []*shopper, more int) {
	t.Helper()
	for _, s := range shoppers {
		want := s.count() + more
		require.Eventually(t, func() bool { return s.count() >= want }, within, time.Millisecond, s.name)
	}
}

// isolate cuts the last node from the others.
func isolate(t *testing.T, nodes []*node.Node) {
	cut := func(peer string) faults.Cut { return faults.Cut{Peer: peer, NoSend: true, NoReceive: true} }
	require.NoError(t, nodes[0].SetFaults(faults.Plan{Cuts: []faults.Cut{cut("n3")}}))
	require.NoError(t, nodes[1].SetFaults(faults.Plan{Cuts: []faults.Cut{cut("n3")}}))
	require.NoError(t, nodes[2].SetFaults(faults.Plan{Cuts: []faults.Cut{cut("n1"), cut("n2")}}))
}

// The promise of the shopping cart: whoever was told that an item is in the cart
// finds it there, though four shoppers change one cart at the same time, on both
// sides of a cut that comes and goes while they do.
func TestNoItemOfACartIsLostUnderACut(t *testing.T) {
	nodes, observer := threeEmbedded(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*within)
	defer cancel()
	var shoppers []*shopper
	var all sync.WaitGroup
	enough := make(chan struct{})
	for i, at := range []int{0, 0, 1, 2} {
		s := shopAt(t, fmt.Sprintf("shopper%d", i), nodes[at])
		shoppers = append(shoppers, s)
		all.Go(func() { s.shop(ctx, enough) })
	}
	awaitMore(t, shoppers, 10)
	isolate(t, nodes)
	awaitMore(t, shoppers, 20)
	for _, n := range nodes {
		require.NoError(t, n.SetFaults(faults.Plan{}))
	}
	awaitMore(t, shoppers, 10)
	close(enough)
	all.Wait()

	var promised []string
	siblings := 0
	for _, s := range shoppers {
		promised = append(promised, s.added...)
		siblings = max(siblings, s.siblings)
	}
	require.Greater(t, siblings, 1, "they did meet")
	carts := observer.Bucket("carts", client.R(kindred.CountAll), client.Strict())
	require.Eventually(t, func() bool {
		_, err := carts.Update(ctx, "shared", adding("the last"))
		return err == nil
	}, within, 10*time.Millisecond, "every node hears every other again")
	obj, err := carts.Get(ctx, "shared")
	require.NoError(t, err)
	require.Subset(t, items(obj.Values()), promised, "of %d items", len(promised))
}

// Nothing goes to the default logger, and nothing is left running.
func TestANodeThatStopsLeavesNothingBehind(t *testing.T) {
	var book lockedBuffer
	was := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&book, nil)))
	defer slog.SetDefault(was)

	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	before := runtime.NumGoroutine()
	for range 3 {
		n := embedded(t, "n1", func(cfg *node.Config) { cfg.Expect, cfg.Replicas = 1, 1 })
		require.NoError(t, n.AwaitReady(ctx))
		c, err := client.Dial(ctx, []string{n.ClientAddr()})
		require.NoError(t, err)
		_, err = c.Bucket("carts").Put(ctx, "alice", []byte("milk"))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, n.Stop(ctx))
		require.NoError(t, n.Stop(ctx), "twice is harmless")
	}
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, within/3, // one asks
		10*time.Millisecond, "%d goroutines before, and now\n%s", before, stacks{})
	require.Empty(t, book.String())
}

// stacks are those of all goroutines when they are printed.
type stacks struct{}

func (stacks) String() string {
	all := make([]byte, 1<<20)
	return string(all[:runtime.Stack(all, true)])
}

func TestAStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := node.DefaultConfig()
	cfg.Name, cfg.DataDir, cfg.ClientAddr = "n1", t.TempDir(), "127.0.0.1:0"
	_, err := node.Start(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
	embedded(t, "n1", func(again *node.Config) { again.DataDir = cfg.DataDir }) // the folder is free again
}

func TestANodeWithoutFaultInjectionObeysNoOrders(t *testing.T) {
	n := embedded(t, "n1", func(cfg *node.Config) {})
	var refused *faults.PlanError
	require.ErrorAs(t, n.SetFaults(faults.Plan{Delay: time.Second}), &refused)
	require.True(t, n.Faults().IsZero())
}

func TestANodeThatIsNotReadySaysWhatItLacks(t *testing.T) {
	n := embedded(t, "n1", func(cfg *node.Config) { cfg.Expect = 2 })
	require.Eventually(t, func() bool { return strings.Contains(n.Local().Reason, "1 of 2") }, within, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := n.AwaitReady(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, n.Local().Reason)
	require.NoError(t, n.Stop(t.Context()))
	require.ErrorContains(t, n.AwaitReady(t.Context()), "n1 stopped before it was ready")
}

// lockedBuffer keeps what several goroutines write.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
