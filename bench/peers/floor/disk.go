package floor

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/rpc"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/bench/peers/loop"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/pebblestore"
)

// The questions that a [Disk] answers.
const (
	DiskPut    = "put"
	DiskSynced = "synced put"
	DiskGet    = "get"
)

// keys is how many rows are there to be read.
const keys = 10_000

// envelopeBytes is about what a replica stores beside the value: its dot, the time
// and the context.
const envelopeBytes = 60

// replicas is the replication factor, which is part of every row's key.
const replicas = 3

// Disk is an engine that writes the rows of puts as one replica does: the object
// and the entry of the log, in one batch.
type Disk struct {
	engine *pebblestore.Store
	value  []byte
	actor  [16]byte
	dots   atomic.Uint64
}

// Order is what a Disk is asked.
type Order struct {
	Question string
	Load     loop.Load
}

// ServeDisk opens an engine in dir and takes orders until in ends.
func ServeDisk(dir string, valueBytes int, in io.ReadCloser, out io.WriteCloser) error {
	engine, err := pebblestore.Open(dir, pebblestore.Options{})
	if err != nil {
		return err
	}
	defer engine.Close()
	d := &Disk{engine: engine, value: bytes.Repeat([]byte("v"), valueBytes+envelopeBytes), actor: [16]byte{1}}
	for n := range int64(keys) {
		if err := d.put("there", n); err != nil {
			return err
		}
	}
	orders := rpc.NewServer()
	if err := orders.Register(d); err != nil {
		return err
	}
	orders.ServeConn(Pipes(in, out))
	return nil
}

// Pipes are what one process says and hears of another, as one connection.
func Pipes(in io.ReadCloser, out io.WriteCloser) io.ReadWriteCloser { return pipes{in, out} }

type pipes struct {
	io.ReadCloser
	io.WriteCloser
}

// Close is that of both.
func (p pipes) Close() error {
	p.WriteCloser.Close()
	return p.ReadCloser.Close()
}

// Ask carries an order out.
func (d *Disk) Ask(o Order, answer *loop.Result) error {
	op := map[string]loop.Op{
		DiskPut:    func(_ context.Context, _ int, n int64) error { return d.put("new", n) },
		DiskSynced: func(_ context.Context, _ int, n int64) error { return d.synced(n) },
		DiskGet:    func(_ context.Context, _ int, n int64) error { return d.get(n) },
	}[o.Question]
	if op == nil {
		return fmt.Errorf("floor: %q is not a question for the disk", o.Question)
	}
	*answer = loop.Run(context.Background(), o.Load, op)
	return nil
}

// put writes what a replica writes for a new key: n and the number of the write
// name it.
func (d *Disk) put(family string, n int64) error {
	dot := d.dots.Add(1)
	name := family + strconv.FormatInt(n, 10)
	if family != "there" {
		name = family + strconv.FormatUint(dot, 10)
	}
	partition := partitionOf(n)
	var rows storage.Batch
	rows.Set(storage.ObjectKey(nil, partition, replicas, "bench", name), d.value)
	id := [16]byte{15: 1}
	binary.BigEndian.PutUint64(id[:], dot)
	rows.Set(storage.LogKey(nil, partition, replicas, d.actor, dot), storage.AppendLogEntry(nil, storage.LogEntry{
		Bucket: []byte("bench"), Key: []byte(name), RequestID: id, Change: uint64(time.Now().UnixNano()),
	}))
	return d.engine.Apply(&rows)
}

// partitionOf spreads keys as a ring of 64 partitions does.
func partitionOf(n int64) uint32 { return uint32(n % 64) }

// synced is a put that is on the disk before it returns.
func (d *Disk) synced(n int64) error {
	if err := d.put("new", n); err != nil {
		return err
	}
	return d.engine.Sync()
}

func (d *Disk) get(n int64) error {
	n %= keys
	_, err := d.engine.Get(storage.ObjectKey(nil, partitionOf(n), replicas, "bench", "there"+strconv.FormatInt(n, 10)))
	return err
}
