package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

const (
	// waitTimeout bounds waits for the cluster where --timeout does not.
	waitTimeout = time.Minute
	// surveyEvery is the pause between two rounds of questions.
	surveyEvery = 250 * time.Millisecond
)

// condition is what a cluster can be waited for.
type condition struct {
	name, short string
	// lacks says in words what a node still lacks, empty if nothing, and how many
	// of its parts have it, of how many. Nil is for what is of the whole.
	lacks func(v *nodeView) (text string, have, of int)
	// rounds is how many rounds of questions in a row must find it. One round
	// asks its nodes one after another: what a guest delivers to a home that was
	// asked before it is seen by nobody in that round, and by the next.
	rounds int
}

func conditions() []condition {
	return []condition{
		{"ready", "every node serves its share, linked with all others", lacksReady, 1},
		{"trusted", "every replica counts toward reads", lacksTrust, 1},
		{"settled", "everything written is everywhere, and every home knows it", lacksSettled, 2},
		{"audited", "and an audit has confirmed it", lacksAudit, 2},
		{"changed", "no change of the layout goes on", nil, 1},
		{"healthy", "cluster health finds no problem", nil, 1},
	}
}

// lacksReady asks for links too: whoever waits may be about to stop the next node,
// and then all others are needed.
func lacksReady(v *nodeView) (string, int, int) {
	if !v.Local.Ready {
		return v.Name + " is not ready: " + v.Local.Reason, 0, 1
	}
	var apart []string
	for _, m := range v.Cluster.Members {
		if m.Partitions > 0 && m.Name != v.Name && !m.Linked {
			apart = append(apart, m.Name)
		}
	}
	if len(apart) > 0 {
		return v.Name + " has no link to " + strings.Join(apart, ", "), 0, 1
	}
	return "", 1, 1
}

func lacksTrust(v *nodeView) (string, int, int) {
	r := v.replication()
	sum := r.Summary()
	if sum.Trusted == sum.Replicas {
		return "", sum.Trusted, sum.Replicas
	}
	return fmt.Sprintf("%s of %s catch up with %s", counted(sum.CatchingUp, "replica", "replicas"), v.Name, strings.Join(sum.Waits, ", ")), sum.Trusted, sum.Replicas
}

func lacksSettled(v *nodeView) (string, int, int) {
	r := v.replication()
	sum := r.Summary()
	switch {
	case sum.Settled < sum.Replicas:
		return fmt.Sprintf("%s of %s not settled: %d write events lacking, %d not known to be everywhere",
			counted(sum.Replicas-sum.Settled, "replica", "replicas"), v.Name, sum.Lag, sum.Unsettled), sum.Settled, sum.Replicas
	case r.Hints.Hints > 0:
		return fmt.Sprintf("%s still keeps %s", v.Name, counted(r.Hints.Hints, "hint", "hints")), sum.Settled, sum.Replicas
	}
	return "", sum.Settled, sum.Replicas
}

func lacksAudit(v *nodeView) (string, int, int) {
	if text, have, of := lacksSettled(v); text != "" {
		return text, have, of
	}
	r := v.replication()
	sum := r.Summary()
	if sum.Audited == sum.Replicas {
		return "", sum.Audited, sum.Replicas
	}
	return fmt.Sprintf("%s of %s not audited as they are", counted(sum.Replicas-sum.Audited, "replica", "replicas"), v.Name), sum.Audited, sum.Replicas
}

// check asks a whole survey, and says what is lacking.
func (c condition) check(s *survey) (lacks []string, have, of int) {
	if c.name == "changed" {
		return s.Change.lacks(), 0, 0
	}
	if c.lacks == nil {
		for _, p := range diagnose(s) {
			lacks = append(lacks, p.Problem)
		}
		return lacks, 0, 0
	}
	if s.Asked.LayoutVersion == "" {
		return []string{"the cluster has no layout yet"}, 0, 0
	}
	for i := range s.Nodes {
		v := &s.Nodes[i]
		switch {
		case v.removed():
		case v.Err != nil:
			lacks = append(lacks, fmt.Sprintf("%s cannot be asked: %v", v.Name, v.Err))
		case v.replication().Unknown != "":
			lacks = append(lacks, v.replication().Unknown)
		case v.Cluster.LayoutVersion != s.Asked.LayoutVersion:
			lacks = append(lacks, fmt.Sprintf("%s works by layout %s, %s by %s", v.Name, orNone(v.Cluster.LayoutVersion), s.Asked.Node, s.Asked.LayoutVersion))
		default:
			text, has, all := c.lacks(v)
			if text != "" {
				lacks = append(lacks, text)
			}
			have, of = have+has, of+all
		}
	}
	return lacks, have, of
}

// waitDoc is the document of kvcli cluster wait.
type waitDoc struct {
	For     string  `json:"for"`
	Reached bool    `json:"reached"`
	Seconds float64 `json:"seconds"`
	// WaitingFor says what is lacking, in sentences; empty once it is reached.
	WaitingFor []string `json:"waiting_for"`
}

func (a *app) clusterWait() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "wait", Short: "Wait until the whole cluster is ready, trusted, settled, audited, changed or healthy", Args: cobra.NoArgs,
		Long: `Wait asks every node again and again until all of them are

  ready     every node serves its share, linked with all others
  trusted   every replica counts toward reads
  settled   everything written before is everywhere, no hint is owed, and every
            home knows it; writes that go on keep a cluster from settling
  audited   and an audit has confirmed it; audits run once a day by themselves,
            'kvcli repair run' asks for them now
  changed   no change of the layout goes on: what was committed is done
  healthy   'kvcli cluster health' finds no problem

or until --timeout (60 s), which ends it with 6 and the sentences that say what
is lacking. A node that cannot be asked is lacking; one that was removed from the
cluster is not waited for.`,
		Example: "  kvcli cluster wait\n  kvcli cluster wait --for settled --timeout 30s",
		RunE: func(c *cobra.Command, _ []string) error {
			for _, cond := range conditions() {
				if cond.name == name {
					return a.wait(c.Context(), cond)
				}
			}
			return usageError{c, fmt.Errorf("--for %q: use ready, trusted, settled, audited, changed or healthy", name)}
		},
	}
	c.Flags().StringVar(&name, "for", "ready", "what to wait for: ready, trusted, settled, audited, changed or healthy")
	return c
}

func (a *app) wait(ctx context.Context, cond condition) error {
	begin := time.Now()
	ctx, cancel := a.limit(ctx, waitTimeout)
	defer cancel()
	var lacks []string
	look := func(cl cluster) (err error) {
		lacks, err = a.until(ctx, cl, cond)
		return err
	}
	err := a.withCluster(ctx, look)
	for nobody := (*client.DialError)(nil); errors.As(err, &nobody) && pause(ctx, surveyEvery); {
		err = a.withCluster(ctx, look) // it may be starting
	}
	if err != nil && (lacks == nil || !errors.Is(err, context.DeadlineExceeded)) {
		return err
	}
	doc := waitDoc{For: cond.name, Reached: err == nil, Seconds: time.Since(begin).Seconds(), WaitingFor: list(lacks)}
	if err := a.print(doc, func(w io.Writer) error { return a.writeWait(w, doc) }); err != nil || doc.Reached {
		return err
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeTimeout), message: fmt.Sprintf(
		"the cluster is not %s after %.1f s: %s", cond.name, doc.Seconds, strings.Join(doc.WaitingFor, "; "))}
}

// until returns nil once the condition holds, and at the end of ctx what is
// lacking then.
func (a *app) until(ctx context.Context, cl cluster, cond condition) (lacks []string, err error) {
	progress := term.NewProgress(a.errOut, "parts "+cond.name)
	defer progress.End()
	for round := 0; ; {
		s, err := surveyCluster(ctx, cl)
		if err != nil {
			return lacks, cmpErr(ctx, err)
		}
		found, have, of := cond.check(s)
		progress.Step(int64(have), int64(of))
		if round++; len(found) > 0 {
			round, lacks = 0, found
		}
		if round >= cond.rounds {
			return nil, nil
		}
		if !pause(ctx, surveyEvery) {
			return lacks, ctx.Err()
		}
	}
}

// cmpErr prefers the end of the wait to what it made of the last question.
func cmpErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (a *app) writeWait(w io.Writer, doc waitDoc) error {
	if doc.Reached {
		_, err := fmt.Fprintf(w, "%s after %.1f s\n", a.style().Good(doc.For), doc.Seconds)
		return err
	}
	for _, text := range doc.WaitingFor {
		fmt.Fprintf(w, "%s %s\n", a.style().Warn("lacking:"), text)
	}
	return nil
}

// pause reports whether the time went by.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
