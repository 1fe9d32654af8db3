package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

const (
	// drainTimeout bounds a drain where --timeout does not.
	drainTimeout = 5 * time.Minute
	// drainLook is how long what one look finds may take to arrive before the next look:
	// under load something is on its way at the moment of any look.
	drainLook = settleMax
	// drainNoted is how often people who see no progress are told of a drain.
	drainNoted = 10 * time.Second
)

func (a *app) nodeCommand() *cobra.Command {
	return parent("node", "Take a node out of service, and back", "  kvcli node drain n3\n  kvcli node drain n3 --undo", a.nodeDrain())
}

// drainDoc is the document of kvcli node drain.
type drainDoc struct {
	Node string `json:"node"`
	// Drained: it refuses requests. Stopped: it was told to end, or has.
	Drained bool    `json:"drained"`
	Stopped bool    `json:"stopped"`
	Seconds float64 `json:"seconds"`
	// Safe is the verdict of cluster safe-to-stop at the end, empty after --undo.
	Safe    string         `json:"safe"`
	Reasons []objectionDoc `json:"reasons"`
}

func (a *app) nodeDrain() *cobra.Command {
	var undo, stop bool
	c := &cobra.Command{
		Use: "drain NODE", Short: "Make a node hand out what only it holds, and serve no clients", Args: cobra.ExactArgs(1),
		Long: `Drain makes a node refuse the requests of clients, who turn to other nodes by
themselves, and say at /readyz that it is not ready. As a replica it goes on: its
hints are delivered, and the other homes fetch what they lack. Drain waits until
'kvcli cluster safe-to-stop NODE' would say yes, and shows how far it is, for at
most --timeout (5 min); it ends at once where waiting cannot help, as with a bucket
that asks for all homes. The node stays drained until it starts again, or until
--undo; also if the wait was in vain.

With --stop the node ends when it is safe, as on SIGTERM, and not before.

The exit code is 0 when it is safe to stop, 5 if it is not in time, and 6 if that
is not known.`,
		Example: "  kvcli node drain n3\n  kvcli node drain n3 --stop --timeout 10m\n  kvcli node drain n3 --undo",
		RunE: func(c *cobra.Command, args []string) error {
			if undo && stop {
				return usageError{c, errors.New("--undo and --stop: use one of them")}
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), drainTimeout)
				defer cancel()
				doc, err := a.drain(ctx, cl, args[0], undo, stop)
				if err != nil {
					return err
				}
				if err := a.print(doc, func(w io.Writer) error { return a.writeDrain(w, doc) }); err != nil || undo {
					return err
				}
				return safeResult(safeDoc{Node: doc.Node, Safe: doc.Safe, Reasons: doc.Reasons})
			})
		},
	}
	c.Flags().BoolVar(&undo, "undo", false, "let it serve clients again")
	c.Flags().BoolVar(&stop, "stop", false, "end the process when it is safe")
	return c
}

func (a *app) drain(ctx context.Context, cl cluster, node string, undo, stop bool) (drainDoc, error) {
	begin := time.Now()
	if err := isNode(ctx, cl, node); err != nil {
		return drainDoc{}, err
	}
	if err := cl.Drain(ctx, node, undo, false); err != nil {
		return drainDoc{}, err
	}
	doc := drainDoc{Node: node, Drained: !undo, Reasons: []objectionDoc{}}
	if !undo {
		verdict, err := a.awaitSafe(ctx, cl, node)
		if err != nil {
			return doc, err
		}
		doc.Safe, doc.Reasons = verdict.Safe, verdict.Reasons
	}
	if stop && doc.Safe == safeYes {
		if err := cl.Drain(ctx, node, false, true); err != nil {
			return doc, err
		}
		doc.Stopped = true
	}
	doc.Seconds = time.Since(begin).Seconds()
	return doc, nil
}

func isNode(ctx context.Context, cl cluster, node string) error {
	info, err := cl.Cluster(ctx)
	if err != nil {
		return err
	}
	names, err := everyNode(info, changeDoc{})
	if err == nil && !slices.Contains(names, node) {
		return kindred.Invalid("node", "no node is called %q: the nodes are %s", node, strings.Join(names, ", "))
	}
	return err
}

// awaitSafe asks until the node is safe to stop, or until ctx ends: then it returns the
// last verdict.
func (a *app) awaitSafe(ctx context.Context, cl cluster, node string) (verdict safeDoc, err error) {
	progress := term.NewProgress(a.errOut, "write events")
	defer progress.End()
	most, noted := uint64(0), time.Now()
	for {
		doc, err := safeToStop(ctx, cl, node, drainLook)
		switch {
		case err != nil && verdict.Safe == "":
			return verdict, err
		case err != nil: // the time is over
			return verdict, nil
		}
		verdict = doc
		left := uint64(0)
		for _, r := range doc.Reasons {
			left += r.Dots
		}
		most = max(most, left)
		progress.Step(int64(most-left), int64(most))
		if doc.Safe == safeYes || doc.lasting() {
			return verdict, nil
		}
		if time.Since(noted) > drainNoted && !term.IsTerminal(a.errOut) {
			noted = time.Now()
			a.note("%s: %s", node, doc.Reasons[0].Reason)
		}
		if !pause(ctx, surveyEvery) {
			return verdict, nil
		}
	}
}

func (a *app) writeDrain(w io.Writer, doc drainDoc) error {
	st := a.style()
	switch {
	case !doc.Drained:
		_, err := fmt.Fprintf(w, "%s serves clients again\n", doc.Node)
		return err
	case doc.Stopped:
		_, err := fmt.Fprintf(w, "%s\n", st.Good(fmt.Sprintf("%s was drained after %.1f s and stops now", doc.Node, doc.Seconds)))
		return err
	case doc.Safe == safeYes:
		_, err := fmt.Fprintf(w, "%s\n", st.Good(fmt.Sprintf("%s is drained after %.1f s and safe to stop; kvcli node drain %s --undo takes it back", doc.Node, doc.Seconds, doc.Node)))
		return err
	}
	fmt.Fprintf(w, "%s is drained and serves no clients; kvcli node drain %s --undo takes it back\n", doc.Node, doc.Node)
	return a.writeSafe(w, safeDoc{Node: doc.Node, Safe: doc.Safe, Reasons: doc.Reasons})
}
