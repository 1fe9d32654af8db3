package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/cmd/flagwords"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/security"
)

// app is one run of the program: its streams, its way to a cluster, and the
// flags that every command has.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	getenv      func(string) string
	dial        dialer

	cluster string
	dir     string
	// identity is what the flags say of who calls.
	identity security.ClientFiles
	output   outputFormat
	timeout  time.Duration
	// lost is what was asked help for and is not there: cobra's help cannot fail.
	lost error
}

// run carries out one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.output = asTable
	if wantsJSON(args) {
		a.output = asJSON // for errors met before the flag is read
	}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = a.lost
	}
	if err == nil {
		return exitDone
	}
	return a.report(err)
}

// wantsJSON reports whether a command line asks for JSON. A mistake before the flag
// must not make the error a text for people.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			if i+1 < len(args) && args[i+1] == string(asJSON) {
				return true
			}
		}
	}
	return false
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "kvcli",
		Short: "The command line of Kindred, an eventually consistent key-value store",
		Long: `kvcli runs Kindred clusters on this machine, reads and writes keys, and shows
what a cluster knows.

It finds a cluster by --cluster, by KINDRED_CLUSTER, by a local cluster that
runs in --dir, and else at 127.0.0.1:7400.

Exit codes: 0 done, 1 usage or internal error, 2 not found, 3 siblings where one
value was asked for, 4 outcome unknown, 5 refused as unsafe, 6 unavailable
(quorum not met, nothing applied; not healthy; what was waited for did not come),
7 a promise was broken (jepsen).`,
		Example: `  kvcli local start --nodes 3
  kvcli put carts alice '["milk"]'
  kvcli get carts alice
  kvcli key inspect carts alice
  kvcli local stop`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := root.PersistentFlags()
	f.StringVar(&a.cluster, "cluster", "", "addresses of nodes for clients, as host:port,…")
	f.StringVar(&a.dir, "dir", ".kindred", "folder of the local cluster")
	a.identityFlags(f)
	f.VarP(&a.output, "output", "o", "form of the output: table or json")
	f.DurationVar(&a.timeout, "timeout", 0, "how long one operation may take, such as 500ms or 2s (default: 10s; 60s for starting nodes)")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{c, flagwords.Explain(err, flagNames(c))} })
	root.PersistentPreRunE = func(c *cobra.Command, _ []string) error {
		if c.Flags().Changed("timeout") && a.timeout <= 0 {
			return usageError{c, fmt.Errorf("--timeout %s: use a time above 0", a.timeout)}
		}
		return nil
	}
	root.AddGroup(
		&cobra.Group{ID: "machine", Title: "Clusters on this machine:"},
		&cobra.Group{ID: "data", Title: "Data:"},
		&cobra.Group{ID: "look", Title: "Looking inside:"},
	)
	grouped(root, "machine", a.localCommand(), a.demoCommand(), a.jepsenCommand(), a.certCommand())
	grouped(root, "data", a.getCommand(), a.putCommand(), a.delCommand(), a.resolveCommand(), a.updateCommand(), a.scanCommand(),
		a.batchCommand(), a.importCommand(), a.exportCommand(), a.bucketCommand())
	grouped(root, "look", a.keyCommand(), a.clusterCommand(), a.repairCommand(), a.hintsCommand(), a.nodeCommand(), a.benchCommand())
	root.AddCommand(a.versionCommand(), a.completionCommand())
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(a.helpCommand())
	a.helpOfUnknown(root)
	onlyGroups(root)
	return root
}

func grouped(parent *cobra.Command, id string, children ...*cobra.Command) {
	for _, c := range children {
		c.GroupID = id
		parent.AddCommand(c)
	}
}

// parent makes a command that only holds others.
func parent(use, short, example string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Example: example}
	c.AddCommand(children...)
	return c
}

// onlyGroups makes commands that only hold others (and do nothing themselves) refuse words they do not
// know, where cobra would print the help and succeed. It also turns wrong
// counts of arguments into usage errors.
func onlyGroups(c *cobra.Command) {
	if c.Args != nil {
		check := c.Args
		c.Args = func(c *cobra.Command, args []string) error {
			if check(c, args) == nil {
				return nil
			}
			_, wanted, _ := strings.Cut(c.Use, " ")
			if wanted == "" {
				wanted = "no arguments"
			}
			return usageError{c, fmt.Errorf("%q takes %s, and got %s", c.CommandPath(), wanted, counted(len(args), "argument", "arguments"))}
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.Help()
			}
			return unknownCommand(c, args[0])
		}
	}
	for _, child := range c.Commands() {
		onlyGroups(child)
	}
}

// limit bounds a context by --timeout, or by a default where there is one.
func (a *app) limit(ctx context.Context, byDefault time.Duration) (context.Context, context.CancelFunc) {
	d := a.timeout
	if d == 0 {
		d = byDefault
	}
	return context.WithTimeout(ctx, d)
}

// style colours what is written to out.
func (a *app) style() term.Style { return term.StyleFor(a.out, a.getenv) }

// note tells people something that is no result.
func (a *app) note(format string, args ...any) {
	if a.output == asTable {
		fmt.Fprintf(a.errOut, format+"\n", args...)
	}
}

// outputFormat is a flag.
type outputFormat string

const (
	asTable outputFormat = "table"
	asJSON  outputFormat = "json"
)

func (o *outputFormat) String() string { return string(*o) }
func (o *outputFormat) Type() string   { return "table|json" }
func (o *outputFormat) Set(s string) error {
	if s != string(asTable) && s != string(asJSON) {
		return errors.New("use table or json")
	}
	*o = outputFormat(s)
	return nil
}

// workDir is for messages; its failure hardly matters.
func workDir() string {
	d, err := os.Getwd()
	if err != nil {
		return "."
	}
	return d
}
