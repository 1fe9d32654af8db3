// Kvcli is the command line of Kindred: it runs clusters on this machine, reads
// and writes keys, and shows where they are and what the cluster knows of
// itself.
//
// Exit codes, which scripts may rely on: 0 done, 1 usage or internal error, 2
// not found, 3 siblings where one value was asked for, 4 outcome unknown, 5
// refused as unsafe, 6 unavailable (nothing applied), 7 a promise was broken
// (jepsen). Documents of -o json are described in docs/cli.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// A hang-up cancels too: a demo whose terminal was closed stops its nodes.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends kvcli at once
	a := &app{in: os.Stdin, out: os.Stdout, errOut: os.Stderr, getenv: os.Getenv, dial: dialCluster}
	os.Exit(a.run(ctx, os.Args[1:]))
}
