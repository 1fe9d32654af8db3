package server

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// strict is a backend that accepts nothing beyond the limits.
type strict struct{ t *testing.T }

func (s strict) Do(req *kindred.Request, done func(*kindred.Response)) {
	if err := api.Check(req); err != nil {
		s.t.Errorf("the backend was asked for what breaks a limit: %v", err)
	}
	done(&kindred.Response{})
}
func (strict) Cluster() kindred.Cluster { return kindred.Cluster{} }
func (strict) Local() kindred.Local     { return kindred.Local{} }

func (strict) Replication() kindred.Replication { return kindred.Replication{} }

// FuzzHTTP: whatever a path, a query and headers say, the answer is one of the
// contract's, and what reaches the backend is within the limits.
func FuzzHTTP(f *testing.F) {
	f.Add("GET", "/v1/buckets/b/keys/a%2Fb", "r=quorum&one=true", "", "")
	f.Add("PUT", "/v1/buckets/b/keys/%ff%00", "w=2&durability=sync&timeout=1s", "AAEC", "000102030405060708090a0b0c0d0e0f")
	f.Add("GET", "/v1/buckets/b/keys", "prefix=a&cursor=AA&limit=5&conflicts=only", "", "")
	f.Add("DELETE", "/v1/buckets/../keys/..", "r=1&r=2", "*", "x")
	f.Add("GET", "/v1/buckets/b/keys/k/stage", "dot=a:1&wait=settled&timeout=1s", "", "")
	f.Add("POST", "/v1/local/repair", "partition=7", "", "")
	f.Add("POST", "//", "%zz", "", "")
	f.Add("PUT", "/v1/buckets/b/keys/k", "wait=settled&ttl=1s", "", "")
	f.Add("POST", "/v1/buckets/b/keys/k/repair", "timeout=1s", "", "")
	f.Add("GET", "/v1/buckets/b", "", "", "")
	known := expected()
	f.Fuzz(func(t *testing.T, method, path, query, context, id string) {
		u, err := url.ParseRequestURI("http://n1" + path)
		if err != nil {
			return // net/http answers such a request by itself
		}
		u.RawQuery = query
		s, err := New(Config{Backend: strict{t}})
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: method, URL: u, Body: http.NoBody, Header: http.Header{
			headerContext: {context}, headerRequestID: {id}}}
		w := httptest.NewRecorder()
		s.http.Handler.ServeHTTP(w, r)
		if !known[w.Code] {
			t.Fatalf("%s %s?%s: status %d", method, path, query, w.Code)
		}
		if s.calls.count() != 0 || s.bodyBytes.Load() != 0 {
			t.Fatal("something was left inside")
		}
	})
}

// FuzzKeyPath: a key that is written into a path comes out as it went in.
func FuzzKeyPath(f *testing.F) {
	f.Add("b", "a/b")
	f.Add("..", "\xff\x00%2F")
	f.Fuzz(func(t *testing.T, bucket, key string) {
		got, err := parsePath("/v1/buckets/" + url.PathEscape(bucket) + "/keys/" + url.PathEscape(key))
		if err != nil || got != (target{keyTarget, bucket, key}) {
			t.Fatalf("%q %q became %+v, %v", bucket, key, got, err)
		}
	})
}

// FuzzPipelineMessage: no message makes the codec panic or lets too many calls
// through.
func FuzzPipelineMessage(f *testing.F) {
	small, _ := proto.Marshal(&pb.PipelineRequest{Calls: []*pb.Call{
		{Id: 1, Op: &pb.Call_Get{Get: &pb.GetRequest{Bucket: "b", Key: []byte("k")}}}, {}}})
	large, _ := proto.Marshal(&pb.PipelineRequest{Calls: make([]*pb.Call, kindred.BatchMax+1)})
	f.Add(small)
	f.Add(large)
	f.Add([]byte{10, 200, 1})
	c := newCodec()
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &pb.PipelineRequest{}
		err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m)
		if err == nil && len(m.Calls) > kindred.BatchMax {
			t.Fatalf("%d calls got through", len(m.Calls))
		}
		if want := proto.Unmarshal(b, &pb.PipelineRequest{}); want != nil && err == nil {
			t.Fatalf("malformed, and accepted: %v", want)
		}
	})
}
