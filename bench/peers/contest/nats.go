package contest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Nats is JetStream's key-value store with three replicas in files.
func Nats(ctx context.Context, dir, program string) (*Contestant, error) {
	c := &Contestant{Name: "nats", Version: firstLine(program, "--version")}
	ports, err := freePorts(2 * Nodes)
	if err != nil {
		return nil, err
	}
	var routes []string
	for _, p := range ports[Nodes:] {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", p))
	}
	for i := range Nodes {
		name := fmt.Sprintf("s%d", i+1)
		home, err := folder(dir, "nats-"+name)
		if err != nil {
			return c, err
		}
		config := fmt.Sprintf("server_name: %s\nlisten: 127.0.0.1:%d\njetstream { store_dir: %q }\ncluster { name: bench, listen: 127.0.0.1:%d, routes: [%s] }\n",
			name, ports[i], home, ports[Nodes+i], strings.Join(routes, ", "))
		file := filepath.Join(home, "nats.conf")
		if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
			return c, err
		}
		if err := c.start(home, "nats", program, "-c", file); err != nil {
			return c, err
		}
	}
	return c, c.natsQuestions(ctx, ports[:Nodes])
}

// natsQuestions asks over one connection, which is how its client sends what many
// callers say together, and to the server that leads the bucket: that costs least.
func (c *Contestant) natsQuestions(ctx context.Context, ports []int) error {
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, leader, err := c.connect(ready, ports[0])
	if err != nil {
		return err
	}
	place, err := strconv.Atoi(strings.TrimPrefix(leader, "s"))
	if err != nil || place < 1 || place > len(ports) {
		return fmt.Errorf("the bucket is led by %q", leader)
	}
	kv, _, err := c.connect(ready, ports[place-1])
	if err != nil {
		return err
	}
	value := bytes.Repeat([]byte("v"), ValueBytes)
	put := func(ctx context.Context, _ int, key string) error {
		_, err := kv.Put(ctx, key, value)
		return err
	}
	get := func(ctx context.Context, _ int, n int64) error {
		_, err := kv.Get(ctx, there(n))
		return err
	}
	if err := fill(ctx, keys, put); err != nil {
		return err
	}
	name := fresh("new")
	newKey := func(ctx context.Context, caller int, _ int64) error { return put(ctx, caller, name()) }
	const direct = "1 of 3 replicas, direct"
	for _, callers := range []int{Callers, 1} {
		c.ask("put", callers, "a majority of 3, in files that are not synced", newKey)
		c.ask("get", callers, direct, get)
	}
	c.askBusy("get", direct, get, newKey)
	return nil
}

// connect finds the bucket at one server, or makes it, and says who leads it.
func (c *Contestant) connect(ctx context.Context, port int) (kv jetstream.KeyValue, leader string, err error) {
	var conn *nats.Conn
	err = eventually(ctx, func(context.Context) (err error) {
		conn, err = nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", port))
		return err
	})
	if err != nil {
		return nil, "", err
	}
	c.onClose(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, "", err
	}
	err = eventually(ctx, func(ctx context.Context) (err error) {
		kv, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: "bench", Replicas: Nodes, Storage: jetstream.FileStorage})
		if err != nil {
			return err
		}
		leader, err = leaderOf(ctx, kv)
		return err
	})
	return kv, leader, err
}

func leaderOf(ctx context.Context, kv jetstream.KeyValue) (string, error) {
	status, err := kv.Status(ctx)
	if err != nil {
		return "", err
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok || bucket.StreamInfo().Cluster == nil || bucket.StreamInfo().Cluster.Leader == "" {
		return "", errors.New("nobody leads the bucket yet")
	}
	return bucket.StreamInfo().Cluster.Leader, nil
}
