package server

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// expected are the statuses that a backend which always succeeds can lead to.
func expected() map[int]bool {
	known := map[int]bool{}
	for _, status := range []int{200, 202, 204, 304, 400, 403, 404, 405, 406, 413, 415} {
		known[status] = true
	}
	return known
}

// FuzzHTTPRequest: whatever bytes make a request, with its headers and its body, the
// answer is one of the contract's and nothing is left inside.
func FuzzHTTPRequest(f *testing.F) {
	for _, request := range []string{
		"GET /v1/buckets/b/keys/k HTTP/1.1\r\nHost: n1\r\nAccept: multipart/mixed;q=0.5, */*\r\nIf-None-Match: W/\"x\", *\r\n\r\n",
		"PUT /v1/buckets/b/keys/a%2Fb?ttl=1s&wait=settled HTTP/1.1\r\nHost: n1\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nKindred-Context: AAEC\r\n\r\nmilk",
		"PUT /v1/buckets/b/keys/k HTTP/1.1\r\nHost: n1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmilk\r\n0\r\n\r\n",
		"PUT /v1/buckets/b/keys/k HTTP/1.1\r\nHost: n1\r\nContent-Length: 99\r\n\r\nhalf",
		"PUT /v1/buckets/b HTTP/1.1\r\nHost: n1\r\nIf-None-Match: *\r\nContent-Length: 7\r\n\r\n{\"w\":2}",
		"DELETE /v1/buckets/b/keys/k HTTP/1.1\r\nHost: n1\r\nKindred-Request-Id: 000102030405060708090a0b0c0d0e0f\r\n\r\n",
		"PUT /v1/local/faults HTTP/1.1\r\nHost: n1\r\nContent-Length: 2\r\n\r\n{}",
		"GET //v1/../%2e HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(request))
	}
	known := expected()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return // net/http answers such a request by itself
		}
		s, err := New(Config{Backend: strict{t}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, r)
		if !known[w.Code] {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if s.calls.count() != 0 || s.bodyBytes.Load() != 0 || s.answerBytes.Load() != 0 {
			t.Fatal("something was left inside")
		}
	})
}

// requests are the messages that a node decodes, each with what it does with it.
func requests(s *Server) []func(context.Context, decode) (proto.Message, error) {
	kv, cluster := &kvDoor{Server: s}, &clusterDoor{Server: s}
	return []func(context.Context, decode) (proto.Message, error){
		handled(kv.Get), handled(kv.Put), handled(kv.Delete), handled(kv.Stage),
		handled(cluster.Describe), handled(cluster.Inspect), handled(cluster.RepairKey), handled(cluster.RepairNode), handled(cluster.Holdings), handled(cluster.DrainNode),
		handled(cluster.Buckets), handled(cluster.ChangeBucket),
		handled(kv.firstPage), handled(kv.eachCall),
	}
}

// decode reads a message, or says why not.
type decode func(proto.Message) error

func handled[Q any, A any, PQ interface {
	*Q
	proto.Message
}, PA interface {
	*A
	proto.Message
}](handle func(context.Context, PQ) (PA, error)) func(context.Context, decode) (proto.Message, error) {
	return func(ctx context.Context, decode decode) (proto.Message, error) {
		m := PQ(new(Q))
		if decode(m) != nil {
			return PA(new(A)), nil
		}
		return handle(ctx, m)
	}
}

// firstPage is what a scan does before its stream.
func (d *kvDoor) firstPage(ctx context.Context, m *pb.ScanRequest) (*pb.ScanResponse, error) {
	page, _, bad := api.ParseScan(m)
	r := d.askParsed(ctx, kindred.OpScan, page, bad)
	if r.Err != nil {
		return nil, api.Status(r.Err).Err()
	}
	return api.FormatScanResponse(r), nil
}

// eachCall is what a pipeline does with a message.
func (d *kvDoor) eachCall(ctx context.Context, m *pb.PipelineRequest) (*pb.PipelineResponse, error) {
	answer := &pb.PipelineResponse{}
	for _, c := range m.GetCalls() {
		req, bad := api.ParseCall(c)
		answer.Results = append(answer.Results, api.FormatResult(c.GetId(), opOf(c), d.askParsed(ctx, opOf(c), req, bad)))
	}
	return answer, nil
}

// FuzzGRPC: whatever bytes make a message of any method, what reaches the backend is
// within the limits, and the answer can be encoded: a response, or a status that says
// what is known.
func FuzzGRPC(f *testing.F) {
	seeds := []proto.Message{
		&pb.GetRequest{Bucket: "b", Key: []byte("k"), R: -1, TimeoutMs: 5},
		&pb.PutRequest{Bucket: "b", Key: []byte("k"), Value: []byte("v"), Expiry: &pb.PutRequest_TtlMs{TtlMs: 9}},
		&pb.DeleteRequest{Bucket: "b", Key: []byte("k"), RequestId: make([]byte, 16)},
		&pb.StageRequest{Bucket: "b", Key: []byte("k"), Dot: "a:1", Stage: 4},
		&pb.DescribeRequest{Replication: true}, &pb.InspectRequest{Bucket: "b", Key: []byte("k")},
		&pb.InspectRequest{Bucket: "b", Key: []byte("k")}, &pb.RepairNodeRequest{Partition: proto.Uint32(7)},
		&pb.HoldingsRequest{Of: []*pb.Holding{{Partition: 3, N: 3, Dots: []byte{1, 2}}}}, &pb.DrainNodeRequest{Undo: true},
		&pb.BucketsRequest{Bucket: "b"}, &pb.ChangeBucketRequest{Bucket: "b"},
		&pb.ScanRequest{Bucket: "b", Prefix: []byte("p"), Limit: 3, Cursor: []byte("c")},
		&pb.PipelineRequest{Calls: []*pb.Call{{Id: 1, Op: &pb.Call_Get{Get: &pb.GetRequest{Bucket: "b", Key: []byte("k")}}}, {}}},
	}
	for i, m := range seeds {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
	}
	c := newCodec()
	f.Fuzz(func(t *testing.T, method uint8, b []byte) {
		s, err := New(Config{Backend: strict{t}})
		if err != nil {
			t.Fatal(err)
		}
		all := requests(s)
		answer, err := all[int(method)%len(all)](t.Context(), func(m proto.Message) error {
			return c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m)
		})
		if err != nil {
			answer = status.Convert(err).Proto()
			if api.ErrorOf(err).Outcome != kindred.NotApplied {
				t.Fatalf("a request that nobody acted on is said to be %v", err)
			}
		}
		if _, err := c.Marshal(answer); err != nil {
			t.Fatalf("the answer cannot be encoded: %v", err)
		}
		if s.calls.count() != 0 {
			t.Fatal("something was left inside")
		}
	})
}
