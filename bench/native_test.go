//go:build !race

package bench

import (
	"bytes"
	"context"
	"flag"
	"testing"

	"github.com/kindredkv/kindred/client"
)

var nativePairs = flag.Int("native", 0, "compare the native link with gRPC in so many pairs of loads")

// TestNativeLinkBesideGRPC compares what carries the operations of clients: two clients
// of one cluster take turns, with one caller and with many. CPU time of all processes,
// client included. It measures and judges nothing: what is left of the difference
// depends on the machine.
func TestNativeLinkBesideGRPC(t *testing.T) {
	if *nativePairs == 0 {
		t.Skip("go test ./bench -run NativeLink -v -native 5")
	}
	cluster, value := startCluster(t, 3), bytes.Repeat([]byte("v"), 100)
	type side struct {
		name   string
		bucket *client.Bucket
		cpu    map[string][]float64
		rates  map[string][]float64
	}
	sides := []*side{
		{name: "gRPC", bucket: dial(t, cluster, client.WithGRPCOnly()).Bucket("bench")},
		{name: "native", bucket: dial(t, cluster).Bucket("bench")},
	}
	for _, s := range sides {
		s.cpu, s.rates = map[string][]float64{}, map[string][]float64{}
		load(t, cluster, putter(s.bucket, 0, value)) // warm
	}
	loads := []struct {
		name    string
		callers int
		get     bool
	}{{"put, one caller", 1, false}, {"get, one caller", 1, true}, {"put, 64 callers", callers, false}, {"get, 64 callers", callers, true}}
	for pair := range *nativePairs {
		for _, l := range loads {
			for turn := range sides {
				s := sides[(turn+pair)%2] // who begins changes
				op := putter(s.bucket, 1+2*pair+turn, value)
				if l.get {
					op = func(ctx context.Context, n int64) error {
						_, err := s.bucket.Get(ctx, keyOf(0, n%1_000+1))
						return err
					}
				}
				c := loadBy(t, l.callers, cluster, op)
				s.cpu[l.name], s.rates[l.name] = append(s.cpu[l.name], c.perOp()), append(s.rates[l.name], c.rate())
				t.Logf("%-16s %-6s %v", l.name, s.name, c)
			}
		}
	}
	for _, l := range loads {
		a, b := sides[0], sides[1]
		t.Logf("%-16s native %.2f of the CPU of gRPC, %.2f of its rate", l.name,
			mean(b.cpu[l.name])/mean(a.cpu[l.name]), mean(b.rates[l.name])/mean(a.rates[l.name]))
	}
}
