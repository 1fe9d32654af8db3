package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
)

// three is a cluster of three nodes that are ready, and the address to join it.
func three(t *testing.T) (nodes []*Node, seed string) { return threeOf(t, 16) }

// threeOf is three nodes that share so many partitions.
func threeOf(t *testing.T, partitions int) (nodes []*Node, seed string) {
	for i := range 3 {
		cfg := config(t, fmt.Sprintf("n%d", i+1))
		cfg.Expect, cfg.Zone, cfg.Partitions = 3, cfg.Name, partitions
		if seed == "" {
			seed = cfg.GossipAddr
		} else {
			cfg.Join = []string{seed}
		}
		nodes = append(nodes, start(t, cfg))
	}
	awaitReady(t, nodes...)
	awaitLinks(t, nodes...)
	return nodes, seed
}

func TestThreeNodesFormAClusterAndServeOneAnother(t *testing.T) {
	nodes, seed := three(t)
	for i, n := range nodes {
		key := fmt.Sprint("k", i)
		resp := do(t, n, put(key, key))
		require.Nil(t, resp.Err)
		require.GreaterOrEqual(t, len(resp.Receipt.Acked), 2)
		for _, other := range nodes {
			require.Equal(t, "["+key+"]", values(do(t, other, get(key))))
		}
	}
	var info kindred.Cluster
	require.Eventually(t, func() bool {
		info = nodes[0].Cluster()
		return len(info.Members) == 3 && len(info.Problems) == 0
	}, patience, 10*time.Millisecond, "%v", info.Problems)
	for _, m := range info.Members {
		require.Equal(t, kindred.Alive, m.State)
		require.Equal(t, 16, m.Partitions)
		require.NotEmpty(t, m.GossipAddr)
	}
	// A scan through the node's own page loop sees all keys.
	resp := do(t, nodes[1], kindred.Request{Op: kindred.OpScan})
	require.Nil(t, resp.Err)
	require.Len(t, resp.Keys, 3)
	require.Empty(t, resp.Cursor)

	// A node that joins later owns nothing, says so, and still serves.
	cfg := config(t, "n4")
	cfg.Expect, cfg.Join = 0, []string{seed}
	late := start(t, cfg)
	awaitReady(t, late)
	awaitLinks(t, append(nodes, late)...)
	require.Equal(t, "[k1]", values(do(t, late, get("k1"))))
	require.Nil(t, do(t, late, put("k9", "through a stranger")).Err)
	require.Contains(t, late.Cluster().Problems, "n4 is a member without partitions until a plan gives it some")
}

// What admission lets in gets through to peers that are idle: a burst of large
// values is more than the queue for small messages holds.
func TestABurstOfLargeValuesReachesIdlePeers(t *testing.T) {
	nodes, _ := three(t)
	const burst = 24
	value := bytes.Repeat([]byte("x"), 1<<20)
	for _, op := range []kindred.Op{kindred.OpPut, kindred.OpGet} {
		answers := make(chan *kindred.Response, burst)
		for i := range burst {
			// What is dropped on the way never comes; what is slow is no matter here.
			req := kindred.Request{Op: op, Bucket: "b", Key: fmt.Sprint(i), Timeout: time.Minute}
			if op == kindred.OpPut {
				req.Value = value
			}
			nodes[0].Do(&req, func(r *kindred.Response) { answers <- r })
		}
		for range burst {
			require.Nil(t, (<-answers).Err, "%v", op)
		}
	}
}

// I2, Lesson 3: every start mints as somebody else, and data stays.
func TestARestartKeepsDataAndIsANewIncarnation(t *testing.T) {
	cfg := config(t, "n1")
	n := start(t, cfg)
	awaitReady(t, n)
	dots := map[string]bool{}
	for i := range 3 {
		resp := do(t, n, put(fmt.Sprint("k", i), "v"))
		require.Nil(t, resp.Err)
		dots[resp.Receipt.Dot[:32]] = true
		require.EqualValues(t, i+1, n.self.Start)
		require.NoError(t, n.Stop(context.Background()))
		n = start(t, cfg)
		awaitReady(t, n)
		for j := range i + 1 {
			require.Equal(t, "[v]", values(do(t, n, get(fmt.Sprint("k", j)))))
		}
	}
	require.Len(t, dots, 3)
}

func TestAFolderBelongsToOneNodeAndOneProcess(t *testing.T) {
	cfg := config(t, "n1")
	n := start(t, cfg)
	second := config(t, "n1")
	second.DataDir = cfg.DataDir
	_, err := Start(context.Background(), second)
	var locked *storage.LockedError
	require.ErrorAs(t, err, &locked)
	require.ErrorContains(t, err, cfg.DataDir)

	require.NoError(t, n.Stop(context.Background()))
	second.Name = "n2"
	_, err = Start(context.Background(), second)
	var name *NameError
	require.ErrorAs(t, err, &name)
	require.ErrorContains(t, err, `belongs to node "n1", this is node "n2"`)
}

func TestABusyPortIsNamedAndTheFolderIsFreeAgain(t *testing.T) {
	n := start(t, config(t, "n1"))
	for setting, set := range map[string]func(*Config){
		"client-addr": func(c *Config) { c.ClientAddr = n.cfg.ClientAddr },
		"http-addr":   func(c *Config) { c.HTTPAddr = n.cfg.HTTPAddr },
		"peer-addr":   func(c *Config) { c.PeerAddr = n.cfg.PeerAddr },
		"gossip-addr": func(c *Config) { c.GossipAddr = n.cfg.GossipAddr },
	} {
		cfg := config(t, "n2")
		set(&cfg)
		_, err := Start(context.Background(), cfg)
		require.ErrorContains(t, err, "--"+setting)
		free := config(t, "n2")
		free.DataDir = cfg.DataDir
		require.NoError(t, start(t, free).Stop(context.Background()), setting)
	}
}

// fullFS is a disk whose free space the test says.
type fullFS struct {
	vfs.FS
	free atomic.Uint64
}

func (f *fullFS) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: f.free.Load(), TotalBytes: 1 << 40}, nil
}

func TestAFullDiskRefusesWritesServesReadsAndRecovers(t *testing.T) {
	disk := &fullFS{FS: vfs.NewMem()}
	disk.free.Store(10 << 30)
	cfg := config(t, "n1")
	cfg.Store.FS = disk
	n := start(t, cfg)
	awaitReady(t, n)
	require.Nil(t, do(t, n, put("k", "v")).Err)

	disk.free.Store(100 << 20)
	var refused *kindred.Error
	require.Eventually(t, func() bool {
		refused = do(t, n, put("k2", "v")).Err
		return refused != nil
	}, patience, 50*time.Millisecond)
	require.Equal(t, kindred.CodeDiskFull, refused.Code)
	require.Equal(t, kindred.NotApplied, refused.Outcome)
	require.Equal(t, "n1 takes no writes: storage: the disk of "+cfg.DataDir+" is full: 100 MiB free, 256 MiB needed: "+
		"free space on it or give it more; writes resume by themselves", refused.Message)
	require.Equal(t, "[v]", values(do(t, n, get("k"))))
	require.Contains(t, n.Cluster().Problems, refused.Message)

	disk.free.Store(10 << 30)
	require.Eventually(t, func() bool { return do(t, n, put("k3", "v")).Err == nil }, patience, 50*time.Millisecond)
	require.NotContains(t, n.Cluster().Problems, refused.Message)
}

func TestStopAnswersWhatRunsAndEndsOnce(t *testing.T) {
	n := start(t, config(t, "n1"))
	awaitReady(t, n)
	var answered atomic.Int64
	const puts = 200
	for i := range puts {
		req := put(fmt.Sprint("k", i), "v")
		req.Bucket = "b"
		n.Do(&req, func(*kindred.Response) { answered.Add(1) })
	}
	require.NoError(t, n.Stop(context.Background()))
	require.NoError(t, n.Stop(context.Background()))
	<-n.Done()
	require.NoError(t, n.Err())
	require.EqualValues(t, puts, answered.Load(), "each is answered, if only with the truth")
	late := put("late", "v")
	late.Bucket = "b"
	resp := make(chan *kindred.Response, 1)
	n.Do(&late, func(r *kindred.Response) { resp <- r })
	require.Equal(t, kindred.CodeStopping, (<-resp).Err.Code)
}

func TestMetricsNameWhatHappened(t *testing.T) {
	book := &logBook{}
	cfg := config(t, "n1")
	cfg.Logger = slog.New(slog.NewTextHandler(book, nil))
	n := start(t, cfg)
	awaitReady(t, n)
	require.Nil(t, do(t, n, put("k", "v")).Err)
	resp, err := http.Get("http://" + n.addrs.http + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	buf := new(logBook)
	_, err = buf.buf.ReadFrom(resp.Body)
	require.NoError(t, err)
	for _, want := range []string{
		"kindred_coordinated_writes_total 1", "kindred_ready 1", "kindred_partitions 16", "kindred_start 1",
		"kindred_store_bytes ", "go_goroutines ", "process_resident_memory_bytes ",
	} {
		require.Contains(t, buf.String(), want)
	}
	require.Contains(t, book.String(), "data folder opened")
}

func TestManySiblingsAreWarnedOf(t *testing.T) {
	book := &logBook{}
	cfg := config(t, "n1")
	cfg.Logger = slog.New(slog.NewTextHandler(book, nil))
	n := start(t, cfg)
	awaitReady(t, n)
	for i := range kindred.SiblingsWarn {
		require.Nil(t, do(t, n, put("hot", fmt.Sprint(i))).Err)
	}
	require.NotContains(t, book.String(), "many siblings")
	require.Nil(t, do(t, n, put("hot", "one more")).Err)
	require.Eventually(t, func() bool { return strings.Contains(book.String(), "many siblings") }, patience, 20*time.Millisecond)
	require.Contains(t, book.String(), `level=WARN msg="writes left many siblings on their keys: read them and put with the context of the read; `+
		"`kvcli scan B --conflicts-only` lists them\" ")
	require.Contains(t, book.String(), " writes=1 more_than=64 refused_from=1024\n")
}

func TestSettingsThatCannotBeAreNamed(t *testing.T) {
	for setting, set := range map[string]func(*Config){
		"name":            func(c *Config) { c.Name = "a b" },
		"data-dir":        func(c *Config) { c.DataDir = "" },
		"zone":            func(c *Config) { c.Zone = "" },
		"expect":          func(c *Config) { c.Expect = -1 },
		"partitions":      func(c *Config) { c.Partitions = 100 },
		"replicas":        func(c *Config) { c.Replicas = 17 },
		"shards":          func(c *Config) { c.Shards = 0 },
		"fault-injection": func(c *Config) { c.FaultInjection, c.Production = true, true },
		"faults":          func(c *Config) { c.Faults.Delay = time.Second },
		"client-addr":     func(c *Config) { c.ClientAddr = "0.0.0.0:7400" },
		"peer-addr":       func(c *Config) { c.PeerAddr = "7401" },
		"join":            func(c *Config) { c.Join = []string{"n2"} },
		"gossip-addr":     func(c *Config) { c.GossipAddr = "127.0.0.1:70000" },
		"http-addr":       func(c *Config) { c.HTTPAddr = "127.0.0.1:abc" },
		"advertise":       func(c *Config) { c.Advertise = "host:7400" },
	} {
		cfg := config(t, "n1")
		set(&cfg)
		_, err := Start(context.Background(), cfg)
		var bad *ConfigError
		require.True(t, errors.As(err, &bad), "%s: %v", setting, err)
		require.Equal(t, setting, bad.Setting)
	}
	cfg := config(t, "n1")
	cfg.ClientAddr, cfg.Insecure = "0.0.0.0:7400", true
	require.NoError(t, cfg.Validate())
}
