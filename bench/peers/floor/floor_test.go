package floor_test

import (
	"encoding/json"
	"io"
	"net/rpc"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/bench/peers/floor"
	"github.com/kindredkv/kindred/bench/peers/loop"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/transport"
)

func TestDiskTakesOrdersUntilItsInputEnds(t *testing.T) {
	ordersIn, ordersOut := io.Pipe()
	answersIn, answersOut := io.Pipe()
	ended := make(chan error, 1)
	dir := t.TempDir()
	go func() { ended <- floor.ServeDisk(dir, 100, ordersIn, answersOut) }()
	disk := rpc.NewClient(floor.Pipes(answersIn, ordersOut))
	for _, question := range []string{floor.DiskPut, floor.DiskSynced, floor.DiskGet} {
		var r loop.Result
		order := floor.Order{Question: question, Load: loop.Load{Callers: 4, Time: 20 * time.Millisecond}}
		require.NoError(t, disk.Call("Disk.Ask", order, &r), question)
		require.Empty(t, r.Failure, question)
		require.NotZero(t, r.Operations, question)
	}
	require.ErrorContains(t, disk.Call("Disk.Ask", floor.Order{Question: "scan"}, &loop.Result{}), `"scan" is not a question`)
	require.NoError(t, disk.Close())
	require.NoError(t, <-ended)
}

// TestEchoAnswersAsANodeDoes: a floor whose answers were empty would be too low.
func TestEchoAnswersAsANodeDoes(t *testing.T) {
	got := make(chan string, 1)
	links, err := transport.Listen(transport.Config{Name: floor.Asker, Addr: "127.0.0.1:0", Receive: func(_ string, b transport.Batch) {
		for m := range b.All() {
			select {
			case got <- string(m):
			default: // of several that were sent until the way back was there
			}
		}
	}})
	require.NoError(t, err)
	defer links.Close()
	in, stop := io.Pipe()
	tell, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- floor.Echo(links.Addr(), 100, in, out) }()
	var at floor.Addresses
	require.NoError(t, json.NewDecoder(tell).Decode(&at))

	kv, err := client.Dial(t.Context(), []string{at.Client})
	require.NoError(t, err)
	defer kv.Close()
	receipt, err := kv.Bucket("b").Put(t.Context(), "k", []byte("v"))
	require.NoError(t, err)
	require.Len(t, receipt.Acked, 2)
	object, err := kv.Bucket("b").Get(t.Context(), "k")
	require.NoError(t, err)
	require.Len(t, object.Siblings[0].Value, 100)

	links.SetPeers(map[string]string{floor.Answerer: at.Peer})
	require.Eventually(t, func() bool {
		if links.Send(floor.Answerer, []byte("hello")) != nil {
			return false
		}
		select {
		case m := <-got:
			return m == "hello"
		case <-time.After(time.Second): // the way back may not be there yet
			return false
		}
	}, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, stop.Close())
	require.NoError(t, <-ended)
}
