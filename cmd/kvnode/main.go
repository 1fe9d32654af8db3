// Kvnode is one node of a Kindred cluster.
//
// It reads its settings from a file (--config), the environment (KINDRED_…) and
// flags, later ones winning, starts a node (package node) and runs until it is
// told to stop. SIGHUP makes it read certificates, tokens and gossip keys again,
// which it also does by itself when they change. SIGTERM and SIGINT drain it:
// requests in progress are answered and everything is synced; a second signal ends
// it at once. It exits with 0 after a drain and with 1 after everything else.
//
// "kvnode config print" shows the settings in force and where each was made,
// "kvnode config check FILE" says whether a node could start with a file.
//
// Log lines go to standard error. Standard output gets one line, when the node
// is ready.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/kindredkv/kindred/node"
)

// drainMax is how long a node that was told to stop may take to drain.
const drainMax = 30 * time.Second

func main() {
	coarseTimers()
	go boundGarbage(context.Background())
	go giveBack(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	os.Exit(run(os.Args[1:], os.Environ(), signals, os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit code.
func run(args, env []string, signals <-chan os.Signal, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "config" {
		return configCommand(args[1:], env, stdout, stderr)
	}
	s, err := load(args, env)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, usage(s.flags))
		return 0
	case err != nil:
		complain(stderr, err)
		fmt.Fprintln(stderr, "kvnode --help lists the settings.")
		return 1
	case s.version:
		fmt.Fprintln(stdout, "kvnode", version())
		return 0
	}
	log := s.logger(stderr)
	for _, name := range s.unknownEnv {
		log.Warn("an environment variable names no setting and is ignored", "variable", name)
	}
	s.node.Logger = log
	profiles, err := serveProfiles(s.pprofAddr, log)
	if err != nil {
		fmt.Fprintf(stderr, "kvnode: %v\n", err)
		return 1
	}
	defer profiles.Close()
	if err := serve(s.node, signals, stdout, log); err != nil {
		fmt.Fprintf(stderr, "kvnode: %v\n", err)
		return 1
	}
	return 0
}

// errSecondSignal ends the program without a drain.
var errSecondSignal = errors.New("a second signal came before the node had drained: it ends at once, as in a crash")

// readyPoll is how often a node is asked whether it serves its share yet.
const readyPoll = 20 * time.Millisecond

// serve runs a node until a signal or until it fails.
func serve(cfg node.Config, signals <-chan os.Signal, stdout io.Writer, log *slog.Logger) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	n, err := begin(cfg, signals)
	if err != nil || n == nil {
		return err
	}
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for {
		select {
		case <-poll.C:
			if n.Local().Ready {
				fmt.Fprintf(stdout, "kvnode %s is ready: clients at %s, HTTP at %s\n", cfg.Name, cfg.ClientAddr, cfg.HTTPAddr)
				poll.Stop()
			}
		case <-n.Done():
			var aside *node.AsideError
			if errors.As(n.Err(), &aside) {
				log.Error("this node starts again, with an empty store, and is rebuilt from the others", "error", aside)
				return serve(cfg, signals, stdout, log)
			}
			if err := n.Err(); err != nil {
				return fmt.Errorf("node %s failed and stopped: %w", cfg.Name, err)
			}
			if n.Ordered() {
				return nil
			}
			return fmt.Errorf("node %s stopped without being told to", cfg.Name)
		case <-hangups:
			_ = n.ReloadSecurity() // the node says what came of it
		case sig := <-signals:
			log.Info("draining", "signal", sig.String(), "limit", drainMax)
			return drain(n, signals, log)
		}
	}
}

// begin starts the node. A signal during the start ends it; the node is then
// nil, without an error.
func begin(cfg node.Config, signals <-chan os.Signal) (*node.Node, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type result struct {
		n   *node.Node
		err error
	}
	started := make(chan result, 1)
	go func() {
		n, err := node.Start(ctx, cfg)
		started <- result{n, err}
	}()
	select {
	case r := <-started:
		if r.err != nil {
			return nil, fmt.Errorf("node %s cannot start: %w", cfg.Name, r.err)
		}
		return r.n, nil
	case <-signals:
	}
	cancel()
	select {
	case r := <-started:
		if r.n == nil {
			return nil, nil
		}
		return nil, drain(r.n, signals, cfg.Logger)
	case <-signals:
		return nil, errSecondSignal
	}
}

// drain stops the node; a second signal does not wait for it.
func drain(n *node.Node, signals <-chan os.Signal, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainMax)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop(ctx) }()
	select {
	case err := <-stopped:
		if err != nil {
			return fmt.Errorf("the node did not drain: %w", err)
		}
		log.Info("drained and stopped")
		return nil
	case <-signals:
		return errSecondSignal
	}
}

// version is the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			return "devel " + s.Value
		}
	}
	return info.Main.Version
}
