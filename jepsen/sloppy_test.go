package jepsen

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// restMax is how long five nodes may take to come to rest after all faults.
const restMax = 60 * time.Second

// TestSloppyStorm runs workloads with sloppy quorums against five real processes
// while the network is cut in two, nodes are killed during the cut and after it,
// and one loses its disk. Two nodes of the preference list can always be reached,
// so those who use the client library may not notice; nothing that was
// acknowledged may be lost, whether homes hold it or guests do; and afterwards the
// cluster comes to rest by itself.
func TestSloppyStorm(t *testing.T) {
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d: go test ./jepsen -run TestSloppyStorm -seed=%d", seed, seed)
	ctx := context.Background()
	cluster, names, addrs := startNodes(t, 5)
	status, err := cluster.Status()
	require.NoError(t, err)
	kv, err := client.Dial(ctx, addrs, client.WithTimeout(30*time.Second))
	require.NoError(t, err)
	defer kv.Close()
	impatient, err := DialNodes(names, addrs, 2*time.Second)
	require.NoError(t, err)
	defer impatient.Close()
	final, err := DialNodes(names, addrs, 10*time.Second)
	require.NoError(t, err)
	defer final.Close()

	rest := sync.OnceValue(func() error {
		ctx, cancel := context.WithTimeout(ctx, restMax)
		defer cancel()
		began := time.Now()
		err := Rest(ctx, status.Nodes)
		t.Logf("at rest %v after the last operation", time.Since(began).Round(time.Millisecond))
		return err
	})
	beside, err := client.Dial(ctx, addrs[:fewNodes], client.WithDialer(only(addrs[:fewNodes])), client.WithTimeout(20*time.Second))
	require.NoError(t, err)
	defer beside.Close()
	doors := map[string]Door{"library": Library{kv}, "nodes": impatient, "few": confined{Library{beside}}}
	stop := make(chan struct{})
	var runs, working sync.WaitGroup
	for i, kind := range []workload.Kind{workload.Set, workload.Register} {
		for j, door := range slices.Sorted(maps.Keys(doors)) {
			r := Runner{
				Kind: kind, Clients: 3, Seed: seed + uint64(len(doors)*i+j), Door: doors[door], Final: final,
				Config: workload.Config{Bucket: fmt.Sprintf("%s-%s", kind, door), Keys: 16, Nodes: len(names), SetElements: 200},
				N:      3, R: 2, W: 2, Pause: 5 * time.Millisecond,
			}
			working.Add(1)
			r.Rest = func(context.Context) error {
				working.Done()
				working.Wait() // nobody rests while another writes
				return rest()
			}
			runs.Go(func() { judge(t, r, stop) })
		}
	}
	mixed(t, cluster, names, rand.New(rand.NewPCG(seed, 99)))
	close(stop)
	runs.Wait()
}

// fewNodes are on the smaller side of the long cut.
const fewNodes = 2

// confined is the door of those who reach the nodes of the smaller side only. What
// they write to keys whose homes are all beyond the cut, guests alone hold. When
// one of their two nodes is dead and the other cut off, they have to fail.
type confined struct{ Library }

// only dials these addresses and no others.
func only(addrs []string) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		if !slices.Contains(addrs, addr) {
			return nil, fmt.Errorf("%s is beyond the cut", addr)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
}

// mixed is a cut in whose midst a node is killed, then the loss of a disk, then
// short hurts to the network with a kill in each. What has lost something is back
// and ready before the next one loses something: two at once could take both
// copies of a write.
func mixed(t *testing.T, c *local.Cluster, names []string, random *rand.Rand) {
	ctx := context.Background()
	few, most := names[:fewNodes], names[fewNodes:]
	_, err := c.Cut(ctx, local.Sides{Left: few, Right: most}, false)
	require.NoError(t, err)
	dead := most[random.IntN(len(most))]
	pause(3*time.Second, 0, random)
	require.NoError(t, c.Kill(ctx, dead))
	pause(500*time.Millisecond, time.Second, random)
	// It cannot be ready before the cut ends: homes that it must hear are beyond.
	require.NoError(t, c.Restart(ctx, dead, local.RestartOptions{Ready: -1}))
	pause(6*time.Second, 0, random) // until all have noticed the cut
	status, err := c.Status()
	require.NoError(t, err)
	hints := 0
	for began := time.Now(); hints == 0 && time.Since(began) < restMax; pause(100*time.Millisecond, 0, random) {
		hints = hintsKept(t, status.Nodes)
	}
	t.Logf("guests keep %d hints at the end of the cut", hints)
	require.NotZero(t, hints, "no guest has helped, which shows nothing of sloppy quorums")
	require.NoError(t, c.Heal(ctx))
	_, _, err = local.Start(ctx, local.Options{Dir: c.Dir()}) // waits until all are ready
	require.NoError(t, err)
	t.Logf("%v | %v, with %s killed", few, most, dead)

	lost := few[random.IntN(len(few))]
	require.NoError(t, c.Kill(ctx, lost))
	require.NoError(t, c.Wipe(ctx, lost))
	pause(500*time.Millisecond, time.Second, random)
	began := time.Now()
	require.NoError(t, c.Restart(ctx, lost, local.RestartOptions{}))
	t.Logf("%s wiped, and ready %v after its start", lost, time.Since(began).Round(time.Millisecond))

	nemesis := NetworkNemesis{Network: c, Nodes: names, Random: random, SlowMax: 50 * time.Millisecond}
	for range 3 {
		what, err := nemesis.Hurt(ctx)
		require.NoError(t, err)
		dead := names[random.IntN(len(names))]
		t.Logf("%s, with %s killed", what, dead)
		require.NoError(t, c.Kill(ctx, dead))
		pause(200*time.Millisecond, time.Second, random)
		require.NoError(t, c.Restart(ctx, dead, local.RestartOptions{Ready: -1}))
		require.NoError(t, nemesis.Heal(ctx))
		_, _, err = local.Start(ctx, local.Options{Dir: c.Dir()})
		require.NoError(t, err)
		pause(200*time.Millisecond, 0, random)
	}
}

func pause(least, more time.Duration, random *rand.Rand) {
	<-time.After(least + time.Duration(random.Int64N(int64(more)+1)))
}

// hintsKept is what guests keep for others now.
func hintsKept(t *testing.T, nodes []local.Node) (sum int) {
	for _, n := range nodes {
		r, err := replication(t.Context(), n)
		require.NoError(t, err)
		require.Empty(t, r.Unknown)
		sum += r.Hints.Hints
	}
	return sum
}
