package contest

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// waitMax is how long a put waits for the second copy.
const waitMax = 5 * time.Second

// Redis is a primary with two replicas. A put is SET and WAIT 1, which go out
// together; each caller has a connection of its own, since WAIT holds one up.
// With aof every copy has a log that is synced once a second, without it none.
func Redis(ctx context.Context, dir string, aof bool) (*Contestant, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, &MissingError{"redis", "there is no redis-server on PATH (Debian: apt install redis-server; macOS: brew install redis)"}
	}
	c := &Contestant{Name: "redis", Version: redisVersion(firstLine(program, "--version"))}
	quality := "on the primary and 1 of 2 replicas; in memory, no log"
	if aof {
		c.Name, quality = "redis aof", "on the primary and 1 of 2 replicas; in a log that is synced every second"
	}
	ports, err := freePorts(Nodes)
	if err != nil {
		return nil, err
	}
	if err := c.startRedis(dir, program, ports, aof); err != nil {
		return c, err
	}
	kv := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", ports[0]), PoolSize: 2 * Callers})
	c.onClose(func() { kv.Close() })
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := eventually(ctx, func(ctx context.Context) error { return replicasOnline(ctx, kv) }); err != nil {
		return c, err
	}
	return c, c.redisQuestions(ctx, kv, quality)
}

// redisVersion is the version alone: what follows is of the build.
func redisVersion(line string) string {
	version, _, _ := strings.Cut(line, " sha=")
	return version
}

func (c *Contestant) startRedis(dir, program string, ports []int, aof bool) error {
	for i, port := range ports {
		home, err := folder(dir, fmt.Sprintf("%s-%d", strings.ReplaceAll(c.Name, " ", "-"), i+1))
		if err != nil {
			return err
		}
		args := []string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", home, "--save", "",
			"--appendonly", "no", "--repl-diskless-sync-delay", "0",
		}
		if aof {
			args = append(args, "--appendonly", "yes", "--appendfsync", "everysec")
		}
		if i > 0 {
			args = append(args, "--replicaof", "127.0.0.1", strconv.Itoa(ports[0]))
		}
		if err := c.start(home, "redis", program, args...); err != nil {
			return err
		}
	}
	return nil
}

func replicasOnline(ctx context.Context, kv *redis.Client) error {
	info, err := kv.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if n := strings.Count(info, "state=online"); n < Nodes-1 {
		return fmt.Errorf("%d replicas follow the primary", n)
	}
	return nil
}

func (c *Contestant) redisQuestions(ctx context.Context, kv *redis.Client, quality string) error {
	var conns [Callers]*redis.Conn
	for i := range conns {
		conns[i] = kv.Conn()
		c.onClose(func() { conns[i].Close() })
	}
	value := bytes.Repeat([]byte("v"), ValueBytes)
	put := func(ctx context.Context, caller int, key string) error {
		both := conns[caller].Pipeline()
		both.Set(ctx, key, value, 0)
		copies := both.Do(ctx, "wait", 1, waitMax.Milliseconds())
		if _, err := both.Exec(ctx); err != nil {
			return err
		}
		if n, err := copies.Int(); err != nil || n < 1 {
			return fmt.Errorf("no replica had the write within %v", waitMax)
		}
		return nil
	}
	get := func(ctx context.Context, caller int, n int64) error {
		return conns[caller].Get(ctx, there(n)).Err()
	}
	if err := fill(ctx, keys, put); err != nil {
		return err
	}
	name := fresh("new")
	newKey := func(ctx context.Context, caller int, _ int64) error { return put(ctx, caller, name()) }
	if c.Name != "redis" { // what is in a log reads like what is in none
		c.ask("put", Callers, quality, newKey)
		return nil
	}
	for _, callers := range []int{Callers, 1} {
		c.ask("put", callers, quality, newKey)
		c.ask("get", callers, "the primary's answer", get)
	}
	return nil
}
