package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/cmd/kvcli/demo"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// demoData is where the demo's records are, from the root of the repository.
const demoData = "data/world-cities.csv"

func (a *app) demoCommand() *cobra.Command {
	c := a.tellingCommand(&cobra.Command{
		Use: "demo", Short: "Show a cluster that is cut in two, loses a disk, and nothing else", Args: cobra.NoArgs,
		Long: `Demo starts five nodes in three zones on this machine, imports 34,032 cities and
reads them back. It cuts the network in two while clients write on both sides and
change the same shopping carts, heals it, and measures how long it takes until all
replicas are equal; it shows and merges what the sides disagree about. It kills a
node under load, wipes its disk, and waits until it is rebuilt, every write is
settled, and every replica audited. At the end it looks for everything again. It
takes about a minute. It fails, and keeps data and logs, if anything is not so.

The cluster lives in a temporary folder, or in --dir, where it stays. With -o json the
story is told on standard error.`,
		Example: "  kvcli demo\n  kvcli demo --dir .kindred-demo",
	}, demo.Run)
	c.AddCommand(a.tellingCommand(&cobra.Command{
		Use: "grow", Short: "Show three nodes that become six and then four under load", Args: cobra.NoArgs,
		Long: `Grow starts three nodes in three zones on this machine and imports 34,032 cities. While
clients write orders and read them back it starts three more nodes, stages that they
join, and commits; then a first node and a new one leave and are stopped. On a terminal
it draws all the while, in place, which part of the ring each node owns and is to own,
how far the change is, what each node has received, operations per second, their
99th percentile and how many failed; elsewhere it prints a line for each event. At the
end it reads every city and every order back. It takes half a minute. It fails, and
keeps data and logs, if one operation failed or one record is missing or different.

The cluster lives in a temporary folder, or in --dir, where it stays.`,
		Example: "  kvcli demo grow\n  kvcli demo grow | cat",
	}, demo.Grow))
	return c
}

// tellingCommand makes a command that tells a story.
func (a *app) tellingCommand(c *cobra.Command, tell func(context.Context, demo.Options) error) *cobra.Command {
	var kvnode, data string
	c.RunE = func(c *cobra.Command, _ []string) error {
		path, err := findKVNode(kvnode)
		if err != nil {
			return err
		}
		if data == "" {
			if data, err = findData(); err != nil {
				return err
			}
		}
		if _, err := os.Stat(data); err != nil {
			return usageError{c, fmt.Errorf("--data: %w", err)}
		}
		o := demo.Options{
			KVNode: path, Data: data, KeyColumn: "geonameid",
			Out: a.out, ErrOut: a.errOut, Style: a.style(), Live: term.Redraws(a.out, a.getenv),
		}
		if c.Flags().Changed("dir") {
			o.Dir = a.dir
		}
		if a.output == asJSON {
			o.Out, o.Style, o.Live = a.errOut, term.Style{}, false
		}
		begin := time.Now()
		if err := tell(c.Context(), o); err != nil {
			return err
		}
		return a.print(demoDoc{Held: true, Seconds: time.Since(begin).Seconds()}, func(io.Writer) error { return nil })
	}
	c.Flags().StringVar(&kvnode, "kvnode", "", "path of kvnode (default: beside kvcli, then on PATH)")
	c.Flags().StringVar(&data, "data", "", "CSV file with a column geonameid (default: "+demoData+", here or beside the folder of kvcli)")
	return c
}

// demoDoc is the document of kvcli demo and demo grow; there is none of a demo that failed.
type demoDoc struct {
	Held    bool    `json:"held"`
	Seconds float64 `json:"seconds"`
}

// findData looks below the working directory and below the folder that holds
// bin/kvcli.
func findData() (string, error) {
	places := []string{demoData}
	if self, err := os.Executable(); err == nil {
		places = append(places, filepath.Join(filepath.Dir(self), "..", demoData))
	}
	for _, p := range places {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not in %s nor beside the folder of kvcli: name the file with --data", demoData, workDir())
}
