package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/api"
)

func (a *app) hintsCommand() *cobra.Command {
	return parent("hints", "Show what nodes owe one another", "  kvcli hints list", a.hintsList())
}

// hintsDoc is the document of kvcli hints list.
type hintsDoc struct {
	Nodes []nodeHintsDoc `json:"nodes"`
	// Hints and Bytes add up the nodes that could be asked, Unknown names the
	// others.
	Hints   int      `json:"hints"`
	Bytes   int64    `json:"bytes"`
	Unknown []string `json:"unknown"`
}

type nodeHintsDoc struct {
	Node string `json:"node"`
	// Error says why the node could not be asked; the rest is then unknown.
	Error string `json:"error"`
	api.HintsDoc
}

func newHintsDoc(s *survey) hintsDoc {
	doc := hintsDoc{Nodes: []nodeHintsDoc{}, Unknown: []string{}}
	for i := range s.Nodes {
		v := &s.Nodes[i]
		r := v.replication()
		n := nodeHintsDoc{Node: v.Name, HintsDoc: api.NewHintsDoc(&r.Hints)}
		switch {
		case v.Err != nil:
			n.Error = v.Err.Error()
		case r.Unknown != "":
			n.Error = r.Unknown
		}
		if n.Error != "" {
			doc.Unknown = append(doc.Unknown, v.Name)
		}
		doc.Hints += r.Hints.Hints
		doc.Bytes += r.Hints.Bytes
		doc.Nodes = append(doc.Nodes, n)
	}
	return doc
}

func (a *app) hintsList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the hints that every node keeps for others", Args: cobra.NoArgs,
		Long: `List shows what nodes keep for home replicas that they could not reach: for each
target how many hints, how large, and since when the oldest. They are delivered
as soon as the target can be reached.

A hint for several homes counts once per node, and once for each target. The exit
code is 6 if a node could not be asked.`,
		Example: "  kvcli hints list\n  kvcli hints list -o json | jq .hints",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSurvey(c.Context(), func(s *survey) error {
				doc := newHintsDoc(s)
				if err := a.print(doc, func(w io.Writer) error { return a.writeHints(w, s, doc) }); err != nil {
					return err
				}
				return unknownResult(doc.Unknown)
			})
		},
	}
}

func (a *app) writeHints(w io.Writer, s *survey, doc hintsDoc) error {
	t := table{header: []string{"NODE", "OWES", "HINTS", "BYTES", "OLDEST"}}
	var reasons []string // below the table, which stays narrow
	for i, n := range doc.Nodes {
		if n.Error != "" {
			row := plainCells(n.Node, "unknown")
			row[1].paint = a.style().Bad
			t.add(row...)
			reasons = append(reasons, n.Node+" is not known: "+n.Error)
			continue
		}
		now := s.Nodes[i].replication().At
		for _, d := range s.Nodes[i].replication().Hints.Debts {
			t.add(plainCells(n.Node, d.Target, fmt.Sprint(d.Hints), fmt.Sprint(d.Bytes), ageText(now, d.Oldest)+" ago")...)
		}
	}
	if len(t.rows) > 0 {
		if err := t.write(w); err != nil {
			return err
		}
	}
	for _, why := range reasons {
		fmt.Fprintln(w, why)
	}
	if doc.Hints == 0 && len(doc.Unknown) == 0 {
		_, err := fmt.Fprintf(w, "no hints: nobody owes anybody anything\n")
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %s in all\n", counted(doc.Hints, "hint", "hints"), counted(int(doc.Bytes), "byte", "bytes"))
	return err
}
