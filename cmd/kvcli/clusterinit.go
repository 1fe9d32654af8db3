package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
)

func (a *app) clusterInit() *cobra.Command {
	expect := 0
	c := &cobra.Command{
		Use: "init", Short: "Make the first layout of a new cluster", Args: cobra.NoArgs,
		Long: `Init makes the first layout of a cluster whose nodes were started without --expect,
of all nodes that the asked one sees and can send to, and waits until it holds. With
--expect it is made of exactly so many nodes, or not at all.

A cluster that has a layout is left alone (exit 5), as is one that has not as many nodes
as expected. Exit 6: the layout is made, and not all nodes have confirmed it in time.`,
		Example: "  kvcli cluster init --cluster 10.0.0.1:7400\n  kvcli cluster init --expect 5",
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("expect") && expect < 1 {
				return usageError{c, fmt.Errorf("--expect %d: use at least 1", expect)}
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				return a.initCluster(ctx, cl, expect)
			})
		},
	}
	c.Flags().IntVar(&expect, "expect", 0, "make it only if so many nodes are seen")
	return c
}

func (a *app) initCluster(ctx context.Context, cl cluster, expect int) error {
	info, err := cl.Cluster(ctx)
	if err != nil {
		return err
	}
	if info.LayoutVersion != "" {
		return &result{exit: exitUnsafe, code: "unsafe", message: fmt.Sprintf(
			"cluster %s has the layout %s: the first one is made once, and nodes that come later get their share with kvcli cluster join", info.ClusterID, info.LayoutVersion)}
	}
	if names := reached(info); expect > 0 && len(names) != expect {
		return &result{exit: exitUnsafe, code: "unsafe", message: fmt.Sprintf(
			"%s sees %s (%s), not %d: start the others with --join, or give another --expect; nothing was made",
			info.Node, counted(len(names), "node", "nodes"), strings.Join(names, ", "), expect)}
	}
	if err := cl.Init(ctx, info.Node); err != nil {
		return err
	}
	for info.LayoutVersion == "" {
		if !pause(ctx, surveyEvery) {
			return &result{exit: exitUnavailable, code: string(kindred.CodeTimeout), message: fmt.Sprintf(
				"the first layout is made, and does not hold yet: %s", strings.Join(info.Problems, "; "))}
		}
		if info, _, err = cl.Describe(ctx, info.Node); err != nil {
			return err
		}
	}
	doc := newClusterDoc(info, changeOf(ctx, cl, info))
	return a.print(doc, func(w io.Writer) error { return a.writeStatus(w, doc) })
}

// reached are the nodes that a first layout would be made of.
func reached(info kindred.Cluster) (names []string) {
	for _, m := range info.Members {
		if m.Name == info.Node || m.State == kindred.Alive && m.Linked {
			names = append(names, m.Name)
		}
	}
	return names
}
