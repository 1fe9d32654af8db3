package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/ring"
)

func (a *app) keyCommand() *cobra.Command {
	return parent("key", "Show where a key lives, what each replica holds and why, and repair it",
		"  kvcli key where carts alice\n  kvcli key inspect carts alice\n  kvcli key why carts alice\n  kvcli key repair carts alice",
		a.keyWhere(), a.keyInspect(), a.keyWhy(), a.keyRepair())
}

// whereDoc is the document of kvcli key where.
type whereDoc struct {
	Bucket string `json:"bucket"`
	keyDoc
	// Hash is the key's place on the ring, in 16 hexadecimal digits.
	Hash          string    `json:"hash"`
	Partition     int       `json:"partition"`
	Partitions    int       `json:"partitions"`
	LayoutVersion string    `json:"layout_version"`
	Homes         []homeDoc `json:"homes"`
	// Guests are no homes and keep hints of the key, or do not say whether they do.
	Guests []guestDoc `json:"guests"`
	// AskedNode is the node whose view of the others this is.
	AskedNode string `json:"node"`
}

// guestDoc is a node that keeps values of the key for homes; Error says why that is
// not known.
type guestDoc struct {
	Node   string `json:"node"`
	Error  string `json:"error"`
	Values int    `json:"values"`
}

// guestsOf are those of an inspection.
func guestsOf(views []kindred.ReplicaView) []guestDoc {
	guests := []guestDoc{}
	for _, v := range views {
		if v.Guest {
			guests = append(guests, guestDoc{v.Node, v.Err, len(v.Siblings)})
		}
	}
	return guests
}

// homeDoc is a home replica; State is empty for a node that gossip does not
// know.
type homeDoc struct {
	Node   string `json:"node"`
	Zone   string `json:"zone"`
	State  string `json:"state"`
	Linked bool   `json:"linked"`
	Client string `json:"client"`
}

func (a *app) keyWhere() *cobra.Command {
	var key keyFlags
	c := &cobra.Command{
		Use: "where BUCKET KEY", Short: "Show the partition of a key and its home replicas", Args: cobra.ExactArgs(2),
		Long:    "Where shows the partition of a key, the nodes that are its homes and whether they are\nup, as the asked node sees them, and the guests that keep something of it for homes\nwhich could not be reached.",
		Example: "  kvcli key where carts alice",
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				info, err := cl.Cluster(ctx)
				if err != nil {
					return err
				}
				doc, err := where(info, bucket, k)
				if err != nil {
					return err
				}
				views, err := cl.Inspect(ctx, bucket, k, client.Timeout(nodePatience))
				if err != nil {
					return err
				}
				doc.Guests = guestsOf(views)
				return a.print(doc, func(w io.Writer) error { return a.writeWhere(w, doc) })
			})
		},
	}
	key.register(c)
	return c
}

// where asks the layout for the homes; nothing of that travels over the network.
func where(info kindred.Cluster, bucket, key string) (whereDoc, error) {
	layout, err := layoutOf(info)
	if err != nil {
		return whereDoc{}, err
	}
	p := layout.PartitionOf(bucket, key)
	doc := whereDoc{
		Bucket: bucket, keyDoc: newKeyDoc(key), Hash: fmt.Sprintf("%016x", ring.Hash(bucket, key)),
		Partition: int(p), Partitions: layout.Partitions(), LayoutVersion: info.LayoutVersion,
		Homes: []homeDoc{}, Guests: []guestDoc{}, AskedNode: info.Node,
	}
	for _, name := range layout.Homes(p, layout.Replicas()) {
		n, _ := layout.Node(name)
		home := homeDoc{Node: name, Zone: n.Zone}
		if i := slices.IndexFunc(info.Members, func(m kindred.Member) bool { return m.Name == name }); i >= 0 {
			m := info.Members[i]
			home.State, home.Linked, home.Client = string(m.State), m.Linked, m.ClientAddr
		}
		doc.Homes = append(doc.Homes, home)
	}
	return doc, nil
}

// layoutOf decodes the layout that a node answered with.
func layoutOf(info kindred.Cluster) (*ring.Layout, error) {
	if len(info.Layout) == 0 {
		return nil, &kindred.Error{Code: kindred.CodeNoLayout, Outcome: kindred.NotApplied, Message: fmt.Sprintf(
			"node %s knows no layout yet: it is made when as many nodes see one another as --expect says", info.Node)}
	}
	return ring.Decode(info.Layout)
}

func (a *app) writeWhere(w io.Writer, doc whereDoc) error {
	fmt.Fprintf(w, "partition %d of %d, layout %s\n\n", doc.Partition, doc.Partitions, doc.LayoutVersion)
	t := table{header: []string{"HOME", "ZONE", "STATE", "LINK FROM " + doc.AskedNode, "CLIENT"}}
	for _, h := range doc.Homes {
		link := "yes"
		switch {
		case h.Node == doc.AskedNode:
			link = "itself"
		case !h.Linked:
			link = "no"
		}
		row := plainCells(h.Node, h.Zone, orUnknown(h.State), link, orUnknown(h.Client))
		row[2].paint = a.stateColour(h.State)
		t.add(row...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, g := range doc.Guests {
		text := fmt.Sprintf("keeps %s for homes", counted(g.Values, "value", "values"))
		if g.Error != "" {
			text = "does not say whether it keeps hints: " + g.Error
		}
		fmt.Fprintf(w, "\nguest %s %s", g.Node, text)
	}
	if len(doc.Guests) > 0 {
		fmt.Fprintln(w)
	}
	return nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// stateColour is that of a member's state; one that is not known is not green.
func (a *app) stateColour(state string) func(string) string {
	switch kindred.MemberState(state) {
	case kindred.Alive:
		return a.style().Good
	case kindred.Dead:
		return a.style().Bad
	}
	return a.style().Warn
}

// Verdicts of an inspection.
const (
	verdictEqual    = "equal"
	verdictDiverged = "diverged"
	// verdictUnknown: some replica did not answer, so nobody can say (I12).
	verdictUnknown = "unknown"
)

// inspectDoc is the document of kvcli key inspect.
type inspectDoc struct {
	Bucket string `json:"bucket"`
	keyDoc
	Verdict  string       `json:"verdict"`
	Replicas []replicaDoc `json:"replicas"`
}

type replicaDoc struct {
	Node string `json:"node"`
	// Guest: it is no home of the key, and owes what it holds to homes.
	Guest bool `json:"guest"`
	// Error says why the replica did not answer; the rest is then empty.
	Error    string           `json:"error"`
	Siblings []siblingViewDoc `json:"siblings"`
	Context  string           `json:"context"`
	Clock    string           `json:"clock"`
}

// homes is how many of the replicas are at home.
func (d *inspectDoc) homes() (n int) {
	for _, r := range d.Replicas {
		if !r.Guest {
			n++
		}
	}
	return n
}

type siblingViewDoc struct {
	Dot         string   `json:"dot"`
	Bytes       int      `json:"bytes"`
	ContentType string   `json:"content_type"`
	WrittenAt   string   `json:"written_at"`
	Node        string   `json:"node"`
	Blind       bool     `json:"blind"`
	Causes      []string `json:"causes"`
	// ExpiresAt is empty for a value that stays. A value whose time has come is
	// still held for a while, and shown here alone.
	ExpiresAt string `json:"expires_at"`
}

func (a *app) keyInspect() *cobra.Command {
	var key keyFlags
	c := &cobra.Command{
		Use: "inspect BUCKET KEY", Short: "Show what every home replica holds of a key, and every guest", Args: cobra.ExactArgs(2),
		Long: `Inspect asks every home replica what it holds of a key: the values it has with
their provenance, the causal context it keeps for the key, and its clock of the
partition. It asks the other nodes too what they keep for homes that they could not
reach, as guests: hints, which are delivered as soon as that is possible.

The verdict is of the homes: equal if all replicas answered and hold the same values, diverged
if all answered and do not, and unknown if one did not answer; the exit code is
then 6.`,
		Example: "  kvcli key inspect carts alice\n  kvcli key inspect carts alice -o json | jq .verdict",
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				views, err := cl.Inspect(c.Context(), bucket, k)
				if err != nil {
					return err
				}
				return a.printInspection(bucket, k, views)
			})
		},
	}
	key.register(c)
	return c
}

func (a *app) printInspection(bucket, key string, views []kindred.ReplicaView) error {
	doc := newInspectDoc(bucket, key, views)
	if err := a.print(doc, func(w io.Writer) error { return a.writeInspection(w, doc) }); err != nil {
		return err
	}
	if doc.Verdict != verdictUnknown {
		return nil
	}
	return &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf(
		"not every home replica of %s/%s answered, so whether they agree is unknown", bucket, shown(key))}
}

func newInspectDoc(bucket, key string, views []kindred.ReplicaView) inspectDoc {
	doc := inspectDoc{Bucket: bucket, keyDoc: newKeyDoc(key), Verdict: verdict(views), Replicas: []replicaDoc{}}
	for _, v := range views {
		r := replicaDoc{Node: v.Node, Guest: v.Guest, Error: v.Err, Context: v.Context, Clock: v.Clock, Siblings: []siblingViewDoc{}}
		for _, s := range v.Siblings {
			r.Siblings = append(r.Siblings, siblingViewDoc{
				Dot: s.Dot, Bytes: s.Bytes, ContentType: s.ContentType, WrittenAt: moment(s.WrittenAt), Node: s.Node,
				Blind: s.Causes.Has(kindred.CauseBlind), Causes: list(s.Causes.Names()), ExpiresAt: moment(s.ExpiresAt),
			})
		}
		doc.Replicas = append(doc.Replicas, r)
	}
	return doc
}

// verdict compares the live dots of the homes, which is what they must agree on.
// What guests keep is on its way to them.
func verdict(views []kindred.ReplicaView) string {
	views = slices.DeleteFunc(slices.Clone(views), func(v kindred.ReplicaView) bool { return v.Guest })
	if len(views) == 0 || slices.ContainsFunc(views, func(v kindred.ReplicaView) bool { return v.Err != "" }) {
		return verdictUnknown
	}
	for _, v := range views[1:] {
		if !slices.Equal(dots(v), dots(views[0])) {
			return verdictDiverged
		}
	}
	return verdictEqual
}

func dots(v kindred.ReplicaView) []string {
	var out []string
	for _, s := range v.Siblings {
		out = append(out, s.Dot)
	}
	slices.Sort(out)
	return out
}

func (a *app) writeInspection(w io.Writer, doc inspectDoc) error {
	st := a.style()
	for _, r := range doc.Replicas {
		fmt.Fprintf(w, "%s", st.Bold(r.Node))
		switch {
		case r.Error != "" && r.Guest:
			fmt.Fprintf(w, "  %s\n", st.Warn("no home; does not say whether it keeps hints: "+r.Error))
			continue
		case r.Error != "":
			fmt.Fprintf(w, "  %s\n", st.Bad("no answer: "+r.Error))
			continue
		}
		fmt.Fprintf(w, "  %s%s\n", counted(len(r.Siblings), "value", "values"), guestText(r.Guest))
		for _, s := range r.Siblings {
			fmt.Fprintf(w, "  dot %s, %s, written through %s at %s, %s%s\n",
				s.Dot, counted(s.Bytes, "byte", "bytes"), s.Node, s.WrittenAt, sawText(s), untilText(s.ExpiresAt))
		}
		about := "context " + orNone(r.Context)
		if !r.Guest { // a guest knows only of what it keeps
			about += "; clock " + orNone(r.Clock)
		}
		fmt.Fprintf(w, "  %s\n", st.Dim(about))
	}
	return writeVerdict(w, st.Good, st.Bad, st.Warn, doc)
}

// guestText is an addition to what a replica holds.
func guestText(guest bool) string {
	if guest {
		return ", kept as a guest for homes that could not be reached"
	}
	return ""
}

// sawText says what the writer had seen, and the other causes.
func sawText(s siblingViewDoc) string {
	if s.Blind {
		return strings.Join(s.Causes, ", ")
	}
	return strings.Join(append([]string{"with a context"}, s.Causes...), ", ")
}

func untilText(moment string) string {
	if moment == "" {
		return ""
	}
	return ", expires " + moment
}

func orNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return "empty"
	}
	return s
}

func writeVerdict(w io.Writer, good, bad, warn func(string) string, doc inspectDoc) error {
	text := warn("unknown: not every home replica answered")
	switch doc.Verdict {
	case verdictEqual:
		text = good(fmt.Sprintf("equal: all %d home replicas hold the same values", doc.homes()))
	case verdictDiverged:
		text = bad("diverged: the home replicas do not hold the same values (yet)")
	}
	_, err := fmt.Fprintf(w, "\n%s\n", text)
	return err
}
