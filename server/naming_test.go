package server_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/metadata"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/api/native"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/server"
)

// member is a node of a cluster that the test describes.
type member struct {
	*memory
	info kindred.Cluster
}

func (m *member) Cluster() kindred.Cluster { return m.info }

// openMember serves a node at an address.
func openMember(t *testing.T, name, cluster, addr string, members ...kindred.Member) (*house, string) {
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	own := kindred.Member{Name: name, State: kindred.Alive, ClientAddr: l.Addr().String()}
	m := &member{newMemory(t), kindred.Cluster{Node: name, ClusterID: cluster, Replicas: 1, Members: append(members, own)}}
	h := open(t, func(c *server.Config) { c.Backend = m })
	h.backend = m.memory
	go func() { _ = h.ServeGRPC(l) }()
	return h, own.ClientAddr
}

// Who wants another cluster than the node belongs to is told both, and nothing of what he
// asks is done. Who does not know which one he wants is let in, and so is everybody at a
// node that does not know its own.
func TestANodeOfAnotherClusterRefuses(t *testing.T) {
	_, addr := openMember(t, "n1", "c0ffee", "127.0.0.1:0")
	_, unborn := openMember(t, "n2", "", "127.0.0.1:0")
	for _, c := range []struct {
		addr, wanted string
		refused      bool
	}{{addr, "c0ffee", false}, {addr, "", false}, {addr, "decaf", true}, {unborn, "decaf", false}} {
		conn, err := net.Dial("tcp", c.addr)
		require.NoError(t, err)
		defer conn.Close()
		_, _, err = native.Open(conn, "", c.wanted)
		if !c.refused {
			require.NoError(t, err, c)
			continue
		}
		var refused *native.RefusedError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, kindred.CodeWrongCluster, refused.Err.Code)
		require.Equal(t, kindred.NotApplied, refused.Err.Outcome)
		require.Contains(t, refused.Err.Message, "n1 belongs to the cluster c0ffee, and the caller wants decaf")
		require.Contains(t, refused.Err.Message, "empty its data folder")
	}
}

func TestANodeOfAnotherClusterRefusesOverGRPC(t *testing.T) {
	h, _ := openMember(t, "n1", "c0ffee", "127.0.0.1:0")
	wants := func(cluster string) context.Context {
		return metadata.AppendToOutgoingContext(within(t), api.ClusterHeader, cluster)
	}
	ask := &pb.PutRequest{Bucket: "carts", Key: []byte("alice"), Value: []byte("milk")}
	_, err := h.kv(t).Put(wants("decaf"), ask)
	require.Equal(t, kindred.CodeWrongCluster, api.ErrorOf(err).Code)
	require.Empty(t, h.backend.requests())
	stream, err := h.kv(t).Pipeline(wants("decaf"))
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, kindred.CodeWrongCluster, api.ErrorOf(err).Code)
	_, err = h.kv(t).Put(wants("c0ffee"), ask)
	require.NoError(t, err)
	_, err = h.kv(t).Put(within(t), ask)
	require.NoError(t, err)

	known, err := pb.NewClusterClient(h.dial(t)).Describe(wants("decaf"), &pb.DescribeRequest{})
	require.NoError(t, err, "who asks which cluster it is may have any in mind")
	require.Equal(t, "c0ffee", known.GetClusterId())
}

// A node that is started again where another one was known, or with a disk of another
// cluster, gets nothing of what clients of the first ask, over either road. They go on
// with the others, and nothing is in doubt.
func TestAClientLeavesAnAddressThatIsOfAnotherCluster(t *testing.T) {
	for name, opts := range map[string][]client.Option{"links": nil, "grpc": {client.WithGRPCOnly()}} {
		t.Run(name, func(t *testing.T) {
			second, addr := openMember(t, "n2", "c0ffee", "127.0.0.1:0")
			first, door := openMember(t, "n1", "c0ffee", "127.0.0.1:0", kindred.Member{Name: "n2", State: kindred.Alive, ClientAddr: addr})
			c := caller(t, door, opts...)
			carts := c.Bucket("carts")
			require.Eventually(t, func() bool {
				_, err := carts.Put(within(t), "alice", nil)
				return err == nil && len(second.backend.requests()) > 0
			}, 10*time.Second, time.Millisecond)

			require.NoError(t, second.Shutdown(within(t)))
			foreign, _ := openMember(t, "n2", "decaf", addr)
			before, puts := len(first.backend.requests()), 0
			require.Eventually(t, func() bool { // until it has tried there, and been told
				_, err := carts.Put(within(t), fmt.Sprint("key", puts), []byte("milk"))
				require.NoError(t, err)
				puts++
				return foreign.Refused() > 1 || len(foreign.backend.requests()) > 0
			}, 10*time.Second, time.Millisecond)
			require.Empty(t, foreign.backend.requests())
			require.Equal(t, before+puts, len(first.backend.requests()))
			_, err := c.Changes(within(t), "n2")
			require.ErrorContains(t, err, "n2 belongs to the cluster decaf, and the caller wants c0ffee")
		})
	}
}
