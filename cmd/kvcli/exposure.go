package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

const (
	// exposedTo is how many nodes hold an exposed write event at most.
	exposedTo = 2
	// exposedShown is how many rows of partitions people are shown.
	exposedShown = 20
	// watchEvery is the pause between two looks.
	watchEvery = 2 * time.Second
)

// exposureDoc is the document of kvcli cluster exposure.
type exposureDoc struct {
	// Dots are the write events that one or two nodes hold, fewer than the homes.
	Dots       uint64                `json:"dots"`
	Nodes      []nodeExposureDoc     `json:"nodes"`
	Partitions []partitionExposedDoc `json:"partitions"`
	// Unknown names the nodes that could not be asked: what they hold is not counted.
	Unknown []string `json:"unknown"`
}

// nodeExposureDoc is what would be missed if one node were gone.
type nodeExposureDoc struct {
	Node string `json:"node"`
	// Error says why it could not be asked; the rest is then unknown.
	Error string `json:"error"`
	// Alone are held by it and nobody else, Paired by it and one other node.
	Alone      uint64 `json:"alone_dots"`
	Paired     uint64 `json:"paired_dots"`
	Partitions int    `json:"partitions"`
	// Oldest is how long the oldest has been so at least; 0 if that is not known.
	Oldest float64 `json:"oldest_seconds"`
}

// partitionExposedDoc is what the same nodes hold of one partition.
type partitionExposedDoc struct {
	Partition int      `json:"partition"`
	Homes     []string `json:"homes"`
	// HeldBy are the nodes that have it on their disks, Guests those of them that owe
	// it to homes. It is empty if those that had it could not be asked again.
	HeldBy []string `json:"held_by"`
	Guests []string `json:"guests"`
	Dots   uint64   `json:"dots"`
	Oldest float64  `json:"oldest_seconds"`
}

func (a *app) clusterExposure() *cobra.Command {
	var watch bool
	c := &cobra.Command{
		Use: "exposure", Short: "Show which writes only one or two nodes hold now", Args: cobra.NoArgs,
		Long: `Exposure asks every node which write events it holds and does not know to be on
the disk of every home, and then all nodes which of these they have on their
disks. It shows those that one or two nodes have, and fewer than the homes: what
another lost disk, or two, would take along.

A write event is a put or a delete, acknowledged or not: nodes do not remember
which. Under load some are on their way at any moment; what stays is what counts,
and how long the oldest has been there at least. The exit code is 6 if a node
could not be asked: what it holds is not counted then.`,
		Example: "  kvcli cluster exposure\n  kvcli cluster exposure --watch\n  kvcli cluster exposure -o json | jq .dots",
		RunE: func(c *cobra.Command, _ []string) error {
			if watch && a.output == asJSON {
				return usageError{c, errors.New("--watch has no end, which a JSON document needs: leave out one of them")}
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				for {
					err := a.showExposure(c.Context(), cl)
					if !watch || c.Context().Err() != nil {
						return err
					}
					if err != nil {
						a.note("kvcli: %v", err)
					}
					if !pause(c.Context(), watchEvery) {
						return nil
					}
					fmt.Fprintln(a.out)
				}
			})
		},
	}
	c.Flags().BoolVar(&watch, "watch", false, "look again every two seconds, until interrupted")
	return c
}

func (a *app) showExposure(ctx context.Context, cl cluster) error {
	ctx, cancel := a.limit(ctx, defaultTimeout)
	defer cancel()
	info, err := cl.Cluster(ctx)
	if err != nil {
		return err
	}
	layout, err := layoutOf(info)
	if err != nil {
		return err
	}
	names, err := everyNode(info, changeOf(ctx, cl, info))
	if err != nil {
		return err
	}
	c := newCensus()
	c.list(ctx, cl, names)
	c.count(ctx, cl, slices.DeleteFunc(slices.Clone(names), func(n string) bool { return c.unknown[n] != "" }))
	doc := newExposureDoc(names, layout, c)
	if err := a.print(doc, func(w io.Writer) error { return a.writeExposure(w, doc) }); err != nil {
		return err
	}
	return unknownResult(doc.Unknown)
}

func newExposureDoc(names []string, layout *ring.Layout, c *census) exposureDoc {
	doc := exposureDoc{Partitions: []partitionExposedDoc{}, Unknown: []string{}}
	nodes := map[string]*nodeExposureDoc{}
	for _, name := range names {
		nodes[name] = &nodeExposureDoc{Node: name, Error: c.unknown[name]}
		if c.unknown[name] != "" {
			doc.Unknown = append(doc.Unknown, name)
		}
	}
	for _, p := range c.places() {
		for _, part := range exposedOf(p, layout, c) {
			doc.Partitions = append(doc.Partitions, part)
			doc.Dots += part.Dots
			for _, holder := range part.HeldBy {
				nodes[holder].add(part)
			}
		}
		for _, holder := range exposedHolders(doc.Partitions, p.partition) {
			nodes[holder].Partitions++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		doc.Nodes = append(doc.Nodes, *nodes[name])
	}
	return doc
}

func (n *nodeExposureDoc) add(part partitionExposedDoc) {
	if len(part.HeldBy) == 1 {
		n.Alone += part.Dots
	} else {
		n.Paired += part.Dots
	}
	n.Oldest = max(n.Oldest, part.Oldest)
}

// exposedHolders are the nodes that hold something exposed of a partition, each once.
func exposedHolders(parts []partitionExposedDoc, partition int) (names []string) {
	for _, part := range parts {
		if part.Partition == partition {
			names = append(names, part.HeldBy...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// exposedOf are the exposed write events of one partition, by who holds them.
func exposedOf(p placed, layout *ring.Layout, c *census) (parts []partitionExposedDoc) {
	homes := []string{}
	if p.partition < layout.Partitions() {
		homes = layout.Homes(ring.Partition(p.partition), p.n)
	}
	var all vclock.DotSet
	for _, l := range c.listed[p] {
		all.Union(l.dots)
	}
	for _, group := range byHolders(all, eachOnce(c.held[p]), min(exposedTo, len(homes)-1)) {
		part := partitionExposedDoc{Partition: p.partition, Homes: homes, HeldBy: list(group.nodes), Guests: list(group.guests), Dots: antientropy.Count(group.dots)}
		for _, l := range c.listed[p] {
			if !l.dots.Intersect(group.dots).IsEmpty() {
				part.Oldest = max(part.Oldest, l.age.Seconds())
			}
		}
		parts = append(parts, part)
	}
	slices.SortFunc(parts, func(a, b partitionExposedDoc) int { return slices.Compare(a.HeldBy, b.HeldBy) })
	return parts
}

func (a *app) writeExposure(w io.Writer, doc exposureDoc) error {
	nodes := table{header: []string{"NODE", "ALONE", "WITH ONE OTHER", "PARTITIONS", "OLDEST"}}
	var reasons []string
	for _, n := range doc.Nodes {
		if n.Error != "" {
			row := plainCells(n.Node, "unknown", "?", "?", "?")
			row[1].paint = a.style().Bad
			nodes.add(row...)
			reasons = append(reasons, n.Node+" is not known: "+n.Error)
			continue
		}
		nodes.add(plainCells(n.Node, fmt.Sprint(n.Alone), fmt.Sprint(n.Paired), fmt.Sprint(n.Partitions), oldestText(n.Oldest))...)
	}
	if err := nodes.write(w); err != nil {
		return err
	}
	if len(doc.Partitions) > 0 {
		fmt.Fprintln(w)
		if err := writeExposed(w, doc.Partitions); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, reason := range reasons {
		fmt.Fprintln(w, a.style().Bad(reason))
	}
	switch {
	case doc.Dots > 0:
		fmt.Fprintf(w, "%d write events are held by one or two nodes only\n", doc.Dots)
	case len(doc.Unknown) == 0:
		fmt.Fprintln(w, a.style().Good("every write event is on the disks of all homes, or of more than two nodes"))
	}
	return nil
}

func writeExposed(w io.Writer, parts []partitionExposedDoc) error {
	t := table{header: []string{"PARTITION", "HELD BY", "WRITE EVENTS", "OLDEST"}}
	for _, part := range parts[:min(len(parts), exposedShown)] {
		names := make([]string, len(part.HeldBy))
		for i, holder := range part.HeldBy {
			names[i] = holder
			if slices.Contains(part.Guests, holder) {
				names[i] += " (guest)"
			}
		}
		by := strings.Join(names, ", ")
		if by == "" {
			by = "nobody who could be asked"
		}
		t.add(plainCells(fmt.Sprint(part.Partition), by, fmt.Sprint(part.Dots), oldestText(part.Oldest))...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	if more := len(parts) - exposedShown; more > 0 {
		fmt.Fprintf(w, "and %s more; -o json has all\n", counted(more, "row", "rows"))
	}
	return nil
}

func oldestText(seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
