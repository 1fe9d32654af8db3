package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/local"
)

// committing are the flags of the commands that stage a change and may commit it.
type committing struct{ commit, wait bool }

func (f *committing) define(c *cobra.Command) {
	c.Flags().BoolVar(&f.commit, "commit", false, "commit what is staged, all of it")
	c.Flags().BoolVar(&f.wait, "wait", false, "with --commit: wait until the change is settled")
}

func (f *committing) check(c *cobra.Command) error {
	if f.wait && !f.commit {
		return usageError{c, errors.New("--wait without --commit: nothing goes on that could be waited for; give both")}
	}
	return nil
}

// membersChangedDoc is the document of kvcli local add and remove.
type membersChangedDoc struct {
	local.Status
	// Added were started, Removed were stopped and are no part of the cluster any more.
	Added   []string     `json:"added"`
	Removed []removedDoc `json:"removed"`
	// Staged waits to be committed.
	Staged []api.NodeChangeDoc `json:"staged"`
	// Commit is what was committed, nil if nothing was.
	Commit *commitDoc `json:"commit"`
}

// removedDoc says where the data of a removed node is, empty if it was deleted.
type removedDoc struct {
	Name   string `json:"name"`
	Folder string `json:"folder"`
}

// membership is one run of add or remove.
type membership struct {
	*app
	flags committing
	local *local.Cluster
	cl    cluster
	doc   membersChangedDoc
}

// onMembers does something to the local cluster and to the layout of its nodes, and
// shows what is then, also if it was done in part.
func (a *app) onMembers(ctx context.Context, flags committing, do func(context.Context, *membership) error) error {
	c, err := local.Open(a.dir)
	if err != nil {
		return err
	}
	addrs, err := a.localAddrs()
	if err != nil {
		return err
	}
	if len(addrs) == 0 {
		return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
			"no node of %s runs, and only running nodes can change who they are: kvcli local start --dir %s", c.Dir(), c.Dir())}
	}
	inside := *a
	inside.cluster = strings.Join(addrs, ",") // whatever else is named
	return inside.withCluster(ctx, func(cl cluster) error {
		m := &membership{app: a, flags: flags, local: c, cl: cl}
		m.doc = membersChangedDoc{Added: []string{}, Removed: []removedDoc{}, Staged: []api.NodeChangeDoc{}}
		err := do(ctx, m)
		if err != nil && len(m.doc.Added)+len(m.doc.Removed) == 0 && m.doc.Commit == nil {
			return err
		}
		printed := a.printLocal(c, func(s local.Status) any {
			m.doc.Status = s
			return m.doc
		})
		return cmp.Or(err, printed)
	})
}

func (a *app) localAdd() *cobra.Command {
	var flags committing
	c := &cobra.Command{
		Use: "add [N]", Short: "Start more nodes, and stage that they get their share", Args: cobra.MaximumNArgs(1),
		Long: `Add starts one more node, or N of them, beside those of a running cluster: with the
same settings, in the zones with the fewest nodes, under names that no node has had
before. When they are ready it stages that they join; nothing moves before the commit.
With --commit it commits all that is staged, and with --wait it shows how far that is
and returns when it is settled.

Nodes that are not ready in time (--timeout, 60 s) are stopped again, and their folders
stay.`,
		Example: "  kvcli local add\n  kvcli local add 3 --commit --wait",
		RunE: func(c *cobra.Command, args []string) error {
			n := 1
			if len(args) > 0 {
				var err error
				if n, err = strconv.Atoi(args[0]); err != nil {
					return usageError{c, fmt.Errorf("%q nodes: use a number, such as 3", args[0])}
				}
			}
			if err := flags.check(c); err != nil {
				return err
			}
			return a.onMembers(c.Context(), flags, func(ctx context.Context, m *membership) error { return m.add(ctx, n) })
		},
	}
	flags.define(c)
	return c
}

func (m *membership) add(ctx context.Context, n int) error {
	if _, err := m.view(ctx); err != nil { // before anything is started
		return err
	}
	added, err := m.local.Add(ctx, n, local.AddOptions{Ready: m.timeout, Progress: m.readyProgress()})
	if err != nil {
		return err
	}
	for _, n := range added {
		m.doc.Added = append(m.doc.Added, n.Name)
	}
	names := strings.Join(m.doc.Added, ", ")
	m.note("Started %s.", names)
	if err := m.stageJoin(ctx); err != nil {
		return fmt.Errorf("%s run, and that they join is not staged (kvcli cluster join %s): %w", names, strings.Join(m.doc.Added, " "), err)
	}
	if !m.flags.commit {
		m.note("Staged that %s; nothing moves yet. Next: kvcli cluster plan, then kvcli cluster commit --wait", joinWords(m.doc.Added))
		return nil
	}
	return m.commitAll(ctx)
}

func joinWords(names []string) string {
	return strings.Join(names, ", ") + plural(len(names), " joins", " join")
}

// view is what the layout is, as a member knows it.
func (m *membership) view(ctx context.Context) (*layoutView, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultTimeout)
	defer cancel()
	return viewLayout(ctx, m.cl)
}

// stageJoin waits until the node that takes the order sees those that were added.
func (m *membership) stageJoin(ctx context.Context) error {
	ctx, cancel := m.limit(ctx, local.DefaultReady)
	defer cancel()
	for {
		v, err := viewLayout(ctx, m.cl)
		if err != nil {
			return err
		}
		var changes []kindred.NodeChange
		for _, name := range m.doc.Added {
			change, unseen := v.joining(name)
			err = errors.Join(err, unseen)
			changes = append(changes, change)
		}
		if err == nil {
			return m.stage(ctx, v, changes)
		}
		if !pause(ctx, surveyEvery) {
			return err
		}
	}
}

func (m *membership) stage(ctx context.Context, v *layoutView, changes []kindred.NodeChange) error {
	known, err := m.cl.Stage(ctx, v.node, changes...)
	if err == nil {
		m.doc.Staged = api.NewChangesDoc(&known).Staged
	}
	return err
}

// commitAll commits what is staged.
func (m *membership) commitAll(ctx context.Context) error {
	doc, err := m.commitStaged(ctx, m.cl, "", false, m.flags.wait)
	if m.doc.Commit = doc; err != nil {
		return err
	}
	m.doc.Staged = []api.NodeChangeDoc{}
	if m.output == asTable {
		return m.writeCommit(m.errOut, doc, m.flags.wait)
	}
	return nil
}

func (a *app) localRemove() *cobra.Command {
	var flags committing
	var deleteData bool
	c := &cobra.Command{
		Use: "remove NAME...", Short: "Stage that nodes leave, and stop those that have left", Args: cobra.MinimumNArgs(1),
		Long: `Remove stages that members leave; nothing moves before the commit. A node that is no
member, because it has left or has never joined, is stopped as soon as it holds nothing
that others lack, and belongs to the cluster no more: so the command is given again
when the change is settled. With --commit --wait it does all of that at once: it
commits all that is staged, waits until it is settled, and stops the nodes.

The folder of a node stays, with its data and its log, and its name is not used again.
--delete-data deletes the folder when the node has ended; of a node that is stopped
already nobody can tell whether others have all that it holds, so then it is refused
(exit 5).

How long it waits for nodes that may not be stopped yet is bounded by --timeout (60 s).`,
		Example: "  kvcli local remove n4\n  kvcli local remove 4 5 --commit --wait\n  kvcli local remove n6 --delete-data",
		RunE: func(c *cobra.Command, args []string) error {
			if err := flags.check(c); err != nil {
				return err
			}
			return a.onMembers(c.Context(), flags, func(ctx context.Context, m *membership) error { return m.remove(ctx, args, deleteData) })
		},
	}
	flags.define(c)
	c.Flags().BoolVar(&deleteData, "delete-data", false, "delete the folders of nodes that were stopped, with data and logs")
	return c
}

func (m *membership) remove(ctx context.Context, args []string, deleteData bool) error {
	v, err := m.view(ctx)
	if err != nil {
		return err
	}
	known, err := m.cl.Changes(ctx, v.node)
	if err != nil {
		return err
	}
	var leaving, outside []string
	for _, arg := range args {
		n, err := m.local.Node(arg)
		switch {
		case err != nil:
			return err
		case slices.Contains(leaving, n.Name) || slices.Contains(outside, n.Name):
			return &local.NodeError{Node: n.Name, Problem: "is named twice"}
		case !v.has(n.Name) || isLeaving(&known, n.Name):
			outside = append(outside, n.Name)
		case n.State != local.Running:
			return &local.NodeError{Node: n.Name, Problem: fmt.Sprintf("is %s, and to give away what it has it must run: kvcli local restart %s --dir %s. If its data is lost for ever: kvcli cluster remove %s --yes, commit that, and then this again",
				n.State, n.Name, m.local.Dir(), n.Name)}
		default:
			leaving = append(leaving, n.Name)
		}
	}
	if err := m.stageLeave(ctx, v, &known, leaving, outside); err != nil {
		return err
	}
	if m.flags.commit && len(leaving) > 0 {
		if err := m.commitAll(ctx); err != nil {
			return err
		}
		if m.flags.wait {
			outside = append(outside, leaving...)
			leaving = nil
		}
	}
	for _, name := range outside {
		if err := m.end(ctx, name, deleteData); err != nil {
			return err
		}
	}
	m.noteNext(leaving, deleteData)
	return nil
}

// noteNext says what is left to do about members that are to leave.
func (m *membership) noteNext(leaving []string, deleteData bool) {
	if len(leaving) == 0 {
		return
	}
	again := "kvcli local remove " + strings.Join(leaving, " ")
	if deleteData {
		again += " --delete-data"
	}
	if m.flags.commit {
		m.note("Next, when that is settled (kvcli cluster wait --for changed): %s", again)
		return
	}
	m.note("Staged that %s%s; nothing moves yet. Next: kvcli cluster plan, then %s --commit --wait",
		strings.Join(leaving, ", "), plural(len(leaving), " leaves", " leave"), again)
}

// has reports whether a node is in the layout.
func (v *layoutView) has(name string) bool {
	_, in := v.layout.Node(name)
	return in
}

// isLeaving reports whether a node is no member by a change that was committed and goes on.
func isLeaving(known *kindred.Changes, name string) bool {
	return slices.ContainsFunc(known.History, func(p kindred.PastChange) bool {
		return p.Outcome == "running" && slices.ContainsFunc(p.Changes, func(c kindred.NodeChange) bool {
			return c.Node == name && c.Intent != kindred.IntentOwn
		})
	})
}

// stageLeave stages that members leave, and takes back that others join.
func (m *membership) stageLeave(ctx context.Context, v *layoutView, known *kindred.Changes, leaving, outside []string) error {
	m.doc.Staged = api.NewChangesDoc(known).Staged
	var changes []kindred.NodeChange
	for _, name := range leaving {
		changes = append(changes, kindred.NodeChange{Node: name, Intent: kindred.IntentLeave})
	}
	for _, s := range known.Staged {
		if slices.Contains(outside, s.Node) {
			changes = append(changes, kindred.NodeChange{Node: s.Node, Intent: kindred.IntentKeep})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return m.stage(ctx, v, changes)
}

// end stops a node that is no member, once others have what it holds.
func (m *membership) end(ctx context.Context, name string, deleteData bool) error {
	n, err := m.local.Node(name)
	if err != nil {
		return err
	}
	if n.State == local.Stopped && deleteData {
		return &local.NodeError{Node: name, Unsafe: true, Problem: fmt.Sprintf(
			"is stopped, so whether others have all that it holds is not known: start it first with 'kvcli local restart %s --dir %s', or leave out --delete-data", name, m.local.Dir())}
	}
	if err := m.awaitOutside(ctx, n); err != nil {
		return err
	}
	folder, err := m.local.Remove(ctx, name, local.RemoveOptions{DeleteData: deleteData})
	if err != nil {
		return err
	}
	if deleteData {
		m.note("Removed %s, and deleted %s.", name, folder)
		folder = ""
	} else {
		m.note("Removed %s; its data and log stay in %s.", name, folder)
	}
	m.doc.Removed = append(m.doc.Removed, removedDoc{name, folder})
	return nil
}

// awaitOutside waits until no change goes on, and until a node that runs, and is no
// member, is safe to stop.
func (m *membership) awaitOutside(ctx context.Context, n local.Node) error {
	ctx, cancel := m.limit(ctx, waitTimeout)
	defer cancel()
	begin := time.Now()
	progress := term.NewProgress(m.errOut, "")
	defer progress.End()
	for {
		why, err := m.inside(ctx, n)
		if err != nil || why == "" {
			return err
		}
		progress.Say(fmt.Sprintf("%s may not be stopped yet: %s", n.Name, why))
		if !pause(ctx, surveyEvery) {
			return &result{exit: exitUnavailable, code: string(kindred.CodeTimeout), message: fmt.Sprintf(
				"%s may not be stopped after %.1f s: %s; it runs, and the command can be given again", n.Name, time.Since(begin).Seconds(), why)}
		}
	}
}

// inside is why a node may not be stopped yet, empty if it may.
func (m *membership) inside(ctx context.Context, n local.Node) (why string, err error) {
	v, err := viewLayout(ctx, m.cl)
	if err != nil {
		return "", err
	}
	known, err := m.cl.Changes(ctx, v.node)
	switch {
	case err != nil:
		return "", err
	case !known.Progress.Settled || known.Progress.Next != "":
		return "a change of the layout goes on", nil
	case v.has(n.Name):
		return "", kindred.Invalid("node", "%s is a member of layout %s: let it leave with kvcli local remove %s --commit --wait", n.Name, v.info.LayoutVersion, n.Name)
	case n.State == local.Stopped:
		return "", nil
	}
	verdict, err := safeToStop(ctx, m.cl, n.Name, settleEvery)
	if err != nil || verdict.Safe == safeYes {
		return "", err
	}
	return verdict.Reasons[0].Reason, nil
}

// readyProgress tells of nodes that become ready to a person who watches.
func (a *app) readyProgress() func(local.Progress) {
	if !term.IsTerminal(a.errOut) {
		return nil
	}
	return func(p local.Progress) { a.note("  %s is ready (%d of %d)", p.Node, p.Ready, p.All) }
}
