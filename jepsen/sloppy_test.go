package jepsen_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen"
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
	cluster, names, _ := startNodes(t, 5)
	run := storm(t, 5, jepsen.Plan{
		Cluster: cluster, Workloads: []workload.Kind{workload.Set, workload.Register}, Clients: 9, Pause: 5 * time.Millisecond, Doors: andTheFew,
		Script: func(ctx context.Context, e jepsen.Events) error {
			parted(t, cluster, names, rand.New(rand.NewPCG(*stormSeed, 99)), e)
			return nil
		},
		Nemeses: kinds(t, "cut", "one-way", "slow", "kill"), Time: 8 * time.Second, Longest: 1500 * time.Millisecond,
	})
	most := 0
	for _, s := range run.Samples {
		most = max(most, s.Hints)
	}
	t.Logf("guests kept up to %d hints", most)
	require.NotZero(t, most, "no guest has helped, which shows nothing of sloppy quorums")
}

// andTheFew are the usual doors, and that of those who reach few nodes only.
func andTheFew(ctx context.Context, nodes []local.Node) ([]jepsen.Doorway, error) {
	doors, err := jepsen.Doorways(ctx, nodes)
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, n := range nodes[:fewNodes] {
		addrs = append(addrs, n.Client)
	}
	beside, err := client.Dial(ctx, addrs, client.WithDialer(only(addrs)), client.WithTimeout(20*time.Second))
	if err != nil {
		return doors, err
	}
	return append(doors, jepsen.Doorway{Name: "few nodes", Door: confined{jepsen.Library{Client: beside}}, Close: beside.Close}), nil
}

// fewNodes are on the smaller side of the long cut.
const fewNodes = 2

// confined is the door of those who reach the nodes of the smaller side only. What
// they write to keys whose homes are all beyond the cut, guests alone hold. When
// one of their two nodes is dead and the other cut off, they have to fail.
type confined struct{ jepsen.Library }

// only dials these addresses and no others.
func only(addrs []string) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		if !slices.Contains(addrs, addr) {
			return nil, fmt.Errorf("%s is beyond the cut", addr)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
}

// parted is a cut in whose midst a node is killed, then the loss of a disk. What has
// lost something is back and ready before the next one loses something: two at once
// could take both copies of a write.
func parted(t *testing.T, c *local.Cluster, names []string, random *rand.Rand, e jepsen.Events) {
	ctx := context.Background()
	few, most := names[:fewNodes], names[fewNodes:]
	_, err := c.Cut(ctx, local.Sides{Left: few, Right: most}, false)
	require.NoError(t, err)
	healed := e.Begin("cut", fmt.Sprintf("%v | %v", few, most))
	dead := most[random.IntN(len(most))]
	pause(3*time.Second, 0, random)
	require.NoError(t, c.Kill(ctx, dead))
	pause(500*time.Millisecond, time.Second, random)
	// It cannot be ready before the cut ends: homes that it must hear are beyond.
	require.NoError(t, c.Restart(ctx, dead, local.RestartOptions{Ready: -1}))
	pause(6*time.Second, 0, random) // until all have noticed the cut
	require.NoError(t, c.Heal(ctx))
	healed()
	_, _, err = local.Start(ctx, local.Options{Dir: c.Dir()}) // waits until all are ready
	require.NoError(t, err)
	t.Logf("%v | %v, with %s killed", few, most, dead)

	lost := few[random.IntN(len(few))]
	rebuilt := e.Begin("wipe", lost+" killed and wiped")
	require.NoError(t, c.Kill(ctx, lost))
	require.NoError(t, c.Wipe(ctx, lost))
	pause(500*time.Millisecond, time.Second, random)
	began := time.Now()
	require.NoError(t, c.Restart(ctx, lost, local.RestartOptions{}))
	rebuilt()
	t.Logf("%s wiped, and ready %v after its start", lost, time.Since(began).Round(time.Millisecond))
}

func pause(least, more time.Duration, random *rand.Rand) {
	<-time.After(least + time.Duration(random.Int64N(int64(more)+1)))
}
