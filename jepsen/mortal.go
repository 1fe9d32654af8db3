package jepsen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kindredkv/kindred"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/jepsen/workload"
)

const (
	// diesEvery is how many calls there are to one in which the client dies.
	diesEvery = 4
	// diesWithin is how soon after the begin of the call: from before it was sent until
	// after it was answered.
	diesWithin = 4 * time.Millisecond
)

// Mortal is the door of clients that die in the middle of a call now and then: their
// connection ends, and nobody hears the answer. Half of them have somebody who makes
// the same request again, under its id, at the same node: another one that cannot hear
// the first may make a second write of it (docs/promises.md, e4), and then checkers C4
// and C5 accuse the store of showing what a value beside had seen. Every call has a
// connection of its own.
type Mortal struct {
	Names, Addrs []string
	// Patience is how long one node may take.
	Patience time.Duration
}

// Do implements Door.
func (m Mortal) Do(ctx context.Context, i workload.Intent) workload.Result {
	var id kindred.RequestID
	if i.IsWrite() {
		for k := range id {
			id[k] = byte(1 + rand.IntN(255))
		}
	}
	if rand.IntN(diesEvery) > 0 {
		return m.call(ctx, i, i.Node, id)
	}
	life, die := context.WithTimeout(ctx, rand.N(diesWithin))
	defer die()
	first := m.call(life, i, i.Node, id)
	if first.Outcome == kindred.Applied || rand.IntN(2) == 0 {
		return first
	}
	return again(first, m.call(ctx, i, i.Node, id))
}

// again is what is known after a second try: what was refused then may have been done
// before.
func again(first, second workload.Result) workload.Result {
	if second.Outcome == kindred.NotApplied {
		second.Outcome = first.Outcome
	}
	second.Attempts += first.Attempts
	return second
}

// call makes one call at a node, and ends the connection with it.
func (m Mortal) call(ctx context.Context, i workload.Intent, node int, id kindred.RequestID) workload.Result {
	at := node % len(m.Addrs)
	conn, err := grpc.NewClient(m.Addrs[at], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return failed(fmt.Errorf("jepsen: %s: %w", m.Addrs[at], err))
	}
	ctx, cancel := context.WithTimeout(ctx, m.Patience)
	defer cancel()
	// The end of the connection is what the node notices, not that a call was given up.
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	result := request(context.WithoutCancel(ctx), kindredv1.NewKVClient(conn), i, id)
	result.Node, result.Attempts = m.Names[at], 1
	return result
}
