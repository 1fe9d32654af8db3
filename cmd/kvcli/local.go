package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/local"
)

func (a *app) localCommand() *cobra.Command {
	return parent("local", "Run a cluster of real processes on this machine",
		`  kvcli local start --nodes 3
  kvcli local kill 2
  kvcli local restart 2
  kvcli local cut 1/2,3
  kvcli local heal
  kvcli local stop`,
		a.localStart(), a.localStop(), a.localStatus(), a.localAdd(), a.localRemove(),
		a.localKill(), a.localPause(), a.localResume(), a.localRestart(), a.localWipe(),
		a.localCut(), a.localSlow(), a.localHeal(), a.localLogs())
}

func (a *app) localStart() *cobra.Command {
	var o local.Options
	var kvnode string
	var noWait bool
	c := &cobra.Command{
		Use: "start", Short: "Start a cluster, or the stopped nodes of one", Args: cobra.NoArgs,
		Long: `Start makes all nodes of the cluster in --dir run, and waits until they are
ready. A folder without a cluster gets a new one. An existing one keeps its data
and its shape: stopped nodes are started, paused ones resumed, running ones left
alone. If a node does not start, those that were started are stopped again.`,
		Example: `  kvcli local start
  kvcli local start --nodes 3 --zones 3
  kvcli local start --dir /tmp/second --base-port 7500`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkShapeFlags(c); err != nil {
				return err
			}
			path, err := findKVNode(kvnode)
			if err != nil {
				return err
			}
			o.Dir, o.KVNode, o.Ready = a.dir, path, a.timeout
			if noWait {
				o.Ready = -1
			}
			return a.startLocal(c.Context(), o)
		},
	}
	d := local.DefaultShape()
	c.Flags().IntVar(&o.Nodes, "nodes", 0, fmt.Sprintf("number of nodes (default %d)", d.Nodes))
	c.Flags().IntVar(&o.Zones, "zones", 0, fmt.Sprintf("number of zones that they are spread over (default %d)", d.Zones))
	c.Flags().IntVar(&o.BasePort, "base-port", 0, fmt.Sprintf("first port; node i uses the four from base+10(i-1) on (default %d)", d.BasePort))
	c.Flags().BoolVar(&o.TLS, "tls", false, "encrypt everything, with keys made in the folder tls of --dir; kvcli finds them there")
	c.Flags().StringVar(&kvnode, "kvnode", "", "path of kvnode (default: beside kvcli, then on PATH)")
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the nodes are ready")
	return c
}

// checkShapeFlags refuses a zero that was asked for: in Options it means that
// nothing was.
func checkShapeFlags(c *cobra.Command) error {
	for _, name := range []string{"nodes", "zones", "base-port"} {
		if f := c.Flags().Lookup(name); f.Changed && f.Value.String() == "0" {
			return usageError{c, fmt.Errorf("--%s 0: use at least 1", name)}
		}
	}
	return nil
}

func (a *app) startLocal(ctx context.Context, o local.Options) error {
	o.Progress = a.readyProgress()
	c, started, err := local.Start(ctx, o)
	if err != nil {
		return err
	}
	if len(started.Nodes) > 0 {
		a.note("Started %s in %s.", strings.Join(started.Nodes, ", "), c.Dir())
	}
	if len(started.Resumed) > 0 {
		a.note("Resumed %s, which was paused.", strings.Join(started.Resumed, ", "))
	}
	if len(started.Nodes)+len(started.Resumed) == 0 {
		a.note("All nodes of %s were running already.", c.Dir())
	}
	return a.printLocal(c, func(s local.Status) any {
		return startDoc{Status: s, Started: started.Nodes, Resumed: started.Resumed}
	})
}

// startDoc is the document of kvcli local start.
type startDoc struct {
	local.Status
	Started []string `json:"started"`
	Resumed []string `json:"resumed"`
}

// stopDoc is the document of kvcli local stop.
type stopDoc struct {
	local.Status
	Stopped []stoppedDoc `json:"stopped"`
}

type stoppedDoc struct {
	Name   string `json:"name"`
	Killed bool   `json:"killed"`
}

// statusAlone is the document of the other commands.
func statusAlone(s local.Status) any { return s }

// printLocal ends every kvcli local command: with the state of all nodes.
func (a *app) printLocal(c *local.Cluster, document func(local.Status) any) error {
	status, err := c.Status()
	if err != nil {
		return err
	}
	return a.print(document(status), func(w io.Writer) error { return a.writeNodes(w, status.Nodes) })
}

// writeNodes has a column for faults only if there are any.
func (a *app) writeNodes(w io.Writer, nodes []local.Node) error {
	st := a.style()
	colour := map[local.State]func(string) string{local.Running: st.Good, local.Paused: st.Warn, local.Stopped: st.Bad}
	t := table{header: []string{"NODE", "STATE", "PID", "ZONE", "CLIENT", "HTTP", "PEER", "GOSSIP"}}
	faulty := slices.ContainsFunc(nodes, func(n local.Node) bool { return n.Faults.Any() || n.Faults.Pending })
	if faulty {
		t.header = append(t.header, "FAULTS")
	}
	for _, n := range nodes {
		pid := "-"
		if n.PID != 0 {
			pid = strconv.Itoa(n.PID)
		}
		row := plainCells(n.Name, string(n.State), pid, n.Zone, n.Client, n.HTTP, n.Peer, n.Gossip)
		row[1].paint = colour[n.State]
		if faulty {
			row = append(row, cell{faultsText(n.Faults), st.Warn})
		}
		t.add(row...)
	}
	return t.write(w)
}

func (a *app) localStop() *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "Stop all nodes; their data stays", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Stop asks every node to drain and end, and kills those that have not ended
after %s (--timeout). The data stays: 'kvcli local start' goes on with it.`, local.DefaultGrace),
		Example: "  kvcli local stop\n  kvcli local stop --timeout 2s",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := local.Open(a.dir)
			if err != nil {
				return err
			}
			grace := a.timeout
			if grace == 0 {
				grace = local.DefaultGrace
			}
			stopped, err := c.Stop(cmd.Context(), grace)
			if err != nil {
				return err
			}
			ended := []stoppedDoc{}
			for _, n := range stopped {
				ended = append(ended, stoppedDoc(n))
				if n.Killed {
					a.note("%s did not drain in %s and was killed.", n.Name, grace)
				}
			}
			if len(stopped) == 0 {
				a.note("No node of %s was running.", c.Dir())
			}
			return a.printLocal(c, func(s local.Status) any { return stopDoc{s, ended} })
		},
	}
}

// onNode makes a command that does one thing to one node.
func (a *app) onNode(verb, short, long string, do func(ctx context.Context, c *local.Cluster, node string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " N", Short: short, Long: long, Args: cobra.ExactArgs(1),
		Example: fmt.Sprintf("  kvcli local %s 2\n  kvcli local %s n2", verb, verb),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := local.Open(a.dir)
			if err != nil {
				return err
			}
			if err := do(cmd.Context(), c, args[0]); err != nil {
				return err
			}
			return a.printLocal(c, statusAlone)
		},
	}
}

func (a *app) localKill() *cobra.Command {
	return a.onNode("kill", "Kill a node at once (SIGKILL)",
		"Kill ends a node as a crash would. Start it again with 'kvcli local restart N'.",
		func(ctx context.Context, c *local.Cluster, node string) error { return c.Kill(ctx, node) })
}

func (a *app) localPause() *cobra.Command {
	return a.onNode("pause", "Freeze a node (SIGSTOP)",
		"Pause freezes a node: it keeps its connections and answers nothing, until 'kvcli local resume N'.",
		func(ctx context.Context, c *local.Cluster, node string) error { return c.Pause(ctx, node) })
}

func (a *app) localResume() *cobra.Command {
	return a.onNode("resume", "Let a paused node go on (SIGCONT)", "Resume lets a paused node go on.",
		func(ctx context.Context, c *local.Cluster, node string) error { return c.Resume(ctx, node) })
}

func (a *app) localRestart() *cobra.Command {
	var noWait bool
	c := a.onNode("restart", "Start a stopped node, or restart a running one",
		"Restart starts a stopped node with its data. A running or paused one is stopped first. It waits until the node is ready, unless no other node runs: alone it has no quorum.",
		func(ctx context.Context, c *local.Cluster, node string) error {
			o := local.RestartOptions{Ready: a.timeout}
			if noWait {
				o.Ready = -1
			}
			return c.Restart(ctx, node, o)
		})
	c.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until the node is ready")
	return c
}

func (a *app) localWipe() *cobra.Command {
	return a.onNode("wipe", "Empty the data folder of a stopped node",
		"Wipe deletes all data of a stopped node, as a lost disk would. A node that has a process is refused (exit 5).",
		func(ctx context.Context, c *local.Cluster, node string) error { return c.Wipe(ctx, node) })
}

func (a *app) localLogs() *cobra.Command {
	var o local.LogOptions
	c := &cobra.Command{
		Use: "logs N", Short: "Show the log of a node", Args: cobra.ExactArgs(1),
		Example: "  kvcli local logs 2 --tail 20\n  kvcli local logs n2 -f",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := local.Open(a.dir)
			if err != nil {
				return err
			}
			if a.output == asTable {
				return c.Logs(cmd.Context(), args[0], o, a.out)
			}
			if o.Follow {
				return usageError{cmd, errors.New("--follow has no end, which a JSON document needs: leave out one of them")}
			}
			return a.printLogs(cmd.Context(), c, args[0], o)
		},
	}
	c.Flags().BoolVarP(&o.Follow, "follow", "f", false, "go on with what is added, until interrupted")
	c.Flags().IntVar(&o.Tail, "tail", -1, "only the last so many lines (default: all)")
	return c
}

// logsDoc is the document of kvcli local logs.
type logsDoc struct {
	Node  string   `json:"node"`
	File  string   `json:"file"`
	Lines []string `json:"lines"`
}

func (a *app) printLogs(ctx context.Context, c *local.Cluster, name string, o local.LogOptions) error {
	n, err := c.Node(name)
	if err != nil {
		return err
	}
	var log bytes.Buffer
	if err := c.Logs(ctx, name, o, &log); err != nil {
		return err
	}
	doc := logsDoc{Node: n.Name, File: n.LogFile, Lines: []string{}}
	for line := range strings.Lines(log.String()) {
		doc.Lines = append(doc.Lines, strings.TrimSuffix(line, "\n"))
	}
	return a.print(doc, nil)
}
