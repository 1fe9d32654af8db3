package contest

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Etcd is a cluster of three. Its puts are always synced by a majority.
func Etcd(ctx context.Context, dir, program string) (*Contestant, error) {
	c := &Contestant{Name: "etcd", Version: firstLine(program, "--version")}
	ports, err := freePorts(2 * Nodes)
	if err != nil {
		return nil, err
	}
	clients, peers := addresses(ports[:Nodes]), addresses(ports[Nodes:])
	var cluster []string
	for i, at := range peers {
		cluster = append(cluster, fmt.Sprintf("e%d=%s", i+1, at))
	}
	for i := range Nodes {
		name := fmt.Sprintf("e%d", i+1)
		home, err := folder(dir, "etcd-"+name)
		if err != nil {
			return c, err
		}
		err = c.start(home, "etcd", program,
			"--name", name, "--data-dir", home, "--log-level", "warn",
			"--listen-client-urls", clients[i], "--advertise-client-urls", clients[i],
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i],
			"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-state", "new",
			"--quota-backend-bytes", "8589934592")
		if err != nil {
			return c, err
		}
	}
	kv, err := clientv3.New(clientv3.Config{Endpoints: clients, DialTimeout: patience, Logger: zap.NewNop()})
	if err != nil {
		return c, err
	}
	c.onClose(func() { kv.Close() })
	return c, c.etcdQuestions(ctx, kv)
}

func addresses(ports []int) (urls []string) {
	for _, p := range ports {
		urls = append(urls, fmt.Sprintf("http://127.0.0.1:%d", p))
	}
	return urls
}

func (c *Contestant) etcdQuestions(ctx context.Context, kv *clientv3.Client) error {
	value := string(bytes.Repeat([]byte("v"), ValueBytes))
	put := func(ctx context.Context, _ int, key string) error {
		_, err := kv.Put(ctx, key, value)
		return err
	}
	get := func(opts ...clientv3.OpOption) func(context.Context, int, int64) error {
		return func(ctx context.Context, _ int, n int64) error {
			r, err := kv.Get(ctx, there(n), opts...)
			if err == nil && len(r.Kvs) != 1 {
				return fmt.Errorf("%d values", len(r.Kvs))
			}
			return err
		}
	}
	if err := fill(ctx, keys, put); err != nil {
		return err
	}
	// A follower answers from what it has: it must have the keys before it is asked.
	behind, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for n := range int64(Callers) {
		if err := eventually(behind, func(ctx context.Context) error {
			return get(clientv3.WithSerializable())(ctx, 0, keys-1-n)
		}); err != nil {
			return err
		}
	}
	name := fresh("new")
	newKey := func(ctx context.Context, caller int, _ int64) error { return put(ctx, caller, name()) }
	const synced, one = "a majority of 3, synced before the answer", "1 of 3 replicas, serializable"
	for _, callers := range []int{Callers, 1} {
		c.ask("put", callers, synced, newKey)
		c.ask("get", callers, one, get(clientv3.WithSerializable()))
	}
	c.askBusy("get", one, get(clientv3.WithSerializable()), newKey)
	c.ask("get linearizable", Callers, "confirmed by a majority of 3", get())
	return nil
}
