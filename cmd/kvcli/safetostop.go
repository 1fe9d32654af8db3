package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
)

const (
	// settleMax is how long writes that are on their way may take to arrive before
	// they count against a stop: the exchange takes two looks, a second apart.
	settleMax = 4 * time.Second
	// settleEvery is the pause between two counts.
	settleEvery = 100 * time.Millisecond
)

func (a *app) clusterSafeToStop() *cobra.Command {
	return &cobra.Command{
		Use: "safe-to-stop NODE", Short: "Say whether a node could be stopped now", Args: cobra.ExactArgs(1),
		Long: `Safe-to-stop finds out whether anything would be lost, or refused, if this node
were stopped now, and its disk perhaps lost with it:

  change    owners change, so that those of two layouts count, and the change may
            wait for this node
  quorum    partitions that would be left with fewer homes than the R or W of a
            bucket; a home counts that is up, ready, trusted, linked with the
            others, not being rebuilt and not damaged
  copies    write events of the node that too few others have on their disks: as
            many as the highest W of the buckets, and at most all other homes
  hints     the same of what it keeps for others as a guest
  rebuild   homes that are copied anew from this node and could be from no other

The exit code is 0 if it is safe and 5 if it is not. It is 6 if that is not known,
because a node that matters could not be asked: that is never a yes. What is on
its way when the question is asked has 4 s to arrive.

The answer is one of the moment: stop the node now, or ask again.`,
		Example: "  kvcli cluster safe-to-stop n3\n  kvcli cluster safe-to-stop n3 -o json | jq -r .safe\n  kvcli cluster safe-to-stop n3 && systemctl restart kvnode",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				doc, err := safeToStop(ctx, cl, args[0], settleMax)
				if err != nil {
					return err
				}
				if err := a.print(doc, func(w io.Writer) error { return a.writeSafe(w, doc) }); err != nil {
					return err
				}
				return safeResult(doc)
			})
		},
	}
}

// safeToStop asks everybody, and again for as long as writes may be on their way.
func safeToStop(ctx context.Context, cl cluster, node string, settle time.Duration) (safeDoc, error) {
	begin := time.Now()
	t, err := newTrial(ctx, cl, node)
	if err != nil {
		return safeDoc{}, err
	}
	for {
		t.census.count(ctx, cl, t.others())
		doc := t.judge()
		if !doc.onTheirWay() || time.Since(begin) > settle || !pause(ctx, settleEvery) {
			return doc, nil
		}
	}
}

// newTrial asks all nodes how they are, and the one what it does not know to be
// everywhere.
func newTrial(ctx context.Context, cl cluster, node string) (*trial, error) {
	s, err := surveyCluster(ctx, cl)
	if err != nil {
		return nil, err
	}
	t := &trial{node: node, survey: s, census: newCensus()}
	if t.layout, err = layoutOf(s.Asked); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(s.Nodes, func(v nodeView) bool { return v.Name == node }) {
		return nil, kindred.Invalid("node", "no node is called %q: the nodes are %s", node, strings.Join(s.names(), ", "))
	}
	t.buckets, t.bucketsErr = cl.Buckets(ctx)
	if s.answers(node) {
		t.census.list(ctx, cl, []string{node})
	}
	return t, nil
}

// others are the nodes that can be asked what they hold of it.
func (t *trial) others() (names []string) {
	for i := range t.survey.Nodes {
		if v := &t.survey.Nodes[i]; v.Name != t.node && v.Err == nil {
			names = append(names, v.Name)
		}
	}
	return names
}

func safeResult(doc safeDoc) error {
	reasons := counted(len(doc.Reasons), "reason", "reasons")
	switch doc.Safe {
	case safeYes:
		return nil
	case safeNo:
		return &result{exit: exitUnsafe, code: "unsafe", message: fmt.Sprintf("%s is not safe to stop: %s", doc.Node, reasons)}
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
		"whether %s is safe to stop is not known: %s", doc.Node, reasons)}
}

func (a *app) writeSafe(w io.Writer, doc safeDoc) error {
	st := a.style()
	switch doc.Safe {
	case safeYes:
		_, err := fmt.Fprintf(w, "%s\n", st.Good(fmt.Sprintf("yes: %s is safe to stop now. Each of its %s keeps %s, and all that it holds is on the disks of %s",
			doc.Node, counted(doc.Partitions, "partition", "partitions"), counted(doc.Homes, "home", "homes"), counted(doc.Copies, "other node", "other nodes"))))
		return err
	case safeNo:
		fmt.Fprintf(w, "%s\n", st.Bad("no: "+doc.Node+" is not safe to stop now"))
	default:
		fmt.Fprintf(w, "%s\n", st.Bad("unknown: nobody can say whether "+doc.Node+" is safe to stop"))
	}
	for _, r := range doc.Reasons {
		fmt.Fprintf(w, "%s %s%s%s\n         %s\n", st.Bad(r.Kind+":"), r.Reason, examplesText(r), aboutText(r.Seconds), st.Dim("fix: "+r.Fix))
	}
	return nil
}

// examplesText names the partitions that a reason is about.
func examplesText(r objectionDoc) string {
	if r.Partitions == 0 {
		return ""
	}
	names := make([]string, len(r.Examples))
	for i, p := range r.Examples {
		names[i] = fmt.Sprint(p)
	}
	text := strings.Join(names, ", ")
	if more := r.Partitions - len(r.Examples); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf(" (%s %s)", plural(r.Partitions, "partition", "partitions"), text)
}

func aboutText(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return ", about " + (time.Duration(seconds) * time.Second).Round(time.Second).String()
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// names are those of the nodes.
func (s *survey) names() []string {
	names := make([]string, len(s.Nodes))
	for i := range s.Nodes {
		names[i] = s.Nodes[i].Name
	}
	return names
}

// answers reports whether a node could be asked at all.
func (s *survey) answers(node string) bool {
	return slices.ContainsFunc(s.Nodes, func(v nodeView) bool { return v.Name == node && v.Err == nil })
}
