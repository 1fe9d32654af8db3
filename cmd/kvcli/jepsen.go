package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

const (
	// runsDir is where runs are written and looked for.
	runsDir = "jepsen-runs"
	// jepsenNodes, jepsenZones and jepsenCopies are those of a cluster for a run.
	jepsenNodes, jepsenZones, jepsenCopies = 5, 3, 3
)

func (a *app) jepsenCommand() *cobra.Command {
	return parent("jepsen", "Break a cluster on purpose and judge what its clients were told",
		"  kvcli jepsen list\n  kvcli jepsen run --nemesis cut,kill --time 1m",
		a.jepsenRun(), a.jepsenList(), a.jepsenReplay())
}

// jepsenFlags are those of kvcli jepsen run.
type jepsenFlags struct {
	workloads, nemeses string
	out, kvnode        string
	plan               jepsen.Plan
	nodes, zones, n    int
	keep, netns        bool
	record             bool
	recordBytes        int64
	// recorded is the folder that nodes record to until the run has one.
	recorded string
}

func (f *jepsenFlags) register(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.workloads, "workload", "all", "what clients do: names from 'kvcli jepsen list', with commas between them, or all")
	flags.StringVar(&f.nemeses, "nemesis", nemesis.Every, "what goes wrong: names from 'kvcli jepsen list', all that this machine can do, or none")
	flags.DurationVar(&f.plan.Time, "time", time.Minute, "how long faults happen; the way to rest and the last reads come after it")
	flags.Uint64Var(&f.plan.Seed, "seed", 0, "what faults and intents are drawn from (default: one that is drawn and printed)")
	flags.IntVar(&f.nodes, "nodes", jepsenNodes, "number of nodes of the cluster that is started")
	flags.IntVar(&f.zones, "zones", jepsenZones, "number of zones that they are spread over")
	flags.IntVar(&f.n, "n", jepsenCopies, "copies of each key")
	flags.IntVar(&f.plan.R, "r", 0, "replicas that must answer a read (default: a majority)")
	flags.IntVar(&f.plan.W, "w", 0, "replicas that must hold a write (default: a majority)")
	flags.BoolVar(&f.plan.Strict, "strict", false, "let home replicas alone count toward r and w, no guests")
	flags.IntVar(&f.plan.Clients, "clients", jepsen.ClientsDefault, "clients of each workload; one in three goes to one node without the client library, and one in three dies now and then")
	flags.IntVar(&f.plan.Keys, "keys", jepsen.KeysDefault, "keys of each workload; few keys mean contention")
	flags.DurationVar(&f.plan.Pause, "pause", jepsen.PauseDefault, "time between two operations of one client")
	flags.DurationVar(&f.plan.Longest, "longest", nemesis.LongestDefault, "how long one fault lasts at most")
	flags.DurationVar(&f.plan.RestMax, "rest", jepsen.RestMaxDefault, "how long the cluster may take to come to rest after everything")
	flags.BoolVar(&f.plan.OverBudget, "over-budget", false, "allow for faults that take more than the copies can bear: then acknowledged writes may be lost")
	flags.StringVar(&f.out, "out", runsDir, "folder in which the run gets a folder of its own")
	flags.BoolVar(&f.netns, "netns", false, "as root: give the nodes network namespaces and disks of their own, which some nemeses need; nothing of that stays")
	flags.BoolVar(&f.keep, "keep", false, "keep the folder of the cluster that was started, with data and logs")
	flags.BoolVar(&f.record, "record", false, "let the nodes record what their shards are given, with keys and values, for 'kvcli jepsen replay'")
	flags.Int64Var(&f.recordBytes, "record-bytes", 0, "bytes that the recordings of one node may take; the oldest go first (default: that of kvnode)")
	flags.StringVar(&f.kvnode, "kvnode", "", "path of kvnode (default: beside kvcli, then on PATH)")
	completed(c, "workload", func() []string { return append(workloadNames(), "all") })
	completed(c, "nemesis", func() []string { return append(nemesisNames(), nemesis.Every, "none") })
}

func (a *app) jepsenRun() *cobra.Command {
	var f jepsenFlags
	c := &cobra.Command{
		Use: "run", Short: "Make clients work while things go wrong, and judge what they were told", Args: cobra.NoArgs,
		Long: `Run starts a cluster of its own on this machine and makes clients work on it, while
nodes are cut off, slowed, frozen, killed and wiped. Then everything is healed, the
cluster has to come to rest by itself, every key is read at every node, and what
clients were told is judged: is everything kept that was acknowledged, are siblings
exact, does nothing come back, are strict reads fresh? The cluster is removed at the
end.

With --dir the run is made on the local cluster in that folder instead, in buckets
of its own. It stays.

The run gets a folder below --out: report.html, which needs nothing else; report.json;
and a history of each workload, for jepsen/history (.jsonl) and for the checkers of
Jepsen and Elle (.edn). A seed plans the same faults and the same intents. What real
processes make of that differs from run to run.

With --record the nodes write down what their shards are given, in the folder of the
run. A broken promise then names the recordings of the nodes that it is about and the
commands that show, step by step, what those did with the key.

With --netns, as root, nodes live in network namespaces, with a packet filter between
them and a disk for each: 'kvcli jepsen list' says what needs that.

Ctrl-C ends the faults; the rest is done all the same, and reported. A second one ends
everything at once, without a verdict. The exit code is
0 if every promise held, 7 if one was broken, 4 if something could not be judged.
docs/jepsen.md says how to read a report, and how to run this in CI.`,
		Example: `  kvcli jepsen run --time 1m
  kvcli jepsen run --workload set,register --nemesis cut,kill --time 10m --seed 7
  kvcli jepsen run --nemesis pause --nodes 3 --strict --time 30s -o json
  kvcli jepsen run --dir .kindred --nemesis cut,slow --time 30s`,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.netns && !netns.Inside() {
				return enter(c, os.Args[1:])
			}
			left, err := f.complete(c)
			if err != nil {
				return usageError{c, err}
			}
			for _, why := range left {
				a.note("Left out: %v.", why)
			}
			if a.cluster != "" {
				return usageError{c, errors.New("--cluster: faults happen to processes on this machine: name the folder of a local cluster with --dir, or leave both out and one is started")}
			}
			err = a.jepsen(c.Context(), &f, c.Flags().Changed("dir"))
			var bad *jepsen.PlanError
			if errors.As(err, &bad) {
				return usageError{c, err}
			}
			return err
		},
	}
	f.register(c)
	return c
}

// enter carries out the same command line in a sandbox.
func enter(c *cobra.Command, args []string) error {
	if err := netns.Missing(); err != nil {
		return usageError{c, fmt.Errorf("--netns: %w", err)}
	}
	err := netns.Enter(args)
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() > 0 {
		return saidAlready(ended.ExitCode())
	}
	return err
}

// complete reads what is more than one flag, and returns the nemeses that "all"
// leaves out.
func (f *jepsenFlags) complete(c *cobra.Command) (left []*nemesis.MissingError, err error) {
	f.plan.Workloads, f.plan.Nemeses = nil, nil
	for _, name := range strings.Split(f.workloads, ",") {
		if name == "all" {
			f.plan.Workloads = workload.Kinds()
			break
		}
		k, err := workload.ParseKind(name)
		if err != nil {
			return nil, fmt.Errorf("--workload: %w, or all", err)
		}
		if !slices.Contains(f.plan.Workloads, k) {
			f.plan.Workloads = append(f.plan.Workloads, k)
		}
	}
	if f.nemeses != "none" {
		if f.plan.Nemeses, left, err = nemesis.Parse(strings.Split(f.nemeses, ",")); err != nil {
			return nil, fmt.Errorf("--nemesis: %w", err)
		}
	}
	if !c.Flags().Changed("seed") {
		f.plan.Seed = uint64(rand.Uint32())
	}
	for _, name := range []string{"nodes", "zones", "n", "r", "w", "clients", "keys"} {
		if flag := c.Flags().Lookup(name); flag.Changed && flag.Value.String() == "0" {
			return nil, fmt.Errorf("--%s 0: use at least 1", name)
		}
	}
	if f.recordBytes != 0 && !f.record {
		return nil, errors.New("--record-bytes: say --record as well")
	}
	f.plan.N = min(f.n, f.nodes)
	return left, nil
}

// jepsen makes a run, on a cluster of its own or on the one in --dir.
func (a *app) jepsen(ctx context.Context, f *jepsenFlags, existing bool) error {
	place := a.jepsenOwn
	if existing {
		place = a.jepsenExisting
	}
	if err := writable(f.out); err != nil {
		return err // an hour later would be worse
	}
	end, err := place(ctx, f)
	if err != nil {
		return err
	}
	progress := newJepsenProgress(a, f)
	f.plan.Tell, f.plan.Sampled = progress.fault, progress.sampled
	unheard := context.AfterFunc(ctx, progress.interrupted)
	run, err := jepsen.Run(ctx, f.plan)
	unheard()
	progress.end()
	ended := end()
	if err != nil {
		if f.recorded != "" {
			a.note("What the nodes were given until then is in %s.", f.recorded)
		}
		return errors.Join(err, ended)
	}
	// What was found is told whatever becomes of the tidying up.
	run.Version, run.Command = "kvcli "+buildVersion().Version, f.command(a.dir, existing)
	dir := filepath.Join(f.out, jepsen.Folder(run.Began, run.Seed))
	saved := f.save(run, dir)
	doc := newJepsenDoc(run, dir)
	return errors.Join(a.print(doc, func(w io.Writer) error { return a.writeJepsen(w, run, dir) }), jepsenResult(run), saved, ended)
}

// writable reports whether runs can be saved there. The folder stays away until one is.
func writable(out string) error {
	for {
		info, err := os.Stat(out)
		if errors.Is(err, fs.ErrNotExist) {
			out = filepath.Dir(out)
			continue
		}
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is no folder", out)
		}
		if err == nil {
			err = unix.Access(out, unix.W_OK)
		}
		if err != nil {
			return fmt.Errorf("--out: nothing can be saved in %s: %w", out, err)
		}
		return nil
	}
}

// save writes a run into its folder, with the recordings of the nodes.
func (f *jepsenFlags) save(run *report.Run, dir string) error {
	var moved error
	if f.recorded != "" {
		if run.Recordings, moved = jepsen.Recordings(f.recorded, dir, run.Began); moved == nil {
			moved = os.RemoveAll(f.recorded)
		}
	}
	if err := errors.Join(moved, jepsen.Save(run, dir)); err != nil {
		return fmt.Errorf("not all of the run could be saved in %s: %w", dir, err)
	}
	return nil
}

// jepsenOwn starts a cluster for the run.
func (a *app) jepsenOwn(ctx context.Context, f *jepsenFlags) (end func() error, err error) {
	if err := f.plan.Check(f.nodes); err != nil {
		return nil, err
	}
	path, err := findKVNode(f.kvnode)
	if err != nil {
		return nil, err
	}
	if f.netns {
		if f.plan.Wire, err = netns.New(f.nodes); err != nil {
			return nil, err
		}
	}
	shape := local.Shape{Nodes: f.nodes, Zones: min(f.zones, f.nodes), BasePort: local.DefaultShape().BasePort}
	if err := shape.Validate(); err != nil {
		return nil, &jepsen.PlanError{Field: "Nodes", Problem: err.Error()}
	}
	var args []string
	if f.record {
		if f.recorded, err = recordingFolder(f.out); err != nil {
			return nil, err
		}
		args = jepsen.Recording(f.recorded, f.recordBytes)
	}
	a.note("Starting %d nodes.", f.nodes)
	c, stop, err := jepsen.StartCluster(ctx, jepsen.ClusterOptions{
		KVNode: path, Nodes: f.nodes, Zones: f.zones, N: f.plan.N, Nemeses: f.plan.Nemeses, Wire: f.plan.Wire, Args: args,
	})
	if err != nil {
		return nil, err
	}
	f.plan.Cluster = c
	return func() error {
		if f.keep {
			a.note("The cluster is in %s.", c.Dir())
		}
		if f.plan.Wire == nil {
			return stop(f.keep)
		}
		return errors.Join(stop(f.keep), f.plan.Wire.Close())
	}, nil
}

// recordingFolder makes one beside the runs: the folder of a run has the time of its
// beginning in its name, and nodes have to be started before.
func recordingFolder(out string) (string, error) {
	out, err := filepath.Abs(out) // a node is told it, wherever it runs
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(out, "recording-")
}

// jepsenExisting takes the cluster in --dir. Its buckets are new ones: what a run
// finds in them has to be its own.
func (a *app) jepsenExisting(ctx context.Context, f *jepsenFlags) (end func() error, err error) {
	c, err := local.Open(a.dir)
	if err != nil {
		return nil, err
	}
	if f.netns {
		return nil, &jepsen.PlanError{Field: "Wire", Problem: "--netns is for a cluster that is started: leave --dir out"}
	}
	if f.record {
		return nil, &jepsen.PlanError{Field: "Cluster", Problem: "--record is for a cluster that is started: leave --dir out, or start the nodes with --record"}
	}
	if err := jepsen.Fit(c, f.plan.Nemeses); err != nil {
		return nil, err
	}
	status, err := c.Status()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, n := range status.Nodes {
		addrs = append(addrs, n.Client)
	}
	kv, err := client.Dial(ctx, addrs)
	if err != nil {
		return nil, err
	}
	defer kv.Close()
	bucket, err := kv.BucketOptions(ctx, "jepsen")
	if err != nil {
		return nil, err
	}
	f.plan.Cluster, f.plan.N = c, bucket.Options.N
	f.plan.Suffix = "-" + time.Now().UTC().Format("20060102T150405Z")
	return func() error { return nil }, nil
}

// command is how to make the run again.
func (f *jepsenFlags) command(dir string, existing bool) string {
	words := []string{"kvcli jepsen run --workload", f.workloads, "--nemesis", f.nemeses, "--time", f.plan.Time.String(), "--seed", fmt.Sprint(f.plan.Seed)}
	add := func(flag string, value, byDefault any) {
		if value != byDefault {
			words = append(words, flag, fmt.Sprint(value))
		}
	}
	if existing {
		add("--dir", dir, "")
	} else {
		add("--nodes", f.nodes, jepsenNodes)
		add("--zones", f.zones, jepsenZones)
		add("--n", f.n, jepsenCopies)
	}
	add("--r", f.plan.R, 0)
	add("--w", f.plan.W, 0)
	add("--clients", f.plan.Clients, jepsen.ClientsDefault)
	add("--keys", f.plan.Keys, jepsen.KeysDefault)
	add("--pause", f.plan.Pause, jepsen.PauseDefault)
	add("--longest", f.plan.Longest, nemesis.LongestDefault)
	add("--rest", f.plan.RestMax, jepsen.RestMaxDefault)
	add("--record-bytes", f.recordBytes, int64(0))
	if f.record {
		words = append(words, "--record")
	}
	if f.netns {
		words = append(words, "--netns")
	}
	if f.plan.Strict {
		words = append(words, "--strict")
	}
	if f.plan.OverBudget {
		words = append(words, "--over-budget")
	}
	return strings.Join(words, " ")
}

// jepsenResult is how the command ends.
func jepsenResult(r *report.Run) error {
	switch r.Verdict() {
	case report.Held:
		return nil
	case report.Broken:
		return &result{exit: exitBroken, code: "promise_broken", message: r.Headline()}
	}
	return &result{exit: exitUnknown, code: "undecided", message: r.Headline()}
}

func workloadNames() (names []string) {
	for _, k := range workload.Kinds() {
		names = append(names, string(k))
	}
	return names
}

func nemesisNames() (names []string) {
	for _, k := range nemesis.Kinds() {
		names = append(names, k.Name)
	}
	return names
}
