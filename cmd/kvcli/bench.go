package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/driver"
	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// Callers of the two loops, where --callers does not say: enough to keep a cluster
// busy, and enough that a rate does not wait for them.
const (
	closedCallers = 64
	openCallers   = 1024
)

// benchFlags are those of kvcli bench.
type benchFlags struct {
	settings                        load.Settings
	profile, mix, popularity        string
	bucket, svg                     string
	ttl                             time.Duration
	list                            bool
	r, pr, w, pw, durability        string
	quorum                          quorumFlag
	callersGiven, keySize, valueSet func() bool
	ttlGiven, profileGiven          func() bool
}

func (f *benchFlags) register(c *cobra.Command) {
	s, flags := &f.settings, c.Flags()
	flags.StringVar(&f.bucket, "bucket", "bench", "bucket to work on; it keeps what was written")
	flags.StringVar(&f.profile, "profile", "ycsb-a", "what the load looks like; --list names all profiles")
	flags.BoolVar(&f.list, "list", false, "list the profiles")
	flags.StringVar(&f.mix, "mix", "", "how often each kind of operation occurs instead, as in get=80,put=15,update=5")
	flags.StringVar(&f.popularity, "popularity", "", "which keys instead: uniform, zipfian, scrambled or latest, with an exponent as in zipfian:1.2")
	flags.IntVar(&s.Callers, "callers", closedCallers, "operations in flight at once; with --rate as many as there may be (then 1024)")
	flags.Float64Var(&s.Rate, "rate", 0, "operations per second that are meant to begin, whatever the cluster does (default: each caller as fast as it is answered)")
	flags.StringVar((*string)(&s.Spacing), "arrivals", string(load.Even), "with --rate, how operations follow one another: even or poisson")
	flags.DurationVar(&s.Time, "time", 30*time.Second, "how long to measure")
	flags.DurationVar(&s.Warmup, "warmup", 5*time.Second, "how long to work before measuring")
	flags.Uint64Var(&s.Keys, "keys", 10_000, "keys that exist; those without a value get one first")
	flags.IntVar(&s.KeyBytes, "key-size", 0, "bytes of a key (default: as the profile says)")
	flags.IntVar(&s.ValueBytes, "value-size", 0, "bytes of a value (default: as the profile says)")
	flags.DurationVar(&f.ttl, "ttl", 0, "how long values live; 0s for ever (default: as the profile says)")
	flags.Uint64Var(&s.Seed, "seed", 1, "what chance begins with: the same seed draws the same load")
	flags.StringVar(&f.r, "r", "", "replicas that must answer a read: a number, one, quorum or all")
	flags.StringVar(&f.pr, "pr", "", "how many of those must be home replicas")
	flags.StringVar(&f.w, "w", "", "replicas that must hold a write: a number, one, quorum or all")
	flags.StringVar(&f.pw, "pw", "", "how many of those must be home replicas")
	flags.StringVar(&f.durability, "durability", "", "what holding means: memory, batch or sync")
	f.quorum.register(c)
	flags.StringVar(&f.svg, "svg", "", "write a picture of the latencies and the throughput to a file")
	changed := func(name string) func() bool { return func() bool { return flags.Changed(name) } }
	f.callersGiven, f.keySize, f.valueSet, f.ttlGiven = changed("callers"), changed("key-size"), changed("value-size"), changed("ttl")
	f.profileGiven = changed("profile")
}

// complete makes settings of the profile and the flags, which win.
func (f *benchFlags) complete() error {
	p, err := load.FindProfile(f.profile)
	if err != nil {
		return fmt.Errorf("--profile: %w (--list tells of each)", err)
	}
	s := f.settings
	s.Use(p)
	if f.keySize() {
		s.KeyBytes = f.settings.KeyBytes
	}
	if f.valueSet() {
		s.ValueBytes = f.settings.ValueBytes
	}
	if f.mix != "" {
		if s.Mix, err = load.ParseMix(f.mix); err != nil {
			return fmt.Errorf("--mix: %w", err)
		}
		s.Profile = f.mixed()
	}
	if f.popularity != "" {
		if s.Popularity, err = load.ParsePopularity(f.popularity); err != nil {
			return fmt.Errorf("--popularity: %w", err)
		}
	}
	switch {
	case f.ttlGiven() && f.ttl == 0:
		s.TTLs = nil
	case f.ttlGiven() && f.ttl < time.Millisecond:
		return fmt.Errorf("--ttl %v: use at least 1ms, or 0s for values that stay", f.ttl)
	case f.ttlGiven():
		s.TTLs = []load.TTL{{Lives: f.ttl, Weight: 1}}
	}
	if s.Rate != 0 && !f.callersGiven() {
		s.Callers = openCallers
	}
	if math.IsNaN(s.Rate) {
		s.Rate = -1 // refused below, with the words for it
	}
	f.settings = s
	return s.Validate()
}

// mixed names what is run with --mix, which is no profile any more.
func (f *benchFlags) mixed() string {
	if f.profileGiven() {
		return f.profile + " with another mix"
	}
	return "own mix"
}

// options are those of reads and of writes.
func (f *benchFlags) options() (read, write []client.CallOption, err error) {
	if read, err = countOptions(countFlag{"r", f.r, client.R}, countFlag{"pr", f.pr, client.PR}); err != nil {
		return nil, nil, err
	}
	holding := writeFlags{w: f.w, pw: f.pw, durability: f.durability, quorum: f.quorum}
	write, err = holding.options()
	return append(read, f.quorum.options()...), write, err
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Put a load on a cluster and measure it", Args: cobra.NoArgs,
		Long: `Bench asks a cluster for what a profile says, and reports throughput, latencies,
failures and processor time per operation.

Without --rate it is a closed loop: each of --callers begins its next operation when
the last one is answered. That says what a cluster can do, and not how long users
wait: a cluster that stands still is asked for nothing meanwhile. With --rate
operations are meant to begin at moments that do not depend on the cluster, and the
latency of each runs from that moment (no coordinated omission).

Keys that have no value get one first. Time to warm up is not measured. Ctrl-C ends
the run, and what was measured until then is reported. docs/bench.md says how to read
the numbers and what they are not.`,
		Example: `  kvcli bench --profile ycsb-b --callers 64 --time 30s
  kvcli bench --profile ycsb-b --rate 2000 --arrivals poisson --svg ycsb-b.svg
  kvcli bench --mix get=80,put=15,update=5 --keys 100000 --value-size 200 --durability sync
  kvcli bench --profile twitter-12 -o json > twitter-12.json
  kvcli bench --list`,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.list {
				return a.benchList()
			}
			if err := f.complete(); err != nil {
				return usageError{c, err}
			}
			if bad := kindred.CheckBucket(f.bucket); bad != nil {
				return bad
			}
			return a.bench(c.Context(), &f)
		},
	}
	f.register(c)
	completed(c, "profile", profileWords)
	completed(c, "arrivals", func() []string { return []string{string(load.Even), string(load.Poisson)} })
	completed(c, "durability", func() []string { return []string{"memory", "batch", "sync"} })
	c.AddCommand(a.benchCompareCommand())
	return c
}

// completed makes shells offer the words of a flag.
func completed(c *cobra.Command, flag string, words func() []string) {
	err := c.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words(), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag is defined above
	}
}

// profileWords are the names of the profiles, and what they are.
func profileWords() []string {
	var words []string
	for _, p := range load.Profiles() {
		words = append(words, p.Name+"\t"+p.About)
	}
	return words
}

// bench measures, and reports also what was interrupted.
func (a *app) bench(ctx context.Context, f *benchFlags) error {
	read, write, err := f.options()
	if err != nil {
		return err
	}
	picture, err := openPicture(f.svg)
	if err != nil {
		return err
	}
	defer picture.Close()
	return a.withCluster(ctx, func(cl cluster) error {
		processes, encrypted, err := a.benchProcesses(ctx, cl)
		if err != nil {
			return err
		}
		progress := newBenchProgress(a, &f.settings)
		run := driver.Run{
			Settings: f.settings, Store: cl.Bucket(f.bucket), Read: read, Write: write,
			CPU: processes, Stored: progress.stored, Each: progress.interval,
		}
		if counted, ok := cl.(interface{ Stats() client.Stats }); ok {
			run.Stats = counted.Stats
		}
		report, err := run.Do(ctx)
		progress.end()
		if err != nil {
			return fmt.Errorf("storing the keys before the run: %w", err)
		}
		report.Version = buildVersion().Version
		f.describe(&report.Settings)
		report.Settings.TLS = encrypted
		return errors.Join(
			a.print(report, func(w io.Writer) error { return a.writeBench(w, &report) }),
			picture.draw(&report), benchResult(&report))
	})
}

// describe adds what only the flags know.
func (f *benchFlags) describe(d *load.SettingsDoc) {
	d.Bucket, d.R, d.PR, d.W, d.PW, d.Durability = f.bucket, f.r, f.pr, f.w, f.pw, f.durability
	if f.quorum.given() {
		d.Quorum = kindred.SloppyOr(f.quorum.sloppy).String()
	}
}

// benchResult is how the command ends: a run of failures alone is none.
func benchResult(r *load.Report) error {
	if r.Operations > 0 || r.Failed == 0 {
		return nil
	}
	example := ""
	for _, k := range r.Kinds {
		for _, f := range k.Failures {
			example = f.Example
		}
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
		"all of %s failed, for instance: %s", term.Counted(r.Failed, "operation"), example)}
}

// picture is the file of --svg, made before the run: a name that cannot be written
// should not cost one.
type picture struct{ *os.File }

func openPicture(path string) (picture, error) {
	if path == "" {
		return picture{}, nil
	}
	f, err := os.Create(path)
	return picture{f}, err
}

// Close closes the file, if there is one.
func (p picture) Close() error {
	if p.File == nil {
		return nil
	}
	return p.File.Close()
}

func (p picture) draw(r *load.Report) error {
	if p.File == nil {
		return nil
	}
	_, err := io.WriteString(p.File, r.SVG())
	return err
}
