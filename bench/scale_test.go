//go:build !race

package bench

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// Gates are goals: a miss is told in the report. What is beyond the limits fails.
const (
	// NineGate and NineMax are for the CPU of an operation at nine nodes, as a multiple of
	// that at three.
	NineGate, NineMax = 1.4, 2.5
	// ManyGate and ManyMax are for the CPU of a get among ManyKeys keys as a multiple of
	// one among fewKeys, which are all in memory.
	ManyGate, ManyMax = 2.5, 5.0
	ManyKeys          = 10_000_000
	fewKeys           = 10_000
	// ManyResidentMiB is for the memory of a node with ManyKeys keys.
	ManyResidentMiB = 700
	scaleRounds     = 5
)

var (
	scale       = flag.Bool("scale", false, "run the tests with nine nodes and with ten million keys")
	scaleReport = flag.String("scales", "", "write what size costs into this file")
)

const scaleHead = `# What size costs

Written by ` + "`make bench-scale UPDATE=1`" + `, not by hand. CPU is that of all processes that take part, the load generator included, per operation; values of 100 bytes, n = 3, R = W = 2, durability ` + "`batch`" + `.
`

// turns are what one contestant used, in the order of the rounds.
type turns struct {
	cluster *local.Cluster
	bucket  *client.Bucket
	callers int
	put     []float64
	get     []float64
}

// TestNineNodesAgainstThree asks three and nine nodes in turns, with callers in
// proportion.
func TestNineNodesAgainstThree(t *testing.T) {
	if !*scale {
		t.Skip("twelve nodes on one machine take a minute: run with -scale")
	}
	value := bytes.Repeat([]byte("v"), 100)
	contestant := func(nodes int) *turns {
		cluster := startCluster(t, nodes)
		c := &turns{cluster: cluster, bucket: dial(t, cluster).Bucket("scale"), callers: callers * nodes / 3}
		fill(t, c.bucket, fewKeys)
		return c
	}
	three, nine := contestant(3), contestant(9)
	for round := range scaleRounds {
		for _, c := range []*turns{three, nine} {
			put := loadBy(t, c.callers, c.cluster, putter(c.bucket, round+1, value))
			got := loadBy(t, c.callers, c.cluster, anyOf(c.bucket, fewKeys))
			c.put, c.get = append(c.put, put.perOp()), append(c.get, got.perOp())
			t.Logf("%3d callers: put %v, get %v", c.callers, put, got)
		}
	}
	text := fmt.Sprintf("## Nine nodes beside three\n\n%d callers ask three nodes, %d nine, in %d turns of %v on the same processors.\n\n"+
		"| | 3 nodes, CPU µs | 9 nodes, CPU µs | ratio, median | least to greatest | gate | |\n| --- | --: | --: | --: | --: | --: | --- |\n",
		three.callers, nine.callers, scaleRounds, *seconds)
	for _, op := range []struct {
		name        string
		three, nine []float64
	}{{"put", three.put, nine.put}, {"get", three.get, nine.get}} {
		ratios := quotients(op.nine, op.three)
		text += fmt.Sprintf("| %s | %.1f | %.1f | %.2f | %s | ≤ %.1f | %s |\n",
			op.name, middle(op.three), middle(op.nine), middle(ratios), span(ratios), NineGate, verdict(ratios, NineGate))
		require.LessOrEqual(t, middle(ratios), NineMax, op.name)
	}
	t.Log(text)
	report(t, *scaleReport, scaleHead, "nine nodes", text)
}

// TestTenMillionKeys asks for any of so many keys that neither objects nor blocks of
// them are in the memory of a node, and in turns for few that are.
func TestTenMillionKeys(t *testing.T) {
	if !*scale {
		t.Skip("loading ten million keys takes ten minutes: run with -scale")
	}
	cluster := startCluster(t, 3)
	bucket := dial(t, cluster).Bucket("scale")
	fill(t, bucket, ManyKeys)
	awaitOrder(t, cluster)
	var few, many []float64
	for range scaleRounds {
		cached := load(t, cluster, anyOf(bucket, fewKeys))
		any := load(t, cluster, anyOf(bucket, ManyKeys))
		few, many = append(few, cached.perOp()), append(many, any.perOp())
		t.Logf("%d keys: %v; %d keys: %v", fewKeys, cached, ManyKeys, any)
	}
	ratios := quotients(many, few)
	text := fmt.Sprintf("## Ten million keys\n\nThree nodes, %d callers, gets of any of %d keys and of any of %d, in %d turns of %v, once no table is compacted any more. The files are in the page cache of the system, as far as it has room.\n\n"+
		"| | %d keys, CPU µs | %d keys, CPU µs | ratio, median | least to greatest | gate | |\n| --- | --: | --: | --: | --: | --: | --- |\n"+
		"| get | %.1f | %.1f | %.2f | %s | ≤ %.1f | %s |\n\n",
		callers, ManyKeys, fewKeys, scaleRounds, *seconds, fewKeys, ManyKeys,
		middle(few), middle(many), middle(ratios), span(ratios), ManyGate, verdict(ratios, ManyGate))
	status, err := cluster.Status()
	require.NoError(t, err)
	text += "| node | MiB resident |\n| --- | --: |\n"
	for _, n := range status.Nodes {
		mib := residentBytes(t, n.PID) >> 20
		text += fmt.Sprintf("| %s | %d |\n", n.Name, mib)
		require.LessOrEqual(t, mib, ManyResidentMiB, "MiB resident")
	}
	t.Log(text)
	require.LessOrEqual(t, middle(ratios), ManyMax)
	report(t, *scaleReport, scaleHead, "ten million keys", text)
}

// fill puts so many keys, each with a value of its own that does not compress.
func fill(t *testing.T, bucket *client.Bucket, keys int64) {
	each(t, keys, func(n int64) error {
		value := make([]byte, 100)
		_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}).Read(value)
		_, err := bucket.Put(context.Background(), keyOf(0, n), value)
		return err
	})
}

// awaitOrder waits until no node has compacted anything for some seconds.
func awaitOrder(t *testing.T, c *local.Cluster) {
	const still, patience = 4 * time.Second, 5 * time.Minute
	status, err := c.Status()
	require.NoError(t, err)
	for began, since, last := time.Now(), time.Now(), int64(-1); time.Since(since) < still; <-time.After(still / 4) {
		require.Less(t, time.Since(began), patience, "compactions do not end")
		var now int64
		for _, n := range status.Nodes {
			now += metric(n.HTTP, "kindred_store_compactions_total")
		}
		if now != last {
			since, last = time.Now(), now
		}
	}
}

// anyOf gets any of so many keys that were filled.
func anyOf(bucket *client.Bucket, keys int64) func(context.Context, int64) error {
	return func(ctx context.Context, _ int64) error {
		_, err := bucket.Get(ctx, keyOf(0, 1+rand.Int64N(keys)))
		return err
	}
}

func quotients(of, by []float64) (out []float64) {
	for i := range of {
		out = append(out, of[i]/by[i])
	}
	return out
}

func middle(of []float64) float64 { return slices.Sorted(slices.Values(of))[len(of)/2] }

func span(of []float64) string { return fmt.Sprintf("%.2f to %.2f", slices.Min(of), slices.Max(of)) }

func verdict(ratios []float64, gate float64) string {
	if middle(ratios) <= gate {
		return "met"
	}
	return "MISSED"
}
