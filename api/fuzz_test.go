package api_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// FuzzHostileRequests: whatever bytes a client sends, the answer is a request
// within the limits or an error that can be sent back.
func FuzzHostileRequests(f *testing.F) {
	seed, _ := proto.Marshal(&pb.PipelineRequest{Calls: []*pb.Call{
		api.FormatCall(1, &kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k", Value: []byte("v")}),
		api.FormatCall(2, &kindred.Request{Op: kindred.OpGet, Bucket: "b", Key: "k", R: -2}), {},
	}})
	f.Add(seed)
	f.Add([]byte{10, 0})
	f.Add([]byte{10, 2, 18, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &pb.PipelineRequest{}
		if proto.Unmarshal(b, m) == nil {
			for _, c := range m.Calls {
				r, err := api.ParseCall(c)
				judge(t, r, err)
			}
		}
		scan, inspect := &pb.ScanRequest{}, &pb.InspectRequest{}
		if proto.Unmarshal(b, scan) == nil {
			r, _, err := api.ParseScan(scan)
			judge(t, r, err)
		}
		if proto.Unmarshal(b, inspect) == nil {
			r, err := api.ParseInspect(inspect)
			judge(t, r, err)
		}
	})
}

func judge(t *testing.T, r *kindred.Request, err *kindred.Error) {
	t.Helper()
	if err == nil {
		if again := api.Check(r); again != nil {
			t.Fatalf("a request beyond its limits was let in: %v", again)
		}
		return
	}
	if err.Field == "" || err.Outcome != kindred.NotApplied {
		t.Fatalf("a refusal names no field or no outcome: %+v", err)
	}
	if _, bad := proto.Marshal(api.FormatError(err)); bad != nil {
		t.Fatal(bad)
	}
}

// FuzzHostileResponses: whatever bytes a server sends, the client goes on.
func FuzzHostileResponses(f *testing.F) {
	for _, r := range []*kindred.Response{
		filled[kindred.Response](),
		{Siblings: filled[kindred.Response]().Siblings},
	} {
		seed, _ := proto.Marshal(&pb.PipelineResponse{Results: []*pb.Result{api.FormatResult(1, kindred.OpGet, r)}})
		f.Add(seed)
	}
	describe, _ := proto.Marshal(api.FormatDescribe(filled[kindred.Cluster](), filled[kindred.Local]()))
	f.Add(describe)
	f.Fuzz(func(t *testing.T, b []byte) {
		results := &pb.PipelineResponse{}
		if proto.Unmarshal(b, results) == nil {
			for _, m := range results.Results {
				if r := api.ParseResult(m); r == nil {
					t.Fatal("no response")
				}
			}
		}
		scan, inspect, cluster := &pb.ScanResponse{}, &pb.InspectResponse{}, &pb.DescribeResponse{}
		if proto.Unmarshal(b, scan) == nil {
			api.ParseScanResponse(scan)
		}
		if proto.Unmarshal(b, inspect) == nil {
			for _, v := range api.ParseInspectResponse(inspect).Replicas {
				for _, s := range v.Siblings {
					if s.Bytes < 0 {
						t.Fatal("a size below zero")
					}
				}
			}
		}
		if proto.Unmarshal(b, cluster) == nil {
			api.ParseDescribe(cluster)
		}
	})
}
