package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/ring"
)

// localStatusDoc is the document of kvcli local status.
type localStatusDoc struct {
	local.Status
	// Views are what each node says of the others.
	Views []viewDoc `json:"views"`
}

// viewDoc is what one node says of the others; Error says why it says nothing.
type viewDoc struct {
	Node          string    `json:"node"`
	Error         string    `json:"error"`
	LayoutVersion string    `json:"layout_version"`
	Sees          []seenDoc `json:"sees"`
}

// seenDoc is another node as one sees it: by gossip, and whether it can send to it.
type seenDoc struct {
	Node   string `json:"node"`
	State  string `json:"state"`
	Linked bool   `json:"linked"`
}

func (a *app) localStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the nodes, who sees whom, and the ring", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Status shows the processes of the cluster, what each running node says of the others,
and how the ring is spread over them. A node is asked for %s at most; one that does not
answer is shown as such. The exit code does not depend on what they say: see 'kvcli
cluster health'.`, nodePatience),
		Example: "  kvcli local status\n  kvcli local status -o json | jq -r '.nodes[] | select(.state == \"running\").client'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := local.Open(a.dir)
			if err != nil {
				return err
			}
			status, err := c.Status()
			if err != nil {
				return err
			}
			doc, layout := a.lookAround(cmd.Context(), status)
			return a.print(doc, func(w io.Writer) error { return a.writeLocalStatus(w, doc, layout) })
		},
	}
}

// lookAround asks every running node by its own address: what others know of it
// does not matter. The layout is the newest that one of them has, nil if none does.
func (a *app) lookAround(ctx context.Context, s local.Status) (localStatusDoc, *ring.Layout) {
	doc := localStatusDoc{Status: s, Views: make([]viewDoc, len(s.Nodes))}
	layouts := make([]*ring.Layout, len(s.Nodes))
	var asked sync.WaitGroup
	for i, n := range s.Nodes {
		doc.Views[i] = viewDoc{Node: n.Name, Error: "it is " + string(n.State), Sees: []seenDoc{}}
		if n.State == local.Running {
			asked.Go(func() { doc.Views[i], layouts[i] = a.viewFrom(ctx, n) })
		}
	}
	asked.Wait()
	var newest *ring.Layout
	for _, l := range layouts {
		if l != nil && (newest == nil || l.Version().Compare(newest.Version()) > 0) {
			newest = l
		}
	}
	return doc, newest
}

func (a *app) viewFrom(ctx context.Context, n local.Node) (viewDoc, *ring.Layout) {
	doc := viewDoc{Node: n.Name, Sees: []seenDoc{}}
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	at := place{addrs: []string{n.Client}}
	opts, err := a.identityOptions(at)
	if err != nil {
		doc.Error = err.Error()
		return doc, nil
	}
	cl, err := a.dial(ctx, at.addrs, append(opts, client.WithTimeout(nodePatience))...)
	if err != nil {
		doc.Error = err.Error()
		return doc, nil
	}
	defer cl.Close()
	info, _, err := cl.Describe(ctx, n.Name)
	if err != nil {
		doc.Error = err.Error()
		return doc, nil
	}
	doc.LayoutVersion = info.LayoutVersion
	for _, m := range info.Members {
		if m.Name != n.Name {
			doc.Sees = append(doc.Sees, seenDoc{m.Name, string(m.State), m.Linked})
		}
	}
	layout, err := layoutOf(info)
	if err != nil {
		return doc, nil // there is none yet
	}
	return doc, layout
}

func (a *app) writeLocalStatus(w io.Writer, doc localStatusDoc, layout *ring.Layout) error {
	if err := a.writeNodes(w, doc.Nodes); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := a.writeViews(w, doc.Views); err != nil {
		return err
	}
	if layout == nil {
		_, err := fmt.Fprintf(w, "\nno running node has a layout yet\n")
		return err
	}
	newest := ""
	for _, v := range doc.Views {
		if older(newest, v.LayoutVersion) {
			newest = v.LayoutVersion
		}
	}
	fmt.Fprintf(w, "\nlayout %s: %d partitions, %d replicas of each\n", newest, layout.Partitions(), layout.Replicas())
	return drawRing(layout).write(w)
}

// writeViews has a row per node that sees, and a column per node that is seen.
func (a *app) writeViews(w io.Writer, views []viewDoc) error {
	t := table{header: []string{"SEES"}}
	for _, v := range views {
		t.header = append(t.header, v.Node)
	}
	for _, v := range views {
		row := plainCells(v.Node)
		for _, other := range views {
			row = append(row, a.seenCell(v, other.Node))
		}
		t.add(row...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, v := range views {
		if v.Error != "" {
			fmt.Fprintf(w, "%s does not say: %s\n", v.Node, v.Error)
		}
	}
	return nil
}

// seenCell is how one node sees another, in a word or two.
func (a *app) seenCell(v viewDoc, other string) cell {
	i := slices.IndexFunc(v.Sees, func(s seenDoc) bool { return s.Node == other })
	switch {
	case v.Node == other:
		return cell{text: "-"}
	case v.Error != "":
		return cell{"?", a.style().Warn}
	case i < 0:
		return cell{"unknown", a.style().Bad}
	}
	s := v.Sees[i]
	switch {
	case s.Linked && s.State == string(kindred.Alive):
		return cell{"yes", a.style().Good}
	case s.Linked:
		return cell{s.State + ", linked", a.stateColour(s.State)}
	case s.State == string(kindred.Alive):
		return cell{"no link", a.style().Bad}
	}
	return cell{s.State, a.stateColour(s.State)}
}

// ringWidth is how many letters the ring is drawn with.
const ringWidth = 64

// drawRing unrolls the ring: a row per node, a letter per arc of it, the darker the
// more partitions of the arc the node is a home of.
func drawRing(layout *ring.Layout) *table {
	width := min(ringWidth, layout.Partitions())
	each := layout.Partitions() / width
	t := &table{header: []string{"NODE", "ZONE", "PARTITIONS", fmt.Sprintf("RING, 0 TO %d", layout.Partitions()-1)}}
	for _, n := range layout.Nodes() {
		owned := layout.Owned(n.Name, layout.Replicas())
		held := make([]int, width)
		for _, p := range owned {
			held[int(p)/each]++
		}
		var arc strings.Builder
		for _, h := range held {
			shades := []rune("·░▒▓█")
			arc.WriteRune(shades[(h*(len(shades)-1)+each-1)/each])
		}
		t.add(plainCells(n.Name, n.Zone, fmt.Sprint(len(owned)), arc.String())...)
	}
	return t
}
