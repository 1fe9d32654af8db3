package contest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/kindredkv/kindred/bench/peers/floor"
	"github.com/kindredkv/kindred/bench/peers/loop"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/transport"
)

// The words by which this program is told to be a floor.
const (
	EchoWord = "echo"
	DiskWord = "disk"
)

// peerEchoBytes is about the size of what a put sends to another replica.
const peerEchoBytes = 200

// Echo is a process that answers at once, on Kindred's links and by plain gRPC.
func Echo(ctx context.Context, dir string) (*Contestant, error) {
	c := &Contestant{Name: "echo"}
	p := newPeerEcho()
	links, err := transport.Listen(transport.Config{
		Name: floor.Asker, Addr: "127.0.0.1:0", Receive: p.receive, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	p.links = links
	c.onClose(func() { links.Close() })
	at, err := c.startEcho(dir, links.Addr())
	if err != nil {
		return c, err
	}
	links.SetPeers(map[string]string{floor.Answerer: at.Peer})
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := eventually(ready, func(ctx context.Context) error { return p.ask(ctx, 0, 1) }); err != nil {
		return c, err
	}
	kv, err := client.Dial(ready, []string{at.Client})
	if err != nil {
		return c, err
	}
	c.onClose(func() { kv.Close() })
	conn, err := grpc.NewClient(at.Unary, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return c, err
	}
	c.onClose(func() { conn.Close() })
	c.echoQuestions(kv, p, grpc_health_v1.NewHealthClient(conn))
	return c, nil
}

func (c *Contestant) startEcho(dir, asker string) (at floor.Addresses, err error) {
	cmd, err := c.self(dir, EchoWord, asker, strconv.Itoa(ValueBytes))
	if err != nil {
		return at, err
	}
	in, err := cmd.StdinPipe() // its end is the end of the process
	if err != nil {
		return at, err
	}
	c.onClose(func() { in.Close() })
	out, err := cmd.StdoutPipe()
	if err != nil {
		return at, err
	}
	if err := c.run(cmd); err != nil {
		return at, err
	}
	return at, json.NewDecoder(out).Decode(&at)
}

// self is this program as a floor, which lives as long as its standard input.
func (c *Contestant) self(dir, word string, args ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, word+".log"))
	if err != nil {
		return nil, err
	}
	c.onClose(func() { log.Close() })
	cmd := exec.Command(program, append([]string{word}, args...)...)
	cmd.Stderr = log
	return cmd, nil
}

func (c *Contestant) echoQuestions(kv *client.Client, p *peerEcho, plain grpc_health_v1.HealthClient) {
	bucket, value := kv.Bucket("bench"), bytes.Repeat([]byte("v"), ValueBytes)
	name := fresh("new")
	put := func(ctx context.Context, _ int, _ int64) error {
		_, err := bucket.Put(ctx, name(), value)
		return err
	}
	get := func(ctx context.Context, _ int, n int64) error {
		_, err := bucket.Get(ctx, there(n))
		return err
	}
	text := strings.Repeat("x", ValueBytes)
	unary := func(ctx context.Context, _ int, _ int64) error {
		_, err := plain.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: text})
		return err
	}
	const link = "Kindred's client and server, nothing behind them"
	for _, callers := range []int{Callers, 1} {
		c.Name = "client echo"
		c.ask("put", callers, link, put)
		c.ask("get", callers, link, get)
		c.Name = "peer echo"
		c.ask(fmt.Sprintf("%d B", peerEchoBytes), callers, "Kindred's link between nodes, nothing behind it", p.ask)
		c.Name = "unary gRPC echo"
		c.ask(fmt.Sprintf("%d B", ValueBytes), callers, "a plain gRPC call, for comparison", unary)
	}
	c.Name = "client echo"
	c.askOpen("put", "kindred/put@64", link, put)
	c.askOpen("get", "kindred/get@64", link, get)
	c.Name = "echo"
}

// peerEcho waits for answers on the link between nodes.
type peerEcho struct {
	links    *transport.Transport
	answered [loop.OpenCallers]chan struct{}
}

func newPeerEcho() *peerEcho {
	p := &peerEcho{}
	for i := range p.answered {
		p.answered[i] = make(chan struct{}, 1)
	}
	return p
}

// receive wakes the caller whose number begins the message.
func (p *peerEcho) receive(_ string, batch transport.Batch) {
	for m := range batch.All() {
		if len(m) < 4 {
			continue
		}
		if n := binary.BigEndian.Uint32(m); n < uint32(len(p.answered)) {
			select {
			case p.answered[n] <- struct{}{}:
			default: // it has given up on an earlier one
			}
		}
	}
}

func (p *peerEcho) ask(ctx context.Context, caller int, _ int64) error {
	var m [peerEchoBytes]byte
	binary.BigEndian.PutUint32(m[:], uint32(caller))
	if err := p.links.Send(floor.Answerer, m[:]); err != nil {
		return err
	}
	select {
	case <-p.answered[caller]:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Pebble is one replica's engine in a process of its own.
func Pebble(_ context.Context, dir string) (*Contestant, error) {
	c := &Contestant{Name: "pebble"}
	home, err := folder(dir, "pebble")
	if err != nil {
		return nil, err
	}
	cmd, err := c.self(dir, DiskWord, home, strconv.Itoa(ValueBytes))
	if err != nil {
		return c, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return c, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return c, err
	}
	if err := c.run(cmd); err != nil {
		return c, err
	}
	orders := rpc.NewClient(floor.Pipes(out, in))
	c.onClose(func() { orders.Close() })
	for _, q := range []struct{ name, quality string }{
		{floor.DiskPut, "1 replica's rows in Pebble, not synced"},
		{floor.DiskSynced, "1 replica's rows in Pebble, synced before the answer"},
		{floor.DiskGet, "1 replica's row from Pebble"},
	} {
		c.ask(q.name, Callers, q.quality, nil).Ask = func(_ context.Context, l loop.Load) (r loop.Result, err error) {
			err = orders.Call("Disk.Ask", floor.Order{Question: q.name, Load: l}, &r)
			return r, err
		}
	}
	return c, nil
}
