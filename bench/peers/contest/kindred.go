package contest

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/peers/loop"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// ValueBytes is how long values are where nothing else is said.
const ValueBytes = 100

const (
	kibibyte = 1 << 10
	// firstPort is where the search for free ports begins.
	firstPort = 21400
)

// Kindred is a cluster of three nodes as kvcli local starts it, with everything on
// that is on by default.
func Kindred(ctx context.Context, dir, kvnode string, tls bool) (*Contestant, error) {
	c := &Contestant{Name: "kindred", Version: firstLine(kvnode, "--version")}
	if tls {
		c.Name = "kindred tls"
	}
	base, err := local.FreeBasePort(Nodes, firstPort)
	if err != nil {
		return nil, err
	}
	cluster, _, err := local.Start(ctx, local.Options{
		Dir: filepath.Join(dir, strings.ReplaceAll(c.Name, " ", "-")), KVNode: kvnode, TLS: tls,
		Shape: local.Shape{Nodes: Nodes, Zones: Nodes, BasePort: base},
	})
	if err != nil {
		return c, err
	}
	c.onClose(func() { _, _ = cluster.Stop(context.Background(), grace) })
	kv, err := c.dial(ctx, cluster)
	if err != nil {
		return c, err
	}
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	k := kindredStore{Contestant: c, cluster: cluster, kv: kv, bucket: kv.Bucket("bench")}
	if err := fill(ready, keys, k.putter(bytes.Repeat([]byte("v"), ValueBytes))); err != nil {
		return c, err
	}
	if tls {
		k.basics([]int{Callers})
		return c, nil
	}
	k.basics([]int{Callers, 1})
	return c, k.variants(ready)
}

// dial connects to all nodes, and notes which processes they are.
func (c *Contestant) dial(ctx context.Context, cluster *local.Cluster) (*client.Client, error) {
	status, err := cluster.Status()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, n := range status.Nodes {
		c.PIDs, addrs = append(c.PIDs, n.PID), append(addrs, n.Client)
	}
	files, err := cluster.Identity()
	if err != nil {
		return nil, err
	}
	var options []client.Option
	if c.Name == "kindred tls" {
		config, _, err := files.Open()
		if err != nil {
			return nil, err
		}
		options = append(options, client.WithTLS(config))
	}
	kv, err := client.Dial(ctx, addrs, options...)
	if err != nil {
		return nil, err
	}
	c.onClose(func() { kv.Close() })
	return kv, nil
}

// kindredStore asks a cluster of Kindred.
type kindredStore struct {
	*Contestant
	cluster *local.Cluster
	kv      *client.Client
	bucket  *client.Bucket
}

// The words for what Kindred's answers mean.
const (
	batched = "2 of 3 replicas, in memory, synced within 50 ms"
	twoRead = "2 of 3 replicas"
)

func (k *kindredStore) putter(value []byte, options ...client.CallOption) func(context.Context, int, string) error {
	return func(ctx context.Context, _ int, key string) error {
		_, err := k.bucket.Put(ctx, key, value, options...)
		return err
	}
}

// news puts a value under new keys.
func (k *kindredStore) news(family string, valueBytes int, options ...client.CallOption) loop.Op {
	put, name := k.putter(bytes.Repeat([]byte("v"), valueBytes), options...), fresh(family)
	return func(ctx context.Context, caller int, _ int64) error { return put(ctx, caller, name()) }
}

func (k *kindredStore) getter(bucket *client.Bucket) loop.Op {
	return func(ctx context.Context, _ int, n int64) error {
		obj, err := bucket.Get(ctx, there(n))
		if err == nil && len(obj.Siblings) != 1 {
			return fmt.Errorf("%d siblings", len(obj.Siblings))
		}
		return err
	}
}

func (k *kindredStore) basics(callers []int) {
	put, get := k.news("new", ValueBytes), k.getter(k.bucket)
	for _, n := range callers {
		k.ask("put", n, batched, put)
		k.ask("get", n, twoRead, get)
	}
}

// variants are the questions that are not asked of everybody.
func (k *kindredStore) variants(ctx context.Context) error {
	k.ask("put memory", Callers, "2 of 3 replicas, in memory", k.news("memory", ValueBytes, client.Durability(kindred.Memory)))
	k.ask("put sync", Callers, "2 of 3 replicas, synced before the answer", k.news("sync", ValueBytes, client.Durability(kindred.Sync)))
	large := kindredStore{Contestant: k.Contestant, bucket: k.kv.Bucket("large")}
	if err := fill(ctx, keys, large.putter(bytes.Repeat([]byte("v"), kibibyte))); err != nil {
		return err
	}
	large.ask("put 1 KiB", Callers, batched, large.news("new", kibibyte))
	large.ask("get 1 KiB", Callers, twoRead, large.getter(large.bucket))
	k.askOpen("put", "kindred/put@64", batched, k.news("open", ValueBytes))
	k.askOpen("get", "kindred/get@64", twoRead, k.getter(k.bucket))
	k.askBusy("get", twoRead, k.getter(k.bucket), k.news("busy", ValueBytes))
	frozen := k.ask("put frozen", Callers, "2 of 3 replicas, of which one is frozen", k.news("frozen", ValueBytes))
	frozen.Before, frozen.After = k.freeze, k.thaw
	frozen = k.ask("get frozen", Callers, "2 of 3 replicas, of which one is frozen", k.getter(k.bucket))
	frozen.Before, frozen.After = k.freeze, k.thaw
	return nil
}

// freeze stops a node in the middle of what it does; the measurement begins at once.
func (k *kindredStore) freeze(ctx context.Context) error { return k.cluster.Pause(ctx, "n3") }

// thaw lets it go on, and waits until all three hold what was written meanwhile: the
// catching up is not charged to the next question.
func (k *kindredStore) thaw(ctx context.Context) error {
	if err := k.cluster.Resume(ctx, "n3"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	put, name := k.putter([]byte("v"), client.W(Nodes), client.Strict(), client.Timeout(time.Second)), fresh("thaw"+time.Now().Format(time.RFC3339Nano))
	return eventually(ctx, func(ctx context.Context) error {
		for range Callers {
			if err := put(ctx, 0, name()); err != nil {
				return err
			}
		}
		return caughtUp(ctx, k.cluster)
	})
}
