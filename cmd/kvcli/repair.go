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
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// repairTimeout bounds a repair where --timeout does not.
const repairTimeout = 10 * time.Minute

func (a *app) repairCommand() *cobra.Command {
	return parent("repair", "Show and begin what makes replicas equal",
		"  kvcli repair status\n  kvcli repair run\n  kvcli repair run --node n3 --partition 12",
		a.repairStatus(), a.repairRun())
}

// repairStatusDoc is the document of kvcli repair status.
type repairStatusDoc struct {
	Nodes []nodeRepairDoc `json:"nodes"`
	// Total adds up the nodes that could be asked, Unknown names the others.
	Total   api.RepairsDoc `json:"total"`
	Unknown []string       `json:"unknown"`
}

type nodeRepairDoc struct {
	Node string `json:"node"`
	// Error says why the node could not be asked; Replication is then missing.
	Error       string              `json:"error"`
	Replication *api.ReplicationDoc `json:"replication,omitempty"`
}

func newRepairStatusDoc(s *survey) repairStatusDoc {
	doc := repairStatusDoc{Nodes: []nodeRepairDoc{}, Unknown: []string{}}
	var total kindred.Repairs
	for i := range s.Nodes {
		v := &s.Nodes[i]
		if !v.known() {
			doc.Unknown = append(doc.Unknown, v.Name)
		}
		if v.Err != nil {
			doc.Nodes = append(doc.Nodes, nodeRepairDoc{Node: v.Name, Error: v.Err.Error()})
			continue
		}
		r := v.replication()
		shown := api.NewReplicationDoc(&r)
		total.Add(r.Repairs)
		doc.Nodes = append(doc.Nodes, nodeRepairDoc{Node: v.Name, Error: r.Unknown, Replication: &shown})
	}
	doc.Total = api.RepairsDoc(total)
	return doc
}

func (a *app) repairStatus() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show exchange, rebuilds, audits and divergence, per node and in all", Args: cobra.NoArgs,
		Long: `Status asks every node how equal its replicas are to the others, what it is
doing about it, and what it has done since it started.

The exit code is 6 if a node could not be asked.`,
		Example: "  kvcli repair status\n  kvcli repair status -o json | jq .total",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSurvey(c.Context(), func(s *survey) error {
				doc := newRepairStatusDoc(s)
				if err := a.print(doc, func(w io.Writer) error { return a.writeRepairStatus(w, doc) }); err != nil {
					return err
				}
				return unknownResult(doc.Unknown)
			})
		},
	}
}

// onSurvey asks all nodes and shows something of it.
func (a *app) onSurvey(ctx context.Context, show func(*survey) error) error {
	return a.withCluster(ctx, func(cl cluster) error {
		ctx, cancel := a.limit(ctx, defaultTimeout)
		defer cancel()
		s, err := surveyCluster(ctx, cl)
		if err != nil {
			return err
		}
		return show(s)
	})
}

// unknownResult is how a command ends that could not ask everybody (I12).
func unknownResult(nodes []string) error {
	if len(nodes) == 0 {
		return nil
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
		"not known of %s: what is shown is not all", strings.Join(nodes, ", "))}
}

func (a *app) writeRepairStatus(w io.Writer, doc repairStatusDoc) error {
	for _, n := range doc.Nodes {
		fmt.Fprintf(w, "%s", a.style().Bold(n.Node))
		if n.Error != "" {
			fmt.Fprintf(w, "  %s", a.style().Bad("unknown: "+n.Error))
		}
		fmt.Fprintln(w)
		if n.Replication != nil {
			writeReplication(w, n.Replication)
		}
	}
	fmt.Fprintf(w, "%s\n", a.style().Bold("all"))
	writeRepairs(w, &doc.Total)
	return nil
}

func writeReplication(w io.Writer, r *api.ReplicationDoc) {
	fmt.Fprintf(w, "  replicas   %d: %d trusted, %d settled, %d audited\n", r.Replicas, r.Trusted, r.Settled, r.Audited)
	if r.CatchingUp > 0 {
		fmt.Fprintf(w, "  trust      %d catch up with %s\n", r.CatchingUp, strings.Join(r.WaitsFor, ", "))
	}
	if r.Behind > 0 || r.Unsettled > 0 {
		fmt.Fprintf(w, "  exchange   %d behind by %d write events, %d not known to be everywhere\n", r.Behind, r.Lag, r.Unsettled)
	}
	if r.Rebuilding > 0 {
		fmt.Fprintf(w, "  rebuilding %d%s\n", r.Rebuilding, leftText(time.Duration(r.RebuildLeft*float64(time.Second))))
	}
	if r.Damaged > 0 {
		fmt.Fprintf(w, "  damaged    %d\n", r.Damaged)
	}
	if r.Auditing+r.AuditsWanted+r.AuditsIncomplete > 0 {
		fmt.Fprintf(w, "  auditing   %d, %d to come, %d not complete\n", r.Auditing, r.AuditsWanted, r.AuditsIncomplete)
	}
	if r.Missing > 0 {
		fmt.Fprintf(w, "  missing    %d write events of processes that are gone\n", r.Missing)
	}
	if r.Hints.Hints > 0 {
		fmt.Fprintf(w, "  hints      %d, %d bytes\n", r.Hints.Hints, r.Hints.Bytes)
	}
	writeRepairs(w, &r.Repairs)
}

// writeRepairs says what was done since the start.
func writeRepairs(w io.Writer, r *api.RepairsDoc) {
	n := func(v uint64) string { return term.Count(int64(v)) }
	fmt.Fprintf(w, "  done       exchange: %s objects received, %s sent; read repair: %s; hints: %s kept, %s delivered, %s refused\n",
		n(r.PiecesReceived), n(r.PiecesSent), n(r.ReadRepairs), n(r.HintsKept), n(r.HintsDelivered), n(r.HintsRefused))
	fmt.Fprintf(w, "             rebuilds: %s of %s finished, %s keys; audits: %s of %s objects; %s parts lost on disk, %s objects restored; %s keys repaired, %s diverged\n",
		n(r.RebuildsFinished), n(r.RebuildsBegun), n(r.RebuildKeys), n(r.Audits), n(r.AuditedObjects), n(r.LostParts), n(r.Restored), n(r.KeysRepaired), n(r.Diverged))
}

// repairRunDoc is the document of kvcli repair run.
type repairRunDoc struct {
	Complete bool    `json:"complete"`
	Seconds  float64 `json:"seconds"`
	// Nodes are those that were asked.
	Nodes []nodeRunDoc `json:"nodes"`
	// Problems say what is not complete, in sentences.
	Problems []string `json:"problems"`
}

type nodeRunDoc struct {
	Node     string `json:"node"`
	Replicas int    `json:"replicas"`
	// Done is what the node did meanwhile.
	Done api.RepairsDoc `json:"done"`
}

func (a *app) repairRun() *cobra.Command {
	var node string
	partition := kindred.AllPartitions
	c := &cobra.Command{
		Use: "run", Short: "Exchange and audit now, and wait for the end", Args: cobra.NoArgs,
		Long: `Run asks all nodes, or the one that --node names, to fetch at once what their
replicas lack, to read and hash what they store, and to compare it with the other
homes; and waits for the end, at most --timeout (10 min).

It does nothing that does not happen by itself, sooner. Exit code 0: every replica
was compared with all other homes, and what differed was mended. 6: not all could
be; the nodes go on by themselves.`,
		Example: "  kvcli repair run\n  kvcli repair run --node n3\n  kvcli repair run --partition 12",
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("partition") && partition < 0 {
				return usageError{c, fmt.Errorf("--partition %d: use a number from 0; 'kvcli key where' shows that of a key", partition)}
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), repairTimeout)
				defer cancel()
				return a.repairNow(ctx, cl, node, partition)
			})
		},
	}
	c.Flags().StringVar(&node, "node", "", "the node whose replicas to repair; all if it is not given")
	c.Flags().IntVar(&partition, "partition", kindred.AllPartitions, "the partition to repair; all if it is not given")
	return c
}

func (a *app) repairNow(ctx context.Context, cl cluster, node string, partition int) error {
	begin := time.Now()
	before, err := surveyCluster(ctx, cl)
	if err != nil {
		return err
	}
	run, err := beginRepair(ctx, cl, before, node, partition)
	if err != nil {
		return err
	}
	run.follow(ctx, cl, term.NewProgress(a.errOut, "replicas"))
	doc := run.document(time.Since(begin))
	if err := a.print(doc, func(w io.Writer) error { return a.writeRun(w, doc) }); err != nil {
		return err
	}
	if doc.Complete {
		return nil
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
		"the repair is not complete: %s", strings.Join(doc.Problems, "; "))}
}

// repairing is a repair in progress.
type repairing struct {
	partition int
	nodes     []*nodeRun
	problems  []string
}

type nodeRun struct {
	name     string
	replicas int
	before   kindred.Repairs
	// now is what the node said last, asked when it was told to begin.
	now   kindred.Replication
	asked time.Time
	err   error
}

func beginRepair(ctx context.Context, cl cluster, before *survey, node string, partition int) (*repairing, error) {
	run := &repairing{partition: partition}
	for i := range before.Nodes {
		v := &before.Nodes[i]
		if node != "" && v.Name != node {
			continue
		}
		if !v.known() {
			why := v.replication().Unknown
			if v.Err != nil {
				why = v.Err.Error()
			}
			run.problems = append(run.problems, fmt.Sprintf("%s cannot be asked: %s", v.Name, why))
			continue
		}
		r := v.replication()
		replicas, err := cl.RepairNode(ctx, v.Name, partition)
		if kindred.HasCode(err, kindred.CodeInvalid) {
			return nil, err
		}
		if err != nil {
			run.problems = append(run.problems, fmt.Sprintf("%s did not begin: %v", v.Name, err))
			continue
		}
		run.nodes = append(run.nodes, &nodeRun{name: v.Name, replicas: replicas, before: r.Repairs, now: r, asked: r.At})
	}
	if len(run.nodes)+len(run.problems) == 0 {
		names := make([]string, len(before.Nodes))
		for i := range before.Nodes {
			names[i] = before.Nodes[i].Name
		}
		return nil, kindred.Invalid("node", "no node is called %q: the nodes are %s", node, strings.Join(names, ", "))
	}
	return run, nil
}

// follow asks the nodes until all are done, or the context ends.
func (run *repairing) follow(ctx context.Context, cl cluster, progress *term.Progress) {
	defer progress.End()
	for {
		done, all := 0, 0
		for _, n := range run.nodes {
			n.ask(ctx, cl)
			done, all = done+n.done(run.partition), all+n.replicas
		}
		progress.Step(int64(done), int64(all))
		if done >= all || !pause(ctx, surveyEvery) {
			return
		}
	}
}

// ask keeps the last answer if there is no other.
func (n *nodeRun) ask(ctx context.Context, cl cluster) {
	ctx, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	v := nodeView{Name: n.name}
	if v.Cluster, v.Local, v.Err = cl.Describe(ctx, n.name); v.Err != nil {
		n.err = v.Err
		return
	}
	if r := v.replication(); r.Unknown == "" {
		n.now, n.err = r, nil
	} else {
		n.err = fmt.Errorf("%s", r.Unknown)
	}
}

// concerned are the replicas that the repair is about.
func (n *nodeRun) concerned(partition int) []kindred.ReplicaStatus {
	return slices.DeleteFunc(slices.Clone(n.now.Replicas), func(s kindred.ReplicaStatus) bool {
		return partition != kindred.AllPartitions && s.Partition != partition
	})
}

// done counts the replicas that were audited since the node was asked.
func (n *nodeRun) done(partition int) (done int) {
	for _, s := range n.concerned(partition) {
		if s.Audit.Ended.After(n.asked) && !s.Audit.Running && !s.Audit.Wanted {
			done++
		}
	}
	return done
}

func (run *repairing) document(took time.Duration) repairRunDoc {
	doc := repairRunDoc{Seconds: took.Seconds(), Nodes: []nodeRunDoc{}, Problems: list(run.problems)}
	for _, n := range run.nodes {
		doc.Nodes = append(doc.Nodes, nodeRunDoc{Node: n.name, Replicas: n.replicas, Done: api.RepairsDoc(n.now.Repairs.Minus(n.before))})
		if n.err != nil {
			doc.Problems = append(doc.Problems, fmt.Sprintf("%s stopped answering: %v", n.name, n.err))
		}
		if left := n.replicas - n.done(run.partition); left > 0 {
			doc.Problems = append(doc.Problems, fmt.Sprintf("%s of %s not audited in time", counted(left, "replica", "replicas"), n.name))
		}
		for _, s := range n.concerned(run.partition) {
			if s.Audit.Ended.After(n.asked) && !s.Audit.Complete {
				doc.Problems = append(doc.Problems, fmt.Sprintf("partition %d of %s: %s", s.Partition, n.name, orUnknown(s.Audit.Problem)))
			}
		}
	}
	doc.Complete = len(doc.Problems) == 0
	return doc
}

func (a *app) writeRun(w io.Writer, doc repairRunDoc) error {
	t := table{header: []string{"NODE", "REPLICAS", "OBJECTS READ", "RECEIVED", "LOST ON DISK", "RESTORED", "KEYS REPAIRED", "DIVERGED"}}
	for _, n := range doc.Nodes {
		t.add(plainCells(n.Node, fmt.Sprint(n.Replicas), fmt.Sprint(n.Done.AuditedObjects), fmt.Sprint(n.Done.PiecesReceived),
			fmt.Sprint(n.Done.LostParts), fmt.Sprint(n.Done.Restored), fmt.Sprint(n.Done.KeysRepaired), fmt.Sprint(n.Done.Diverged))...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	if doc.Complete {
		_, err := fmt.Fprintf(w, "\n%s\n", a.style().Good(fmt.Sprintf("complete after %.1f s: every replica was compared with all other homes", doc.Seconds)))
		return err
	}
	fmt.Fprintln(w)
	for _, p := range doc.Problems {
		fmt.Fprintf(w, "%s %s\n", a.style().Bad("problem:"), p)
	}
	return nil
}
