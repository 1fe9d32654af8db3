package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

func (a *app) clusterPlan() *cobra.Command {
	return &cobra.Command{
		Use: "plan", Short: "Show what a commit of all that is staged would do", Args: cobra.NoArgs,
		Long: `Plan shows what a commit would do: how many partitions each node has before and after,
how many copies are sent and about how long that takes, what holds meanwhile, who has to
be reached before it begins, and why it would be refused, if so. Nothing changes.

Bytes are keys and values as they are sent, not what they take on the disk, where they
are compressed: a node reads copies of its own for that, half a second at most. The time
goes by the rate at which the last change was sent, or by the pace of rebuilds if there
was none; history shows what came of it.

The plan has a version; 'kvcli cluster commit VERSION' commits this one and no other.`,
		Example: "  kvcli cluster plan\n  kvcli cluster plan -o json | jq -r .version",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onLayout(c.Context(), func(ctx context.Context, v *layoutView) error {
				plan, err := v.cl.Plan(ctx, v.node)
				if err != nil {
					return err
				}
				doc := planDoc{PlanDoc: api.NewPlanDoc(&plan), Incomplete: changeOf(ctx, v.cl, v.info).Incomplete}
				if doc.Lost, err = v.account(ctx, &plan); err != nil {
					return err
				}
				return a.print(doc, func(w io.Writer) error { return a.writePlan(w, &plan, &doc) })
			})
		},
	}
}

// planDoc is the document of kvcli cluster plan.
type planDoc struct {
	api.PlanDoc
	// Incomplete are copies that keep the change before this one from going on.
	Incomplete []api.IncompleteDoc `json:"incomplete"`
	// Lost is the account of what only those had that the plan removes.
	Lost []lostDoc `json:"lost"`
}

// account asks all others what only those had that a plan removes.
func (v *layoutView) account(ctx context.Context, p *kindred.LayoutPlan) ([]lostDoc, error) {
	names := removals(p)
	if len(names) == 0 {
		return []lostDoc{}, nil
	}
	s, err := surveyCluster(ctx, v.cl)
	if err != nil {
		return nil, err
	}
	return accountOf(s, v.layout, names), nil
}

func (a *app) writePlan(w io.Writer, p *kindred.LayoutPlan, doc *planDoc) error {
	st := a.style()
	for _, line := range incompleteLines(doc.Incomplete, nil) {
		if hopeless(doc.Incomplete) {
			fmt.Fprintf(w, "%s %s\n", st.Bad("stuck:"), line)
		}
	}
	if why := p.NothingStaged(); why != "" {
		_, err := fmt.Fprintln(w, why+stageFirst)
		return err
	}
	fmt.Fprintf(w, "plan %s, which follows on %s\n\n", st.Bold(p.Version), p.From)
	if len(doc.Changes) > 0 {
		if err := stagedTable(doc.Changes).write(w); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if err := a.planTable(p).write(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n\nWhile it goes on:\n", movedText(p))
	for _, g := range p.Guarantees {
		fmt.Fprintf(w, "  %s\n", g)
	}
	for _, n := range p.Notes {
		if n.Kind == kindred.PlanAcceptable {
			continue // it was said above, if it is of use
		}
		fmt.Fprintf(w, "%s %s\n", st.Warn("note:"), n.Text)
	}
	for _, lost := range doc.Lost {
		for _, line := range lost.lines() {
			fmt.Fprintf(w, "%s %s\n", st.Warn("lost:"), line)
		}
	}
	for _, r := range p.Refusals {
		fmt.Fprintf(w, "%s %s\n", st.Bad("refused:"), r.Text)
	}
	next := nextOfPlan(p)
	if hopeless(doc.Incomplete) && len(p.Refusals) == 0 {
		next = fmt.Sprintf("without the loss accepted it could not end either. To accept that: kvcli cluster commit %s --accept-loss", p.Version)
	}
	_, err := fmt.Fprintf(w, "\n%s\n", next)
	return err
}

// stageFirst goes on after the word that nothing is staged.
const stageFirst = ": kvcli cluster join, leave, replace, remove, set-zone and set-capacity stage changes"

// nextOfPlan is what an operator may do with a plan.
func nextOfPlan(p *kindred.LayoutPlan) string {
	switch {
	case len(p.Refusals) == 0:
		return fmt.Sprintf("nothing moves yet. Next: kvcli cluster commit %s --wait, or kvcli cluster clear", p.Version)
	case p.RefusedForLoss():
		return fmt.Sprintf("it is refused, because acknowledged writes may be lost. To accept that: kvcli cluster commit %s --accept-loss", p.Version)
	}
	return "it is refused: stage something else, or kvcli cluster clear"
}

func movedText(p *kindred.LayoutPlan) string {
	if p.Copies == 0 {
		return "no data moves"
	}
	text := counted(p.Copies, "copy of a partition is sent", "copies of partitions are sent")
	if p.Bytes > 0 {
		text += ", about " + term.Bytes(p.Bytes)
	}
	if p.Expected > 0 {
		text += fmt.Sprintf("; the change takes about %s", p.Expected.Round(time.Second))
	}
	return text
}

// planBarWidth is how wide the bar of the node with the most partitions is.
const planBarWidth = 24

func (a *app) planTable(p *kindred.LayoutPlan) *table {
	t := &table{header: []string{"NODE", "ZONE", "CAPACITY", "BEFORE", "AFTER", "", "RECEIVES", "SENDS", ""}}
	most := 1
	for _, n := range p.Nodes {
		most = max(most, n.Before, n.After)
	}
	for _, n := range p.Nodes {
		fate := ""
		switch {
		case n.Gone:
			fate = "gone"
		case n.Leaves:
			fate = "leaves"
		case n.Before == 0 && n.After > 0:
			fate = "joins"
		}
		t.add(plainCells(n.Node, n.Zone, fmt.Sprint(n.Capacity), fmt.Sprint(n.Before), fmt.Sprint(n.After), planBar(n.Before, n.After, most),
			copiesText(n.CopiesIn, n.BytesIn), copiesText(n.CopiesOut, n.BytesOut), fate)...)
	}
	return t
}

// planBar shows what a node keeps, what it is given, and what it gives away.
func planBar(before, after, most int) string {
	scale := func(n int) int { return (n*planBarWidth + most/2) / most }
	kept := scale(min(before, after))
	return strings.Repeat("█", kept) + strings.Repeat("▓", max(0, scale(after)-kept)) + strings.Repeat("░", max(0, scale(before)-kept))
}

func copiesText(copies int, bytes uint64) string {
	switch {
	case copies == 0:
		return "-"
	case bytes == 0:
		return fmt.Sprint(copies)
	}
	return fmt.Sprintf("%d, %s", copies, term.Bytes(bytes))
}

func (a *app) clusterCommit() *cobra.Command {
	var acceptLoss, wait bool
	c := &cobra.Command{
		Use: "commit [VERSION]", Short: "Commit what is staged", Args: cobra.MaximumNArgs(1),
		Long: `Commit proposes the plan of all that is staged to all nodes. With a VERSION it commits
that plan and no other: if something was staged or committed since it was shown, it is
refused (exit 5), as is a plan that has refusals. --accept-loss accepts that
acknowledged writes may be lost, where too many owners of a key are gone for ever.

A change that has begun can lose too many owners later: one that may have lost writes,
since its disk is gone or it was killed, while another is being removed. It says so then,
and never ends. --accept-loss commits the way out, also with nothing staged; where no node
says that it is needed, and nothing is staged, it is refused.

The new layout is used once every node that counts has heard of it. From then on the
change cannot be taken back; its reverse can be staged and committed at any time, also
while it goes on. --wait shows how far it is and returns when it is settled; with
--timeout it gives up then (exit 6), and the change goes on by itself.`,
		Example: "  kvcli cluster commit --wait\n  kvcli cluster commit 2-9f2c66d01e6a74b8\n  kvcli cluster commit --accept-loss --wait --timeout 10m",
		RunE: func(c *cobra.Command, args []string) error {
			version := ""
			if len(args) > 0 {
				version = args[0]
			}
			return a.commit(c.Context(), version, acceptLoss, wait)
		},
	}
	c.Flags().BoolVar(&acceptLoss, "accept-loss", false, "accept that acknowledged writes may be lost")
	c.Flags().BoolVar(&wait, "wait", false, "wait until the change is settled, and show how far it is")
	return c
}

// commitDoc is the document of kvcli cluster commit.
type commitDoc struct {
	// AskedNode took the order.
	AskedNode string `json:"node"`
	Version   string `json:"version"`
	// Settled: with --wait, everybody works by it alone, after so many seconds.
	Settled  bool          `json:"settled"`
	Seconds  float64       `json:"seconds"`
	WaitsFor []api.WaitDoc `json:"waits_for"`
	// Incomplete are copies that keep it from being settled, with --wait.
	Incomplete []api.IncompleteDoc `json:"incomplete"`
	// Lost is the account of what only those had that it removes, at the commit.
	Lost []lostDoc `json:"lost"`
}

func (a *app) commit(ctx context.Context, version string, acceptLoss, wait bool) error {
	return a.withCluster(ctx, func(cl cluster) error {
		doc, err := a.commitStaged(ctx, cl, version, acceptLoss, wait)
		if doc == nil {
			return err
		}
		printed := a.print(doc, func(w io.Writer) error { return a.writeCommit(w, doc, wait) })
		return cmp.Or(err, printed)
	})
}

// commitStaged commits what is staged, and waits for it if that is asked for. Without a
// document nothing was committed, or something else is used.
func (a *app) commitStaged(ctx context.Context, cl cluster, version string, acceptLoss, wait bool) (*commitDoc, error) {
	asking, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	v, err := viewLayout(asking, cl)
	if err != nil {
		return nil, err
	}
	plan, err := cl.Plan(asking, v.node)
	if err != nil {
		return nil, err
	}
	if err := refusePlan(&plan, version, acceptLoss); err != nil {
		return nil, err
	}
	switch stuck := hopeless(changeOf(asking, cl, v.info).Incomplete); {
	case stuck && !acceptLoss:
		return nil, unsafe("nothing was committed: the change that goes on can never end, nor could this one that takes over from it (kvcli cluster plan says why), unless the loss is accepted (--accept-loss)")
	case !stuck && plan.NothingStaged() != "":
		return nil, unsafe("nothing was committed: nothing is staged, and no node that can be asked says that the change which goes on can never end, so that there is no loss to accept")
	}
	lost, err := v.account(asking, &plan)
	if err != nil {
		return nil, err
	}
	for i := range lost {
		for _, line := range lost[i].lines() {
			a.note("%s", line)
		}
	}
	begin := time.Now()
	known, err := cl.Commit(asking, v.node, plan.Version, acceptLoss)
	if err != nil {
		return nil, err
	}
	doc := &commitDoc{AskedNode: v.node, Version: committed(&known), WaitsFor: api.NewProgressDoc(&known.Progress).Waits, Incomplete: []api.IncompleteDoc{}, Lost: lost}
	if !wait {
		return doc, nil
	}
	return a.followChange(ctx, cl, doc, begin)
}

func (a *app) writeCommit(w io.Writer, doc *commitDoc, waited bool) error {
	var err error
	switch {
	case doc.Settled:
		_, err = fmt.Fprintf(w, "%s after %.1f s: every node works by layout %s alone\n", a.style().Good("settled"), doc.Seconds, doc.Version)
	case waited:
		for _, line := range incompleteLines(doc.Incomplete, doc.WaitsFor) {
			fmt.Fprintln(w, line)
		}
		return a.writeWaits(w, doc.WaitsFor)
	default:
		_, err = fmt.Fprintf(w, "committed %s; it begins when every node that counts has heard of it. kvcli cluster status and kvcli cluster wait --for changed show how far it is\n", doc.Version)
	}
	return err
}

// committed is the version of the layout that is on its way. It is another one than that
// of the plan if a loss was accepted.
func committed(known *kindred.Changes) string {
	if known.Progress.Next != "" {
		return known.Progress.Next
	}
	return known.Progress.Tip
}

func unsafe(format string, args ...any) error {
	return &result{exit: exitUnsafe, code: string(kindred.CodeUnsafe), message: fmt.Sprintf(format, args...)}
}

// refusePlan refuses a plan that is not the one that was looked at, or is unsafe.
func refusePlan(p *kindred.LayoutPlan, version string, acceptLoss bool) error {
	alone := p.NothingStaged() != "" && acceptLoss && p.MayAcceptLoss()
	switch {
	case p.NothingStaged() != "" && !alone:
		return kindred.Invalid("changes", "%s", p.NothingStaged()+stageFirst)
	case version != "" && version != p.Version:
		return unsafe("the plan is %s by now, not %s, and nothing was committed: look at it again (kvcli cluster plan)", p.Version, version)
	case alone:
		return nil
	case len(p.Refusals) == 0 || acceptLoss && p.RefusedForLoss():
		return nil
	}
	var why []string
	for _, r := range p.Refusals {
		why = append(why, r.Text)
	}
	hint := ""
	if p.RefusedForLoss() {
		hint = " (--accept-loss)"
	}
	return unsafe("nothing was committed: %s%s", strings.Join(why, "; "), hint)
}

// historyDoc is the document of kvcli cluster history.
type historyDoc struct {
	AskedNode string              `json:"node"`
	History   []api.PastChangeDoc `json:"history"`
}

func (a *app) clusterHistory() *cobra.Command {
	return &cobra.Command{
		Use: "history", Short: "List the changes of the layout, with what was predicted and what came", Args: cobra.NoArgs,
		Long: `History lists the changes of the layout that the asked node knows to have been
committed, the latest first: what was changed, what was predicted (the bytes to be sent,
and how long it would take from the commit until it is settled), and what came of it.`,
		Example: "  kvcli cluster history\n  kvcli cluster history -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onLayout(c.Context(), func(ctx context.Context, v *layoutView) error {
				known, err := v.cl.Changes(ctx, v.node)
				if err != nil {
					return err
				}
				doc := historyDoc{known.Node, api.NewChangesDoc(&known).History}
				return a.print(doc, func(w io.Writer) error { return writeHistory(w, doc, &known) })
			})
		},
	}
}

func writeHistory(w io.Writer, doc historyDoc, known *kindred.Changes) error {
	if len(doc.History) == 0 {
		_, err := fmt.Fprintf(w, "the layout has not changed since it was made, as far as %s knows\n", doc.AskedNode)
		return err
	}
	t := table{header: []string{"LAYOUT", "COMMITTED", "CHANGE", "COPIES", "EXPECTED", "CAME", "OUTCOME"}}
	for i, p := range doc.History {
		expected, came := "?", "?"
		if p.Bytes > 0 || p.Expected > 0 {
			expected = fmt.Sprintf("%s in %s", term.Bytes(p.Bytes), durationText(p.Expected))
		}
		if p.Took > 0 {
			came = fmt.Sprintf("%s in %s", term.Bytes(p.Moved), durationText(p.Took))
		}
		text := changesText(p.Changes)
		if p.Loss {
			text = strings.TrimPrefix(text+", the loss is accepted", ", ")
		}
		t.add(plainCells(p.Version, when(known.History[i].Committed), text, fmt.Sprint(p.Copies), expected, came, p.Outcome)...)
	}
	return t.write(w)
}

func durationText(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// changesText puts changes on one line: "n4 joins, n2 leaves".
func changesText(changes []api.NodeChangeDoc) string {
	words := map[kindred.Intent]string{kindred.IntentOwn: "owns", kindred.IntentLeave: "leaves", kindred.IntentRemove: "is removed"}
	var list []string
	for _, c := range changes {
		text := c.Node + " " + words[kindred.Intent(c.Intent)]
		if c.Intent == string(kindred.IntentOwn) {
			text += fmt.Sprintf(" %d in %s", c.Capacity, orNone(c.Zone))
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}
