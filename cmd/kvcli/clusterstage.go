package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/ring"
)

// stagingHelp ends the help of every command that stages.
const stagingHelp = `

It only stages the change: nothing moves before 'kvcli cluster commit'. What is staged
is known to all nodes, more can be staged from anywhere, and 'kvcli cluster plan' shows
what a commit would do. For a node the latest change counts; 'kvcli cluster clear'
takes all back.`

// stageCommand is one that stages changes, which make finds in a view of the cluster.
func (a *app) stageCommand(use, short, long, example string, args cobra.PositionalArgs, make func(ctx context.Context, v *layoutView, args []string) ([]kindred.NodeChange, error)) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long + stagingHelp, Example: example, Args: args,
		RunE: func(c *cobra.Command, args []string) error {
			return a.onLayout(c.Context(), func(ctx context.Context, v *layoutView) error {
				changes, err := make(ctx, v, args)
				if err != nil {
					return err
				}
				known, err := v.cl.Stage(ctx, v.node, changes...)
				if err != nil {
					return err
				}
				return a.printStaged(&known)
			})
		},
	}
}

// layoutView is what a command that changes the layout works with: the node that it asks,
// and what that one knows.
type layoutView struct {
	cl   cluster
	info kindred.Cluster
	// layout is the one of now; node is who takes the orders.
	layout *ring.Layout
	node   string
}

// onLayout asks the first owner that can be reached, so that two commands in a row ask the
// same one, and a plan one that can weigh copies of its own.
func (a *app) onLayout(ctx context.Context, do func(context.Context, *layoutView) error) error {
	return a.withCluster(ctx, func(cl cluster) error {
		asking, cancel := a.limit(ctx, defaultTimeout)
		defer cancel()
		v, err := viewLayout(asking, cl)
		if err != nil {
			return err
		}
		return do(asking, v)
	})
}

func viewLayout(ctx context.Context, cl cluster) (*layoutView, error) {
	info, err := cl.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	v := &layoutView{cl: cl, info: info, node: info.Node}
	if v.layout, err = layoutOf(info); err != nil {
		return nil, err
	}
	nodes := v.layout.Nodes()
	slices.SortStableFunc(nodes, func(a, b ring.Node) int { // who owns nothing cannot say what copies hold
		return cmp.Compare(min(b.Capacity, 1), min(a.Capacity, 1))
	})
	for _, n := range nodes {
		if m, seen := v.member(n.Name); seen && (n.Name == info.Node || m.State == kindred.Alive && m.Linked) {
			v.node = n.Name
			break
		}
	}
	return v, nil
}

func (v *layoutView) member(name string) (kindred.Member, bool) {
	at := slices.IndexFunc(v.info.Members, func(m kindred.Member) bool { return m.Name == name })
	if at < 0 {
		return kindred.Member{}, false
	}
	return v.info.Members[at], true
}

// alive reports whether gossip or a link says that a node is there.
func (v *layoutView) alive(name string) bool {
	m, seen := v.member(name)
	return seen && (name == v.info.Node || m.State == kindred.Alive || m.Linked)
}

// names lists the members of the layout.
func (v *layoutView) names() string {
	var names []string
	for _, n := range v.layout.Nodes() {
		names = append(names, n.Name)
	}
	return strings.Join(names, ", ")
}

// owner finds a node of the layout.
func (v *layoutView) owner(name string) (ring.Node, error) {
	n, ok := v.layout.Node(name)
	if ok {
		return n, nil
	}
	if _, seen := v.member(name); seen {
		return n, kindred.Invalid("node", "%s is seen, and is no member of layout %s yet: kvcli cluster join %s", name, v.info.LayoutVersion, name)
	}
	return n, kindred.Invalid("node", "no node of layout %s is called %q: there are %s", v.info.LayoutVersion, name, v.names())
}

// counts refuses a node that nobody waits for. One that leaves is no member of the layout
// any more, and counts until all is taken from it.
func (v *layoutView) counts(ctx context.Context, name string) error {
	_, err := v.owner(name)
	if err == nil {
		return nil
	}
	known, asked := v.cl.Changes(ctx, v.node)
	if asked != nil {
		return asked
	}
	if slices.ContainsFunc(known.Progress.Nodes, func(n kindred.NodeProgress) bool { return n.Node == name && !n.Gone }) && !known.Progress.Settled {
		return nil
	}
	return err
}

// desired is what a member is to be by what is staged, or committed and not in use yet,
// or is.
func (v *layoutView) desired(ctx context.Context, name string) (ring.Node, error) {
	plan, err := v.cl.Plan(ctx, v.node)
	if err != nil {
		return ring.Node{}, err
	}
	for _, c := range plan.Changes {
		if c.Node == name && c.Intent == kindred.IntentOwn {
			return ring.Node{Name: name, Zone: c.Zone, Capacity: c.Capacity}, nil
		}
	}
	return v.owner(name)
}

// joining is the change that makes a node an owner.
func (v *layoutView) joining(name string) (kindred.NodeChange, error) {
	m, seen := v.member(name)
	if !seen || !v.alive(name) {
		return kindred.NodeChange{}, kindred.Invalid("node", "%s sees no node that is called %q and up: start it first with --join %s, and stage it then", v.node, name, gossipOf(v))
	}
	return kindred.NodeChange{Node: name, Intent: kindred.IntentOwn, Zone: m.Zone, Capacity: m.Capacity}, nil
}

// gossipOf is an address that a new node can be told to join at.
func gossipOf(v *layoutView) string {
	if m, ok := v.member(v.node); ok && m.GossipAddr != "" {
		return m.GossipAddr
	}
	return "HOST:PORT of a member"
}

func (a *app) clusterJoin() *cobra.Command {
	var zone string
	capacity := uint32(0)
	var c *cobra.Command
	c = a.stageCommand("join NODE...", "Stage that nodes become members with a share of the data",
		`Join stages that nodes which were started with --join, and own nothing yet, get their
share of the partitions. Zone and capacity are those that they were started with, unless
the flags say otherwise.`,
		"  kvcli cluster join n4\n  kvcli cluster join n4 n5 n6 --zone z2\n  kvcli cluster join n4 --capacity 200", cobra.MinimumNArgs(1),
		func(_ context.Context, v *layoutView, args []string) (changes []kindred.NodeChange, err error) {
			for _, name := range args {
				if n, member := v.layout.Node(name); member && n.Capacity > 0 {
					return nil, kindred.Invalid("node", "%s is a member already, of zone %s and capacity %d: kvcli cluster set-zone and set-capacity change that", name, n.Zone, n.Capacity)
				}
				change, err := v.joining(name)
				if err != nil {
					return nil, err
				}
				if c.Flags().Changed("zone") {
					change.Zone = zone
				}
				if c.Flags().Changed("capacity") {
					change.Capacity = capacity
				}
				changes = append(changes, change)
			}
			return changes, nil
		})
	c.Flags().StringVar(&zone, "zone", "", "the zone that they lie in: copies of a key lie in different ones (default: theirs)")
	c.Flags().Uint32Var(&capacity, "capacity", 0, "their weight beside that of the others; 0 owns nothing (default: theirs, usually 100)")
	return c
}

func (a *app) clusterLeave() *cobra.Command {
	return a.stageCommand("leave NODE...", "Stage that nodes give away what they have, and go",
		`Leave stages that nodes give all of their data to the others and are members no more.
Nothing is lost; stop them when the change is settled.`,
		"  kvcli cluster leave n2\n  kvcli cluster leave n2 n3", cobra.MinimumNArgs(1),
		func(_ context.Context, v *layoutView, args []string) (changes []kindred.NodeChange, err error) {
			for _, name := range args {
				if _, err := v.owner(name); err != nil {
					return nil, err
				}
				if !v.alive(name) {
					a.note("%s cannot be reached. To leave it has to be up; a node that never comes back is removed: kvcli cluster remove %s", name, name)
				}
				changes = append(changes, kindred.NodeChange{Node: name, Intent: kindred.IntentLeave})
			}
			return changes, nil
		})
}

func (a *app) clusterReplace() *cobra.Command {
	yes := false
	c := a.stageCommand("replace OLD NEW", "Stage that a new node takes the place of another",
		`Replace stages that a node which was started with --join takes over from a member, with
the capacity of that one. A member that is up leaves, and gives its data to the new node
itself; one that is down is removed for ever, as by 'kvcli cluster remove', which has to
be confirmed (--yes, or its name typed on a terminal).`,
		"  kvcli cluster replace n2 n6\n  kvcli cluster replace n2 n6 --yes", cobra.ExactArgs(2),
		func(ctx context.Context, v *layoutView, args []string) ([]kindred.NodeChange, error) {
			old, err := v.owner(args[0])
			if err != nil {
				return nil, err
			}
			if n, member := v.layout.Node(args[1]); member && n.Capacity > 0 {
				return nil, kindred.Invalid("node", "%s owns a share already and cannot take the place of %s: let %s leave", args[1], args[0], args[0])
			}
			in, err := v.joining(args[1])
			if err != nil {
				return nil, err
			}
			if in.Zone != old.Zone {
				a.note("%s lies in zone %s, %s in zone %s: more has to move than the data of %s.", in.Node, in.Zone, old.Name, old.Zone, old.Name)
			}
			in.Capacity = old.Capacity
			out := kindred.NodeChange{Node: old.Name, Intent: kindred.IntentLeave}
			if !v.alive(old.Name) {
				out.Intent = kindred.IntentRemove
				if err := a.confirmRemoval(ctx, v, []string{old.Name}, yes); err != nil {
					return nil, err
				}
			}
			return []kindred.NodeChange{out, in}, nil
		})
	c.Flags().BoolVar(&yes, "yes", false, "the old node is down and will never come back: do not ask")
	return c
}

func (a *app) clusterRemove() *cobra.Command {
	yes := false
	c := a.stageCommand("remove NODE...", "Stage that dead nodes are members no more",
		`Remove stages that nodes which are down will never come back: nobody waits for them any
more, and the others make up for them from what they hold. What only those nodes had is
lost; it says what is known of that. It has to be confirmed by --yes, or by typing the
name on a terminal. A node that is up is refused: let it leave.

Where so many owners of a key are gone that an acknowledged write may have been only
there, the commit is refused until the loss is accepted by name.`,
		"  kvcli cluster remove n3 --yes", cobra.MinimumNArgs(1),
		func(ctx context.Context, v *layoutView, args []string) (changes []kindred.NodeChange, err error) {
			for _, name := range args {
				if err := v.counts(ctx, name); err != nil {
					return nil, err
				}
				if v.alive(name) {
					return nil, &result{exit: exitUnsafe, code: "unsafe", message: fmt.Sprintf(
						"%s is up, and to remove it loses what only it has: kvcli cluster leave %s, or stop it for ever first", name, name)}
				}
				changes = append(changes, kindred.NodeChange{Node: name, Intent: kindred.IntentRemove})
			}
			return changes, a.confirmRemoval(ctx, v, args, yes)
		})
	c.Flags().BoolVar(&yes, "yes", false, "they will never come back: do not ask")
	return c
}

func (a *app) clusterReturn() *cobra.Command {
	return a.stageCommand("return NODE...", "Stage that removed nodes hand over what only they have",
		`Return stages that nodes which were removed, and are up again with their data, become
members that own nothing: the owners take from them what they lack, and only when every
owner has it on its disk their own copy goes. What is newer elsewhere stays as it is, and
what was deleted stays deleted; a write that the others have declared lost meanwhile, because
they had seen traces of it, is not brought back. Afterwards let the node leave, or give it
a share again (set-capacity).`,
		"  kvcli cluster return n3", cobra.MinimumNArgs(1),
		func(_ context.Context, v *layoutView, args []string) (changes []kindred.NodeChange, err error) {
			for _, name := range args {
				if _, member := v.layout.Node(name); member {
					return nil, kindred.Invalid("node", "%s is a member of layout %s, so that what it has is exchanged with the others already", name, v.info.LayoutVersion)
				}
				change, err := v.joining(name)
				if err != nil {
					return nil, err
				}
				change.Capacity = 0
				changes = append(changes, change)
			}
			return changes, nil
		})
}

// confirmRemoval wants to hear that nodes never come back.
func (a *app) confirmRemoval(ctx context.Context, v *layoutView, names []string, yes bool) error {
	s, err := surveyCluster(ctx, v.cl)
	if err != nil {
		return err
	}
	for _, lost := range accountOf(s, v.layout, names) {
		for _, line := range lost.lines() {
			a.note("%s", line)
		}
	}
	if yes {
		return nil
	}
	all := strings.Join(names, " ")
	unsafe := func(why string) error {
		return &result{exit: exitUnsafe, code: "unsafe", message: fmt.Sprintf("nothing was staged: %s", why)}
	}
	if a.output != asTable || !term.IsTerminal(a.in) {
		return unsafe(fmt.Sprintf("say with --yes that %s will never come back", strings.Join(names, ", ")))
	}
	fmt.Fprintf(a.errOut, "To say that it will never come back, type: %s\n> ", all)
	answer, _, err := answerOf(bufio.NewReader(a.stdin(ctx)))
	if err != nil {
		return err
	}
	if strings.Join(strings.Fields(answer), " ") != all {
		return unsafe(fmt.Sprintf("%q is not %q", answer, all))
	}
	return nil
}

func (a *app) clusterSetZone() *cobra.Command {
	return a.stageCommand("set-zone NODE ZONE", "Stage that a node lies in another zone",
		"Set-zone stages that a member lies in another zone. Copies of a key lie in as many zones as there are.",
		"  kvcli cluster set-zone n4 z2", cobra.ExactArgs(2),
		func(ctx context.Context, v *layoutView, args []string) ([]kindred.NodeChange, error) {
			n, err := v.desired(ctx, args[0])
			return []kindred.NodeChange{{Node: n.Name, Intent: kindred.IntentOwn, Zone: args[1], Capacity: n.Capacity}}, err
		})
}

func (a *app) clusterSetCapacity() *cobra.Command {
	return a.stageCommand("set-capacity NODE N", "Stage that a node gets a larger or smaller share",
		`Set-capacity stages the weight of a member beside that of the others: one of 200 gets
twice what one of 100 gets. With 0 it stays a member and owns nothing.`,
		"  kvcli cluster set-capacity n4 200\n  kvcli cluster set-capacity n4 0", cobra.ExactArgs(2),
		func(ctx context.Context, v *layoutView, args []string) ([]kindred.NodeChange, error) {
			capacity, err := strconv.ParseUint(args[1], 10, 32)
			if err != nil {
				return nil, kindred.Invalid("capacity", "%q is no capacity: use a number from 0 (owns nothing) to 4294967295, such as 100", args[1])
			}
			n, err := v.desired(ctx, args[0])
			return []kindred.NodeChange{{Node: n.Name, Intent: kindred.IntentOwn, Zone: n.Zone, Capacity: uint32(capacity)}}, err
		})
}

func (a *app) clusterClear() *cobra.Command {
	return &cobra.Command{
		Use: "clear", Short: "Take back all that is staged", Args: cobra.NoArgs,
		Long: `Clear takes back all changes that are staged, also those that were staged at other
nodes. What was committed goes on. As long as that waits for a node and is not in use,
the next commit takes its place, and does not take in what was cleared: clear, plan and
commit take it back whole. What is in use already is changed back by its reverse.`,
		Example: "  kvcli cluster clear",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onLayout(c.Context(), func(ctx context.Context, v *layoutView) error {
				known, err := v.cl.ClearStaged(ctx, v.node)
				if err != nil {
					return err
				}
				if next := known.Progress.Next; next != "" {
					a.note("layout %s was committed and goes on; to take that back as well, look at the plan and commit it.", next)
				}
				return a.printStaged(&known)
			})
		},
	}
}

// stagedDoc is the document of all commands that stage.
type stagedDoc struct {
	// AskedNode is the node that took the order.
	AskedNode string              `json:"node"`
	Staged    []api.NodeChangeDoc `json:"staged"`
}

func (a *app) printStaged(known *kindred.Changes) error {
	doc := api.NewChangesDoc(known)
	return a.print(stagedDoc{doc.Node, doc.Staged}, func(w io.Writer) error {
		if len(doc.Staged) == 0 {
			_, err := fmt.Fprintln(w, "nothing is staged")
			return err
		}
		if err := stagedTable(doc.Staged).write(w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "\nstaged; nothing moves yet. Next: kvcli cluster plan\n")
		return err
	})
}

func stagedTable(staged []api.NodeChangeDoc) *table {
	t := &table{header: []string{"NODE", "IS TO", "ZONE", "CAPACITY"}}
	for _, s := range staged {
		row := plainCells(s.Node, intentWords[kindred.Intent(s.Intent)], "", "")
		if s.Intent == string(kindred.IntentOwn) {
			row = plainCells(s.Node, intentWords[kindred.Intent(s.Intent)], s.Zone, fmt.Sprint(s.Capacity))
		}
		t.add(row...)
	}
	return t
}

var intentWords = map[kindred.Intent]string{kindred.IntentOwn: "own a share", kindred.IntentLeave: "leave", kindred.IntentRemove: "be removed for ever"}
