package jepsen

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
)

// Door carries out intents. The result says what the client was told.
type Door interface {
	Do(ctx context.Context, i workload.Intent) workload.Result
}

const (
	// libraryPatience is how long the client library may go on trying, nodePatience
	// how long one node may take, finalPatience the same for final reads.
	libraryPatience = 20 * time.Second
	nodePatience    = 2 * time.Second
	finalPatience   = 10 * time.Second
)

// Doorway is a door that was opened for a run.
type Doorway struct {
	// Name says in a report which it is.
	Name string
	Door Door
	// Chooses: it goes to the node that an intent names.
	Chooses bool
	// Close, if set, is called at the end.
	Close func() error
}

// Doorways are the three ways to a cluster: the client library, which hides most of
// what goes wrong; one node at a time without a second try, which shows it; and that
// of clients that die in the middle of a call.
func Doorways(ctx context.Context, cluster []local.Node) ([]Doorway, error) {
	var names, addrs []string
	for _, n := range cluster {
		names, addrs = append(names, n.Name), append(addrs, n.Client)
	}
	kv, err := client.Dial(ctx, addrs, client.WithTimeout(libraryPatience))
	if err != nil {
		return nil, err
	}
	nodes, err := DialNodes(names, addrs, nodePatience)
	if err != nil {
		kv.Close()
		return nil, err
	}
	return []Doorway{
		{Name: ByLibrary, Door: Library{kv}, Close: kv.Close},
		{Name: ByNode, Door: nodes, Chooses: true, Close: func() error { nodes.Close(); return nil }},
		{Name: ByMortal, Door: Mortal{Names: names, Addrs: addrs, Patience: nodePatience}, Chooses: true},
	}, nil
}

// The names of Doorways.
const (
	ByLibrary = "client library"
	ByNode    = "one node"
	ByMortal  = "dying clients"
)

// Library is the door of those who use the client library.
type Library struct{ Client *client.Client }

// Do implements Door.
func (l Library) Do(ctx context.Context, i workload.Intent) workload.Result {
	bucket := l.Client.Bucket(i.Bucket)
	var opts []client.CallOption
	if i.Final {
		opts = append(opts, client.R(kindred.CountAll), client.Strict())
	}
	if len(i.Context) > 0 {
		opts = append(opts, client.Seen(client.ContextOf(i.Context)))
	}
	switch i.Kind {
	case history.Get:
		obj, err := bucket.Get(ctx, i.Key, opts...)
		if err != nil {
			return failed(err)
		}
		return found(obj.Siblings, obj.Context.Bytes(), obj.Guests)
	case history.Put:
		return written(bucket.Put(ctx, i.Key, i.Value, opts...))
	default:
		return written(bucket.Delete(ctx, i.Key, opts...))
	}
}

func written(r *client.Receipt, err error) workload.Result {
	if err != nil {
		return failed(err)
	}
	return workload.Result{Outcome: kindred.Applied, Dot: r.Dot, Context: r.Context.Bytes(), Sloppy: r.Sloppy()}
}

func failed(err error) workload.Result {
	return workload.Result{Outcome: kindred.OutcomeOf(err), Error: err.Error()}
}

func found(siblings []kindred.Sibling, context []byte, guests []string) workload.Result {
	r := workload.Result{Outcome: kindred.Applied, Context: context, Sloppy: len(guests) > 0}
	for _, s := range siblings {
		r.Siblings = append(r.Siblings, workload.Found{Value: s.Value, Dot: s.Dot})
	}
	return r
}

// Nodes is the door of those who talk to one node at a time and do not retry: an
// intent goes to the node that it names.
type Nodes struct {
	names   []string
	stubs   []kindredv1.KVClient
	conns   []*grpc.ClientConn
	timeout time.Duration
}

// redial looks for a killed node again soon after it is back.
var redial = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.5, Jitter: 0.2, MaxDelay: 500 * time.Millisecond}

// DialNodes makes a door to nodes by name and address.
func DialNodes(names, addrs []string, timeout time.Duration) (*Nodes, error) {
	n := &Nodes{names: names, timeout: timeout}
	for _, addr := range addrs {
		conn, err := grpc.NewClient(addr,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: redial, MinConnectTimeout: time.Second}))
		if err != nil {
			n.Close()
			return nil, fmt.Errorf("jepsen: %s: %w", addr, err)
		}
		n.conns = append(n.conns, conn)
		n.stubs = append(n.stubs, kindredv1.NewKVClient(conn))
	}
	return n, nil
}

// Close ends the connections.
func (n *Nodes) Close() {
	for _, c := range n.conns {
		c.Close()
	}
}

// Do implements Door.
func (n *Nodes) Do(ctx context.Context, i workload.Intent) workload.Result {
	at := i.Node % len(n.stubs)
	ctx, cancel := context.WithTimeout(ctx, n.timeout)
	defer cancel()
	result := request(ctx, n.stubs[at], i, kindred.RequestID{})
	result.Node, result.Attempts = n.names[at], 1
	return result
}

// request makes one call under an id; none if it is zero.
func request(ctx context.Context, kv kindredv1.KVClient, i workload.Intent, id kindred.RequestID) workload.Result {
	req := &kindred.Request{Bucket: i.Bucket, Key: i.Key, Value: i.Value, Context: i.Context, RequestID: id}
	if i.Final {
		req.R, req.Sloppy = kindred.CountAll, kindred.Strict
	}
	switch i.Kind {
	case history.Get:
		// The final reads come when all nodes are back, whenever that was noticed.
		m, err := kv.Get(ctx, api.FormatGet(req), grpc.WaitForReady(i.Final))
		if err != nil {
			return refused(err)
		}
		resp := api.ParseGetResponse(m)
		return found(resp.Siblings, resp.Context, resp.Guests)
	case history.Put:
		m, err := kv.Put(ctx, api.FormatPut(req))
		if err != nil {
			return refused(err)
		}
		return receipt(api.ParsePutResponse(m))
	default:
		m, err := kv.Delete(ctx, api.FormatDelete(req))
		if err != nil {
			return refused(err)
		}
		return receipt(api.ParseDeleteResponse(m))
	}
}

func refused(err error) workload.Result { return failed(api.ErrorOf(err)) }

func receipt(resp *kindred.Response) workload.Result {
	return workload.Result{Outcome: kindred.Applied, Dot: resp.Receipt.Dot, Context: resp.Context, Sloppy: len(resp.Receipt.Guests) > 0}
}
