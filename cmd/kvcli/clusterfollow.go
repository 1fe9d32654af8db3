package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// followChange waits until a committed change is settled, and shows how far it is.
// Without a document another one was settled in its place.
func (a *app) followChange(ctx context.Context, cl cluster, doc *commitDoc, begin time.Time) (*commitDoc, error) {
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, begin.Add(a.timeout))
		defer cancel()
	}
	a.note("committed %s", doc.Version)
	progress := term.NewProgress(a.errOut, "copies complete")
	defer progress.End()
	for {
		known, sum := askChange(ctx, cl, doc.AskedNode)
		if known != nil {
			doc.WaitsFor = api.NewProgressDoc(&known.Progress).Waits
			doc.Settled = known.Progress.Settled && known.Progress.Next == "" && !older(known.Progress.Tip, doc.Version)
			if doc.Settled && known.Progress.Tip != doc.Version {
				return nil, &result{exit: exitUnavailable, code: "replaced", message: fmt.Sprintf(
					"layout %s was replaced by %s, which is settled: kvcli cluster history tells of both", doc.Version, known.Progress.Tip)}
			}
		}
		doc.Seconds = time.Since(begin).Seconds()
		if doc.Incomplete = sum.incomplete; doc.Settled {
			return doc, nil
		}
		if hopeless(doc.Incomplete) && !older(known.Progress.Tip, doc.Version) {
			return doc, &result{exit: exitUnavailable, code: "hopeless", message: fmt.Sprintf(
				"layout %s is in use and can never be settled: %s", doc.Version, strings.Join(incompleteLines(doc.Incomplete, nil), "; "))}
		}
		progress.Say(sum.text(doc.WaitsFor, plannedBytes(known, doc.Version)))
		if !pause(ctx, surveyEvery) {
			return doc, &result{exit: exitUnavailable, code: string(kindred.CodeTimeout), message: fmt.Sprintf(
				"layout %s is committed, and not settled after %.1f s; it goes on by itself (kvcli cluster wait --for changed)", doc.Version, doc.Seconds)}
		}
	}
}

func (a *app) writeWaits(w io.Writer, waits []api.WaitDoc) error {
	for _, f := range waits {
		if _, err := fmt.Fprintf(w, "%s %s %s\n", a.style().Warn("waits for"), f.Node, f.Reason); err != nil {
			return err
		}
	}
	return nil
}

// older reports whether a version comes before another by their counters.
func older(a, b string) bool {
	var x, y uint64
	if _, err := fmt.Sscanf(a, "%d-", &x); err != nil {
		return true
	}
	if _, err := fmt.Sscanf(b, "%d-", &y); err != nil {
		return false
	}
	return x < y
}

// transferSum is how far all nodes are together.
type transferSum struct {
	kindred.Transfer
	silent []string
	// incomplete is what keeps the change from going on.
	incomplete []api.IncompleteDoc
}

// askChange asks all nodes that have a part in a change how far it is, the one that took
// the order first. Nil means that nobody answers.
func askChange(ctx context.Context, cl cluster, node string) (known *kindred.Changes, sum transferSum) {
	var said []kindred.Changes
	ask := func(name string) *kindred.Changes {
		ctx, cancel := context.WithTimeout(ctx, nodePatience)
		defer cancel()
		c, err := cl.Changes(ctx, name)
		if err != nil {
			if ctx.Err() == nil || len(sum.silent) < 3 {
				sum.silent = append(sum.silent, name)
			}
			return nil
		}
		sum.add(&c.Progress.Transfer)
		said = append(said, c)
		return &c
	}
	if known = ask(node); known == nil {
		info, err := cl.Cluster(ctx)
		if err != nil || info.Node == node {
			return nil, sum
		}
		if known = ask(info.Node); known == nil {
			return nil, sum
		}
	}
	for _, n := range known.Progress.Nodes {
		if n.Node != known.Node && n.Node != node && !n.Gone {
			ask(n.Node)
		}
	}
	sum.incomplete = incompleteOf(said, known.Progress.Tip)
	return known, sum
}

// add counts another node: they receive at the same time, so that the longest of them
// says how long it takes.
func (s *transferSum) add(t *kindred.Transfer) {
	s.Copies, s.Complete = s.Copies+t.Copies, s.Complete+t.Complete
	s.Bytes, s.Rate, s.Left = s.Bytes+t.Bytes, s.Rate+t.Rate, max(s.Left, t.Left)
}

// plannedBytes is how much the plan of a version was to send, zero if that is not known.
func plannedBytes(known *kindred.Changes, version string) uint64 {
	if known == nil {
		return 0
	}
	at := slices.IndexFunc(known.History, func(p kindred.PastChange) bool { return p.Version == version })
	if at < 0 {
		return 0
	}
	return known.History[at].Bytes
}

// text is one line of progress.
func (s *transferSum) text(waits []api.WaitDoc, planned uint64) string {
	parts := []string{fmt.Sprintf("%d of %d copies complete", s.Complete, s.Copies)}
	if s.Bytes > 0 {
		sent := term.Bytes(s.Bytes)
		if planned > 0 {
			sent += " of about " + term.Bytes(planned)
		}
		if s.Rate > 0 {
			sent += fmt.Sprintf(" at %s/s", term.Bytes(s.Rate))
		}
		parts = append(parts, sent)
	}
	if s.Left > 0 {
		parts = append(parts, fmt.Sprintf("about %s left", s.Left.Round(time.Second)))
	}
	if len(waits) > 0 {
		parts = append(parts, fmt.Sprintf("waits for %s, which %s", waits[0].Node, waits[0].Reason))
	}
	if len(s.silent) > 0 {
		parts = append(parts, strings.Join(s.silent, ", ")+" cannot be asked")
	}
	return strings.Join(parts, "; ")
}

// changeDoc is a change in progress in short, for commands that show the cluster.
type changeDoc struct {
	// Unknown says why the node could not be asked; the rest is then not known.
	Unknown string `json:"unknown"`
	Settled bool   `json:"settled"`
	Tip     string `json:"tip"`
	Base    string `json:"base"`
	Next    string `json:"next"`
	// Staged changes wait to be committed.
	Staged   []api.NodeChangeDoc   `json:"staged"`
	Nodes    []api.NodeProgressDoc `json:"nodes"`
	WaitsFor []api.WaitDoc         `json:"waits_for"`
	// Incomplete are the copies, of all nodes, that keep the change from going on.
	Incomplete []api.IncompleteDoc `json:"incomplete"`
}

// changeOf asks one node for it, and while the layout changes the others what is not
// complete there.
func changeOf(ctx context.Context, cl cluster, info kindred.Cluster) changeDoc {
	doc := changeDoc{Staged: []api.NodeChangeDoc{}, Nodes: []api.NodeProgressDoc{}, WaitsFor: []api.WaitDoc{}, Incomplete: []api.IncompleteDoc{}}
	if info.LayoutVersion == "" {
		doc.Unknown = info.Node + " has no layout yet"
		return doc
	}
	asking, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	known, err := cl.Changes(asking, info.Node)
	if err != nil {
		doc.Unknown = err.Error()
		return doc
	}
	all := api.NewChangesDoc(&known)
	p := all.Progress
	return changeDoc{
		Settled: p.Settled, Tip: p.Tip, Base: p.Base, Next: p.Next, Staged: all.Staged, Nodes: p.Nodes, WaitsFor: p.Waits,
		Incomplete: askIncomplete(ctx, cl, &known),
	}
}

// lacks are what is missing until no change goes on.
func (d *changeDoc) lacks() []string {
	if d.Unknown == "" && d.Settled && d.Next == "" {
		return nil
	}
	bare := *d
	bare.Staged = nil
	return bare.lines()
}

// lines say in sentences what goes on; none if nothing does.
func (d *changeDoc) lines() (lines []string) {
	switch {
	case d.Unknown != "":
		lines = append(lines, "whether the layout changes is not known: "+d.Unknown)
	case d.Next != "":
		lines = append(lines, fmt.Sprintf("layout %s was committed and is used when every node that counts holds it", d.Next))
	case !d.Settled:
		steps := map[string]int{}
		for _, n := range d.Nodes {
			if !n.Gone {
				steps[n.Step]++
			}
		}
		text := fmt.Sprintf("the layout changes to %s", d.Tip)
		if d.Base != d.Tip {
			text = fmt.Sprintf("the layout changes from %s to %s", d.Base, d.Tip)
		}
		lines = append(lines, fmt.Sprintf("%s: %s old and new owners, %d read from the new, %d by the new alone", text,
			counted(steps["both"], "node writes to", "nodes write to"), steps["ahead"], steps["alone"]))
	}
	for _, f := range d.WaitsFor {
		lines = append(lines, fmt.Sprintf("it waits for %s, which %s", f.Node, f.Reason))
	}
	lines = append(lines, incompleteLines(d.Incomplete, d.WaitsFor)...)
	if len(d.Staged) > 0 {
		lines = append(lines, fmt.Sprintf("staged and not committed: %s (kvcli cluster plan)", changesText(d.Staged)))
	}
	return lines
}
