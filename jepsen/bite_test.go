package jepsen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

// victim is a cluster under a nemesis, as the probes see it.
type victim struct {
	*testing.T
	c    *local.Cluster
	wire *netns.Network
	// what is what the nemesis says it did, ages how often ticks had been written to
	// each disk when it was done.
	what string
	ages map[string]int
	was  netns.Stats
}

// probes show for every kind of nemesis that it does something. One that did nothing
// would make every storm pass.
var probes = map[string]func(*victim){
	"cut": (*victim).cutOff, "one-way": (*victim).cutOff, "wire-cut": (*victim).cutOff,
	"ring": func(v *victim) {
		v.reaches(v.named()[0], 3)
		v.reaches(v.named()[3], 3)
	},
	"bridge": func(v *victim) {
		sides := strings.Split(v.what, " - ")
		v.reaches(sides[1], 5)
		v.reaches(strings.Split(sides[0], ",")[0], 3)
		v.reaches(strings.Split(sides[2], ",")[0], 3)
	},
	"swizzle": func(v *victim) {
		v.reaches(v.named()[0], 1)
		v.reaches(v.named()[1], 1)
	},
	"slow": func(v *victim) {
		late, err := time.ParseDuration(v.what[strings.LastIndex(v.what, " ")+1:])
		require.NoError(v, err)
		began := time.Now()
		v.replicas(v.named()[0], "a", 2*time.Second)
		require.GreaterOrEqual(v, time.Since(began), late)
	},
	"jitter": func(v *victim) {
		seen := map[string]bool{}
		require.Eventually(v, func() bool {
			status, err := v.c.Status()
			require.NoError(v, err)
			for _, n := range status.Nodes {
				seen[n.Faults.Delay] = true
			}
			return len(seen) > 5
		}, patience, time.Millisecond, "delays that change")
	},
	"wire-loss": func(v *victim) {
		v.counts("packets that are lost, and that arrive twice", func(s netns.Stats) bool {
			return s.Lost > v.was.Lost && s.Doubled > v.was.Doubled
		})
	},
	"wire-late": func(v *victim) {
		v.counts("late packets", func(s netns.Stats) bool { return s.Late > v.was.Late })
		began := time.Now()
		v.replicas("n1", "a", 2*time.Second)
		v.replicas("n2", "a", 2*time.Second)
		require.Greater(v, time.Since(began), 2*time.Millisecond)
	},
	"wire-spoil": func(v *victim) {
		v.counts("spoilt packets", func(s netns.Stats) bool { return s.Spoilt > v.was.Spoilt })
		require.Eventually(v, func() bool { return v.logged("checksum") }, patience, 50*time.Millisecond, "somebody notices")
	},
	"hostile": func(v *victim) {
		require.Eventually(v, func() bool {
			return v.logged("refused a link") && v.logged("not supported") && v.sum(`kindred_requests_total\{code="invalid".*`) > 0
		}, patience, 50*time.Millisecond, "nodes, gossip and clients' doors refuse")
	},
	"pause": func(v *victim) { v.silent(v.named()[0]) },
	"starve": func(v *victim) {
		require.Eventually(v, func() bool {
			began := time.Now()
			require.NotEmpty(v, v.ask(v.named()[0], "/healthz", patience), "it lives")
			return time.Since(began) > 100*time.Millisecond
		}, patience, time.Millisecond, "and keeps people waiting")
	},
	"clock": func(v *victim) {
		n, err := v.c.Node(v.named()[0])
		require.NoError(v, err)
		key := 0
		require.Eventually(v, func() bool {
			// One that goes forth and back is right half of the time, and keys that the node
			// is no home of go by another clock.
			key++
			req, err := http.NewRequest(http.MethodPut, fmt.Sprintf("http://%s/v1/buckets/probe/keys/ttl-%d?ttl=1h&timeout=2s", n.HTTP, key), strings.NewReader("v"))
			require.NoError(v, err)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			res.Body.Close()
			at, err := time.Parse(time.RFC3339Nano, res.Header.Get("Kindred-Expires-At"))
			return err == nil && time.Until(at.Add(-time.Hour)).Abs() > 500*time.Millisecond
		}, patience, 20*time.Millisecond, "an hour ends when the clock of that node says so")
	},
	"twin": func(v *victim) {
		require.Contains(v, v.what, "is refused")
		require.NotEmpty(v, v.ask(v.named()[0], "/healthz", patience))
	},
	"kill": (*victim).dead, "wipe": func(v *victim) {
		v.dead()
		for _, n := range v.named() {
			left, err := os.ReadDir(v.data(n))
			require.NoError(v, err)
			require.Empty(v, left)
		}
	},
	"power": func(v *victim) {
		v.dead()
		lost, _ := os.ReadFile(filepath.Join(v.data(v.named()[0]), "unsynced"))
		require.Empty(v, lost, "it was not on the disk")
		require.FileExists(v, filepath.Join(v.data(v.named()[0]), "FORMAT"))
	},
	"image": func(v *victim) {
		v.dead()
		now := v.tick(v.named()[0])
		require.NotZero(v, now)
		require.Less(v, now, v.ages[v.named()[0]], "an old disk")
	},
	"rot": (*victim).dead,
	"debt": func(v *victim) {
		require.Regexp(v, `wiped with [1-9][0-9]* hints`, v.what)
		v.silent(v.named()[0])
	},
	"hints-full": func(v *victim) {
		m := regexp.MustCompile(`^(.*) frozen, (n\d+) keeps [1-9]\d* hints and has no room for more$`).FindStringSubmatch(v.what)
		require.NotNil(v, m, v.what)
		for _, frozen := range strings.Split(m[1], ",") {
			v.silent(frozen)
		}
		hints := v.replication(m[2]).Hints
		require.GreaterOrEqual(v, hints.Bytes*2, hints.BytesMax, "one of its shards is full")
		require.Eventually(v, func() bool { return v.sum("kindred_hints_refused_total") > 0 }, patience, time.Millisecond)
	},
	"audit-cut": func(v *victim) {
		require.Regexp(v, `(killed|frozen) with [1-9]\d* of \d+ to go`, v.what)
		victim := v.named()[len(v.named())-1]
		if strings.Contains(v.what, "killed") {
			require.Equal(v, local.Stopped, v.state(victim))
		} else {
			v.silent(victim)
		}
	},
	"disk-error": func(v *victim) {
		require.Eventually(v, func() bool { return v.state(v.named()[0]) == local.Stopped }, patience, 20*time.Millisecond, "it says so and stops")
	},
	"disk-full": func(v *victim) {
		name := v.named()[0]
		require.Eventually(v, func() bool {
			return v.state(name) == local.Stopped || strings.Contains(v.ask(name, "/v1/cluster", time.Second), "disk")
		}, patience, 50*time.Millisecond, "it says so, or stops")
	},
	"disk-slow": func(v *victim) {
		n, err := v.c.Node(v.named()[0])
		require.NoError(v, err)
		slowest := time.Duration(0)
		require.Eventually(v, func() bool {
			began := time.Now()
			key := fmt.Sprint("slow-", began.UnixNano())
			req, err := http.NewRequest(http.MethodPut, "http://"+n.HTTP+"/v1/buckets/probe/keys/"+key+"?durability=sync&w=all&timeout=5s", strings.NewReader("v"))
			require.NoError(v, err)
			res, err := http.DefaultClient.Do(req)
			if err == nil {
				res.Body.Close()
			}
			slowest = max(slowest, time.Since(began))
			return slowest > 200*time.Millisecond
		}, patience, time.Millisecond)
	},
}

// patience is how long a fault may take to show.
const patience = 15 * time.Second

var nodeName = regexp.MustCompile(`\bn[0-9]+\b`)

// named are the nodes that the nemesis says it hurt, each once.
func (v *victim) named() (names []string) {
	for _, n := range nodeName.FindAllString(v.what, -1) {
		if !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	return names
}

func (v *victim) state(name string) local.State {
	n, err := v.c.Node(name)
	require.NoError(v, err)
	return n.State
}

func (v *victim) data(name string) string { return filepath.Join(v.c.Dir(), name, "data") }

func (v *victim) dead() {
	for _, n := range v.named() {
		require.Equal(v, local.Stopped, v.state(n))
	}
}

// ask gets a page of a node, empty if it does not answer in time.
func (v *victim) ask(name, path string, within time.Duration) string {
	n, err := v.c.Node(name)
	require.NoError(v, err)
	c := http.Client{Timeout: within, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get("http://" + n.HTTP + path)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(page) + " "
}

func (v *victim) silent(name string) { require.Empty(v, v.ask(name, "/healthz", 300*time.Millisecond)) }

// replication is what a node says of its replicas.
func (v *victim) replication(name string) api.ReplicationDoc {
	var doc struct{ Replication api.ReplicationDoc }
	require.NoError(v, json.Unmarshal([]byte(v.ask(name, "/v1/local", patience)), &doc))
	return doc.Replication
}

// replicas asks a node for the replicas of a key, and reports whom it has heard.
func (v *victim) replicas(name, key string, within time.Duration) (heard map[string]bool) {
	heard = map[string]bool{name: true}
	page := v.ask(name, fmt.Sprintf("/v1/buckets/probe/keys/%s/replicas?timeout=%s", key, within), within+time.Second)
	var doc struct {
		Replicas []struct{ Node, Error string }
	}
	if json.Unmarshal([]byte(page), &doc) != nil {
		return heard // it was too busy to answer
	}
	for _, r := range doc.Replicas {
		if r.Error == "" {
			heard[r.Node] = true
		}
	}
	return heard
}

// heard is whom a node hears within a moment.
func (v *victim) heard(name string) (names []string) {
	keys := []string{"a", "b", "c", "d"} // all nodes are homes of one of them
	found := make([]map[string]bool, len(keys))
	var asked sync.WaitGroup
	for i, key := range keys {
		asked.Go(func() { found[i] = v.replicas(name, key, 150*time.Millisecond) })
	}
	asked.Wait()
	all := map[string]bool{}
	for _, f := range found {
		maps.Copy(all, f)
	}
	return slices.Sorted(maps.Keys(all))
}

// reaches demands that a node hears so many nodes, itself included.
func (v *victim) reaches(name string, want int) {
	var heard []string
	require.Eventually(v, func() bool {
		heard = v.heard(name)
		return len(heard) == want
	}, patience, time.Millisecond, "%s: %s hears %d", v.what, name, want)
}

// cutOff demands that one of the left side hears nobody on the right.
func (v *victim) cutOff() {
	sides := regexp.MustCompile(` \| | -/-> |, every`).Split(v.what, -1)
	left, right := strings.Split(sides[0], ","), strings.Split(sides[1], ",")
	v.reaches(left[0], len(left))
	if strings.Contains(v.what, " | ") {
		v.reaches(right[0], len(right))
	}
}

func (v *victim) counts(what string, enough func(netns.Stats) bool) {
	require.Eventually(v, func() bool { return enough(v.wire.Stats()) }, patience, time.Millisecond, what)
}

// logged reports whether the log of any node has a word.
func (v *victim) logged(word string) bool {
	status, err := v.c.Status()
	require.NoError(v, err)
	return slices.ContainsFunc(status.Nodes, func(n local.Node) bool {
		log, err := os.ReadFile(n.LogFile)
		require.NoError(v, err)
		return strings.Contains(string(log), word)
	})
}

// sum is a metric over all nodes.
func (v *victim) sum(pattern string) (sum float64) {
	status, err := v.c.Status()
	require.NoError(v, err)
	for _, n := range status.Nodes {
		for _, m := range regexp.MustCompile(`(?m)^`+pattern+` (\S+)$`).FindAllStringSubmatch(v.ask(n.Name, "/metrics", time.Second), -1) {
			x, err := strconv.ParseFloat(m[1], 64)
			require.NoError(v, err)
			sum += x
		}
	}
	return sum
}

// tick is how often a disk was written to.
func (v *victim) tick(name string) int {
	b, err := os.ReadFile(filepath.Join(v.data(name), "ticks"))
	require.NoError(v, err)
	return len(b)
}

// ticking writes to all disks until the end of it, and says how often it did.
func ticking(t *testing.T, c *local.Cluster, names []string) (end func() map[string]int) {
	stop, done, ages := make(chan struct{}), make(chan struct{}), map[string]int{}
	for _, n := range names {
		// Of a loss of power: nobody syncs it.
		require.NoError(t, os.WriteFile(filepath.Join(c.Dir(), n, "data", "unsynced"), []byte("v"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(c.Dir(), n, "data", "ticks"), nil, 0o600))
	}
	go func() {
		defer close(done)
		for {
			for _, n := range names {
				f, err := os.OpenFile(filepath.Join(c.Dir(), n, "data", "ticks"), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					continue // its disk is broken or empty
				}
				if _, err := f.WriteString("."); err == nil {
					ages[n]++
				}
				f.Close()
			}
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	return func() map[string]int { close(stop); <-done; return ages }
}

// bite lets one nemesis hurt the cluster, shows that it does, and heals.
func bite(ctx context.Context, t *testing.T, e jepsen.Events, k nemesis.Kind, target nemesis.Target) {
	began := time.Now()
	names := target.Nodes
	v := &victim{T: t, c: target.Cluster, wire: target.Wire}
	if v.wire != nil {
		v.was = v.wire.Stats()
	}
	end := func() map[string]int { return nil }
	if k.Name == "power" || k.Name == "image" {
		end = ticking(t, target.Cluster, names)
	}
	n := k.New(target)
	defer func() {
		if t.Failed() {
			_ = n.Heal(ctx)
		}
	}()
	what, err := n.Hurt(ctx)
	healed := e.Begin(k.Name, what)
	v.what, v.ages = what, end()
	require.NoError(t, err, "%s: %s", k.Name, what)
	probe := probes[k.Name]
	require.NotNil(t, probe, "no probe shows that nemesis %s does anything", k.Name)
	probe(v)
	shown := time.Since(began)
	require.NoError(t, n.Heal(ctx))
	healed()
	require.NoError(t, n.Heal(ctx), "there is nothing left to heal")
	for _, name := range names {
		require.NotEqual(t, local.Stopped, v.state(name), "%s: what was taken down has a process again", name)
	}
	_, _, err = local.Start(ctx, local.Options{Dir: target.Cluster.Dir()}) // waits until all are ready
	require.NoError(t, err, k.Name)
	t.Logf("%-10s %s; shown in %v, healed after %v", k.Name, what, shown.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// TestEveryNemesisBites: each of them does to five real processes what it says, while
// clients work; what it did is healed, and nothing that they were promised is broken.
// As root the processes are in network namespaces with disks of their own; else some
// nemeses cannot be shown.
func TestEveryNemesisBites(t *testing.T) {
	if !netns.Inside() && netns.Missing() == nil {
		require.NoError(t, netns.Enter([]string{
			"-test.run=^TestEveryNemesisBites$", "-test.v", fmt.Sprintf("-seed=%d", *stormSeed), "-histories=" + *keepRuns, "-bites=" + *bitesOf,
		}, kvnodeEnv+"="+kvnode))
		return
	}
	kinds, left, err := nemesis.Parse([]string{nemesis.Every})
	require.NoError(t, err)
	for _, l := range left {
		t.Logf("not shown: %v", l)
	}
	const nodes = 5
	var wire *netns.Network
	if netns.Inside() {
		require.Empty(t, left)
		wire, err = netns.New(nodes)
		require.NoError(t, err)
		defer wire.Close()
	}
	c, end, err := jepsen.StartCluster(t.Context(), jepsen.ClusterOptions{
		KVNode: kvnode, Dir: filepath.Join(t.TempDir(), "cluster"), Nodes: nodes, Zones: 3, N: 3, Nemeses: kinds, Wire: wire,
	})
	require.NoError(t, err)
	defer func() {
		if t.Failed() {
			keepLogs(t, c)
		}
		require.NoError(t, end(false))
	}()
	target := nemesis.Target{Cluster: c, Wire: wire, Disks: 1}
	status, err := c.Status()
	require.NoError(t, err)
	for _, n := range status.Nodes {
		target.Nodes = append(target.Nodes, n.Name)
	}
	seed := *stormSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("nemeses of seed %d", seed)
	run := attempt(t, jepsen.Plan{
		Cluster: c, Workloads: workload.Kinds(), Clients: 3, Keys: 24, Pause: 20 * time.Millisecond,
		Script: func(ctx context.Context, e jepsen.Events) error {
			for i, k := range kinds {
				if *bitesOf != "" && !slices.Contains(strings.Split(*bitesOf, ","), k.Name) {
					continue
				}
				if k.Loses == nemesis.Disk {
					require.NoError(t, e.Agree(ctx))
				}
				target.Random = rand.New(rand.NewPCG(seed, uint64(i)))
				bite(ctx, t, e, k, target)
			}
			return nil
		},
	})
	require.Equal(t, report.Held, run.Verdict(), run.Headline())
}
