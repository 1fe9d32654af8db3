package floor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/server"
	"github.com/kindredkv/kindred/transport"
)

// The names of the two ends of the peer link.
const (
	Asker    = "asker"
	Answerer = "answerer"
)

// Addresses are where an echo process answers.
type Addresses struct{ Client, Peer, Unary string }

// Echo answers at once on every link until in ends. It dials the asker's end of the
// peer link, and tells its own addresses on out.
func Echo(asker string, valueBytes int, in io.Reader, out io.Writer) error {
	var at Addresses
	links, err := answerPeers(asker)
	if err != nil {
		return err
	}
	defer links.Close()
	at.Peer = links.Addr()
	clients, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at.Client = clients.Addr().String()
	doors, err := server.New(server.Config{Backend: newInstant(at.Client, valueBytes)})
	if err != nil {
		return err
	}
	defer doors.Shutdown(context.Background())
	go doors.ServeGRPC(clients)
	calls, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at.Unary = calls.Addr().String()
	unary := grpc.NewServer()
	defer unary.Stop()
	grpc_health_v1.RegisterHealthServer(unary, plain{})
	go unary.Serve(calls)
	if err := json.NewEncoder(out).Encode(at); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// answerPeers is the other end of the peer link: it sends everything back.
func answerPeers(asker string) (*transport.Transport, error) {
	var links *transport.Transport
	ready := make(chan struct{})
	links, err := transport.Listen(transport.Config{
		Name: Answerer, Addr: "127.0.0.1:0",
		Receive: func(from string, batch transport.Batch) {
			<-ready
			for m := range batch.All() {
				_ = links.Send(from, m) // the asker notices what does not come
			}
		},
	})
	if err != nil {
		return nil, err
	}
	close(ready)
	links.SetPeers(map[string]string{Asker: asker})
	return links, nil
}

// instant is a node that has nothing to do.
type instant struct {
	cluster  kindred.Cluster
	put, got kindred.Response
}

func newInstant(addr string, valueBytes int) *instant {
	const name = "n1"
	dot, token, now := "n1.1234567", make([]byte, 48), time.Now()
	return &instant{
		cluster: kindred.Cluster{Node: name, ClusterID: "floor", Replicas: 3,
			Members: []kindred.Member{{Name: name, State: kindred.Alive, ClientAddr: addr, Linked: true}}},
		put: kindred.Response{Context: token, Receipt: kindred.Receipt{
			Dot: dot, Stage: kindred.Replicated, Durability: kindred.Batch, Acked: []string{"n1", "n2"}}},
		got: kindred.Response{Context: token, Replied: []string{"n1", "n2"}, Siblings: []kindred.Sibling{
			{Dot: dot, Node: name, WrittenAt: now, Value: bytes.Repeat([]byte("v"), valueBytes)}}},
	}
}

// Do is a server.Backend's.
func (i *instant) Do(req *kindred.Request, done func(*kindred.Response)) {
	answer := i.put
	if req.Op == kindred.OpGet {
		answer = i.got
	}
	done(&answer)
}

// Cluster is a server.Backend's.
func (i *instant) Cluster() kindred.Cluster { return i.cluster }

// Local is a server.Backend's.
func (i *instant) Local() kindred.Local { return kindred.Local{Node: i.cluster.Node, Ready: true} }

// Replication is a server.Backend's.
func (i *instant) Replication() kindred.Replication { return kindred.Replication{} }

// plain is an ordinary gRPC service that sends back what it got.
type plain struct {
	grpc_health_v1.UnimplementedHealthServer
}

// lengthDelimited is the tag of a field that the message does not know, number 15.
const lengthDelimited = 15<<3 | 2

// Check has no field for text in its answer: an unknown field carries it.
func (plain) Check(_ context.Context, m *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if len(m.Service) > 1<<7-1 {
		return nil, fmt.Errorf("floor: %d bytes, want at most %d", len(m.Service), 1<<7-1)
	}
	r := &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}
	r.ProtoReflect().SetUnknown(append([]byte{lengthDelimited, byte(len(m.Service))}, m.Service...))
	return r, nil
}
