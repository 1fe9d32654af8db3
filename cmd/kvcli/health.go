package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
)

// healthDoc is the document of kvcli cluster health.
type healthDoc struct {
	Healthy  bool            `json:"healthy"`
	Nodes    []nodeHealthDoc `json:"nodes"`
	Problems []problemDoc    `json:"problems"`
}

// nodeHealthDoc is one node in short.
type nodeHealthDoc struct {
	Node string `json:"node"`
	// Error says why it could not be asked; the rest is then unknown.
	Error      string `json:"error"`
	Ready      bool   `json:"ready"`
	Replicas   int    `json:"replicas"`
	Trusted    int    `json:"trusted"`
	Rebuilding int    `json:"rebuilding"`
	Damaged    int    `json:"damaged"`
	Behind     int    `json:"behind"`
	Settled    int    `json:"settled"`
	Audited    int    `json:"audited"`
	Hints      int    `json:"hints"`
}

func newHealthDoc(s *survey) healthDoc {
	doc := healthDoc{Nodes: []nodeHealthDoc{}, Problems: diagnose(s)}
	doc.Healthy = len(doc.Problems) == 0
	for i := range s.Nodes {
		doc.Nodes = append(doc.Nodes, nodeHealth(&s.Nodes[i]))
	}
	return doc
}

func nodeHealth(v *nodeView) nodeHealthDoc {
	if v.Err != nil {
		return nodeHealthDoc{Node: v.Name, Error: v.Err.Error()}
	}
	r := v.replication()
	sum := r.Summary()
	return nodeHealthDoc{
		Node: v.Name, Error: r.Unknown, Ready: v.Local.Ready, Replicas: sum.Replicas, Trusted: sum.Trusted,
		Rebuilding: sum.Rebuilding, Damaged: sum.Damaged, Behind: sum.Behind, Settled: sum.Settled, Audited: sum.Audited,
		Hints: r.Hints.Hints,
	}
}

func (a *app) clusterHealth() *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Ask every node whether all is well", Args: cobra.NoArgs,
		Long: `Health asks every node of the cluster what it knows, and names everything that
is not as it should be, with what to do about it.

The exit code is 0 if there is no problem and 6 if there is one. A node that
cannot be asked is a problem, and so is a check that could not be made: unknown
is never healthy. Faults that were injected on purpose are shown too.`,
		Example: "  kvcli cluster health\n  kvcli cluster health -o json | jq -r '.problems[].problem'",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				s, err := surveyCluster(ctx, cl)
				if err != nil {
					return err
				}
				doc := newHealthDoc(s)
				if err := a.print(doc, func(w io.Writer) error { return a.writeHealth(w, doc) }); err != nil {
					return err
				}
				return healthResult(doc)
			})
		},
	}
}

func healthResult(doc healthDoc) error {
	if doc.Healthy {
		return nil
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
		"the cluster is not healthy: %s", counted(len(doc.Problems), "problem", "problems"))}
}

func (a *app) writeHealth(w io.Writer, doc healthDoc) error {
	st := a.style()
	t := table{header: []string{"NODE", "READY", "REPLICAS", "TRUSTED", "REBUILDING", "DAMAGED", "BEHIND", "SETTLED", "AUDITED", "HINTS OWED"}}
	for _, n := range doc.Nodes {
		t.add(a.healthRow(n)...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	if doc.Healthy {
		_, err := fmt.Fprintf(w, "\n%s\n", st.Good(fmt.Sprintf("healthy: %s asked, no problem found", counted(len(doc.Nodes), "node", "nodes"))))
		return err
	}
	fmt.Fprintln(w)
	for _, p := range doc.Problems {
		fmt.Fprintf(w, "%s %s\n         %s\n", st.Bad("problem:"), p.Problem, st.Dim("fix: "+p.Fix))
	}
	return nil
}

func (a *app) healthRow(n nodeHealthDoc) []cell {
	if n.Error != "" {
		row := plainCells(n.Node, "unknown", "?", "?", "?", "?", "?", "?", "?", "?")
		row[1].paint = a.style().Bad
		return row
	}
	ready, paint := "yes", a.style().Good
	if !n.Ready {
		ready, paint = "no", a.style().Bad
	}
	row := plainCells(n.Node, ready, fmt.Sprint(n.Replicas), fmt.Sprint(n.Trusted), fmt.Sprint(n.Rebuilding), fmt.Sprint(n.Damaged),
		fmt.Sprint(n.Behind), fmt.Sprint(n.Settled), fmt.Sprint(n.Audited), fmt.Sprint(n.Hints))
	row[1].paint = paint
	return row
}
