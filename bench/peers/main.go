package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kindredkv/kindred/bench/peers/contest"
	"github.com/kindredkv/kindred/bench/peers/floor"
	"github.com/kindredkv/kindred/bench/peers/table"
)

func main() {
	if err := dispatch(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// dispatch tells the program from the floors that it starts of itself.
func dispatch(args []string) error {
	if len(args) == 3 && (args[0] == contest.EchoWord || args[0] == contest.DiskWord) {
		valueBytes, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		if args[0] == contest.EchoWord {
			return floor.Echo(args[1], valueBytes, os.Stdin, os.Stdout)
		}
		return floor.ServeDisk(args[1], valueBytes, os.Stdin, os.Stdout)
	}
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return o.bench(ctx)
}

// options are what the command line says.
type options struct {
	bin, dir, peers, output, update string
	rounds                          int
	each                            time.Duration
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.StringVar(&o.bin, "bin", "bin", "the folder with kvnode, etcd and nats-server")
	flags.StringVar(&o.dir, "dir", "bin", "the folder in which the data of the run lives, on a disk")
	flags.StringVar(&o.peers, "peers", allPeers, "which peers take part")
	flags.IntVar(&o.rounds, "rounds", 5, "how often every question is asked")
	flags.DurationVar(&o.each, "each", 2500*time.Millisecond, "how long a question is asked each time")
	flags.StringVar(&o.output, "o", "table", "table or json")
	flags.StringVar(&o.update, "update", "", "write the report to this file too")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is not a flag", flags.Arg(0))
	case o.rounds < 1 || o.each <= 0:
		return o, fmt.Errorf("%d rounds of %v measure nothing: use at least 1 round and more than 0s", o.rounds, o.each)
	case o.output != "table" && o.output != "json":
		return o, fmt.Errorf("-o %s is unknown: use table or json", o.output)
	}
	return o, checkPeers(strings.Fields(o.peers))
}

// bench starts everybody, measures, and reports.
func (o *options) bench(ctx context.Context) error {
	began := time.Now()
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return err
	}
	parent, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, "bench-")
	if err != nil {
		return fmt.Errorf("the folder for the data cannot be made: %w: name one with -dir that you may write to", err)
	}
	defer os.RemoveAll(dir)
	f := field{bin: bin, dir: dir, progress: os.Stderr}
	defer f.close()
	if err := f.start(ctx, strings.Fields(o.peers)); err != nil {
		return err
	}
	r := table.Report{Rows: f.rows(), Missing: f.missing}
	r.Idle = f.idle(ctx)
	r.Samples = f.measure(ctx, o.rounds, o.each)
	if ctx.Err() != nil {
		return errors.New("interrupted: half a run says nothing")
	}
	r.Bars = table.Judge(table.Bars(), r.Samples)
	r.Machine, r.Settings = machine(), f.settings(o, began)
	return o.report(&r)
}

func (o *options) report(r *table.Report) error {
	if o.update != "" {
		if err := os.WriteFile(o.update, []byte(committed+r.Markdown()), 0o644); err != nil {
			return err
		}
	}
	if o.output == "json" {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	_, err := io.WriteString(os.Stdout, r.Markdown())
	return err
}

// committed begins the file that is kept.
const committed = "# Kindred beside its floors and its peers\n\n" +
	"Written by `make bench UPDATE=1`, not by hand. What is compared and what it does not say: [docs/bench.md](../docs/bench.md#beside-others).\n\n"
