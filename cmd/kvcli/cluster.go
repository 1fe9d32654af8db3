package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/ring"
)

// defaultTimeout bounds questions about the cluster.
const defaultTimeout = 10 * time.Second

func (a *app) clusterCommand() *cobra.Command {
	return parent("cluster", "Make a cluster, change it, show how it is, and wait for it",
		"  kvcli cluster health\n  kvcli cluster status\n  kvcli cluster wait --for settled\n  kvcli cluster safe-to-stop n3\n  kvcli cluster join n4 n5\n  kvcli cluster plan\n  kvcli cluster commit --wait",
		a.clusterInit(), a.clusterHealth(), a.clusterWait(), a.clusterStatus(), a.clusterMembers(), a.clusterRing(),
		a.clusterSafeToStop(), a.clusterExposure(),
		a.clusterJoin(), a.clusterLeave(), a.clusterReplace(), a.clusterRemove(), a.clusterReturn(), a.clusterSetZone(), a.clusterSetCapacity(),
		a.clusterClear(), a.clusterPlan(), a.clusterCommit(), a.clusterHistory())
}

// onCluster makes a command that shows something of the asked node's view.
func (a *app) onCluster(use, short, long string, show func(kindred.Cluster, changeDoc) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long, Args: cobra.NoArgs,
		Example: fmt.Sprintf("  kvcli cluster %s\n  kvcli cluster %s -o json", use, use),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withCluster(c.Context(), func(cl cluster) error {
				ctx, cancel := a.limit(c.Context(), defaultTimeout)
				defer cancel()
				info, err := cl.Cluster(ctx)
				if err != nil {
					return err
				}
				return show(info, changeOf(ctx, cl, info))
			})
		},
	}
}

// clusterDoc is the document of kvcli cluster status.
type clusterDoc struct {
	// AskedNode is the node whose view this is.
	AskedNode     string          `json:"node"`
	ClusterID     string          `json:"cluster_id"`
	LayoutVersion string          `json:"layout_version"`
	Partitions    int             `json:"partitions"`
	Replicas      int             `json:"replicas"`
	Members       []api.MemberDoc `json:"members"`
	Problems      []string        `json:"problems"`
	// Change is a change of the layout that goes on, or is staged.
	Change changeDoc `json:"change"`
}

func newClusterDoc(info kindred.Cluster, change changeDoc) clusterDoc {
	return clusterDoc{
		AskedNode: info.Node, ClusterID: info.ClusterID, LayoutVersion: info.LayoutVersion,
		Partitions: info.Partitions, Replicas: info.Replicas,
		Members: memberDocs(info), Problems: list(info.Problems), Change: change,
	}
}

// memberDocs shows the members of the layout with the zone and capacity that this gives
// them, and the others with those that they were started with.
func memberDocs(info kindred.Cluster) []api.MemberDoc {
	docs := []api.MemberDoc{}
	layout, err := layoutOf(info)
	for _, m := range info.Members {
		if err == nil {
			if n, member := layout.Node(m.Name); member {
				m.Zone, m.Capacity = n.Zone, n.Capacity
			}
		}
		docs = append(docs, api.NewMemberDoc(&m))
	}
	return docs
}

func (a *app) clusterStatus() *cobra.Command {
	return a.onCluster("status", "Show layout, members and problems",
		"Status shows what one node knows of the cluster, and what is not as it should be.",
		func(info kindred.Cluster, change changeDoc) error {
			doc := newClusterDoc(info, change)
			return a.print(doc, func(w io.Writer) error { return a.writeStatus(w, doc) })
		})
}

func (a *app) writeStatus(w io.Writer, doc clusterDoc) error {
	st := a.style()
	layout := fmt.Sprintf("layout %s: %d partitions, %d replicas of each", doc.LayoutVersion, doc.Partitions, doc.Replicas)
	if doc.LayoutVersion == "" {
		layout = st.Warn("no layout yet")
	}
	fmt.Fprintf(w, "cluster %s, as %s sees it\n%s\n%s\n", orUnknown(doc.ClusterID), doc.AskedNode, layout, membersText(doc.Members))
	if doc.LayoutVersion != "" {
		for _, line := range doc.Change.lines() {
			fmt.Fprintf(w, "%s %s\n", st.Warn("change:"), line)
		}
	}
	if len(doc.Problems) == 0 {
		_, err := fmt.Fprintf(w, "%s knows of no problem\n", doc.AskedNode)
		return err
	}
	for _, p := range doc.Problems {
		fmt.Fprintf(w, "%s %s\n", st.Bad("problem:"), p)
	}
	return nil
}

// membersText counts members by state: "5 members: 4 alive, 1 suspect".
func membersText(members []api.MemberDoc) string {
	count := map[string]int{}
	for _, m := range members {
		count[m.State]++
	}
	var parts []string
	for _, s := range []kindred.MemberState{kindred.Alive, kindred.Suspect, kindred.Dead, kindred.Left} {
		if n := count[string(s)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return counted(len(members), "member", "members") + ": " + strings.Join(parts, ", ")
}

// membersDoc is the document of kvcli cluster members.
type membersDoc struct {
	AskedNode string          `json:"node"`
	Members   []api.MemberDoc `json:"members"`
}

func (a *app) clusterMembers() *cobra.Command {
	return a.onCluster("members", "List the members",
		"Members lists the nodes of the cluster as one of them sees them.",
		func(info kindred.Cluster, _ changeDoc) error {
			doc := membersDoc{AskedNode: info.Node, Members: memberDocs(info)}
			return a.print(doc, func(w io.Writer) error { return a.writeMembers(w, doc) })
		})
}

func (a *app) writeMembers(w io.Writer, doc membersDoc) error {
	t := table{header: []string{"NODE", "ZONE", "STATE", "LINK FROM " + doc.AskedNode, "PARTITIONS", "CAPACITY", "CLIENT", "HTTP"}}
	for _, m := range doc.Members {
		link := "no"
		switch {
		case m.Name == doc.AskedNode:
			link = "itself"
		case m.Linked:
			link = "yes"
		}
		row := plainCells(m.Name, m.Zone, m.State, link, strconv.Itoa(m.Partitions), fmt.Sprint(m.Capacity), m.Client, m.HTTP)
		row[2].paint = a.stateColour(m.State)
		t.add(row...)
	}
	return t.write(w)
}

// ringDoc is the document of kvcli cluster ring.
type ringDoc struct {
	LayoutVersion string         `json:"layout_version"`
	Partitions    int            `json:"partitions"`
	Replicas      int            `json:"replicas"`
	Nodes         []shareDoc     `json:"nodes"`
	Zones         []zoneDoc      `json:"zones"`
	Homes         []partitionDoc `json:"homes"`
	// Problems are those of the layout itself.
	Problems []string `json:"problems"`
	// Change is a change of the layout that goes on, or is staged.
	Change changeDoc `json:"change"`
}

type shareDoc struct {
	Node string `json:"node"`
	Zone string `json:"zone"`
	// Partitions is how many it is a home of, Fair how many would be its share.
	Partitions int     `json:"partitions"`
	Fair       float64 `json:"fair"`
}

type zoneDoc struct {
	Zone       string `json:"zone"`
	Nodes      int    `json:"nodes"`
	Partitions int    `json:"partitions"`
}

// partitionDoc names the homes of one partition, in order.
type partitionDoc struct {
	Partition int      `json:"partition"`
	Homes     []string `json:"homes"`
}

func (a *app) clusterRing() *cobra.Command {
	return a.onCluster("ring", "Show how partitions are spread over nodes and zones",
		"Ring shows how many partitions each node and each zone is a home of. A replica of each partition counts.",
		func(info kindred.Cluster, change changeDoc) error {
			layout, err := layoutOf(info)
			if err != nil {
				return err
			}
			doc := newRingDoc(layout, info.LayoutVersion)
			doc.Change = change
			return a.print(doc, func(w io.Writer) error { return writeRing(w, doc) })
		})
}

func newRingDoc(layout *ring.Layout, version string) ringDoc {
	doc := ringDoc{
		LayoutVersion: version, Partitions: layout.Partitions(), Replicas: layout.Replicas(),
		Nodes: []shareDoc{}, Zones: []zoneDoc{}, Homes: []partitionDoc{}, Problems: []string{},
	}
	place := map[string]int{}
	for _, s := range layout.Shares(layout.Replicas()) {
		n, _ := layout.Node(s.Node)
		doc.Nodes = append(doc.Nodes, shareDoc{Node: s.Node, Zone: n.Zone, Partitions: s.Owned, Fair: s.Fair})
		if _, known := place[n.Zone]; !known {
			place[n.Zone] = len(doc.Zones)
			doc.Zones = append(doc.Zones, zoneDoc{Zone: n.Zone})
		}
		z := &doc.Zones[place[n.Zone]]
		z.Nodes++
		z.Partitions += s.Owned
	}
	for p := range layout.Partitions() {
		doc.Homes = append(doc.Homes, partitionDoc{p, layout.Homes(ring.Partition(p), layout.Replicas())})
	}
	for _, p := range layout.Check() {
		doc.Problems = append(doc.Problems, p.Text)
	}
	return doc
}

func writeRing(w io.Writer, doc ringDoc) error {
	fmt.Fprintf(w, "layout %s: %d partitions, %d replicas of each\n\n", doc.LayoutVersion, doc.Partitions, doc.Replicas)
	most := 1
	for _, z := range doc.Zones {
		most = max(most, z.Partitions)
	}
	nodes := table{header: []string{"NODE", "ZONE", "PARTITIONS", ""}}
	for _, n := range doc.Nodes {
		nodes.add(plainCells(n.Node, n.Zone, strconv.Itoa(n.Partitions), bar(n.Partitions, most))...)
	}
	if err := nodes.write(w); err != nil {
		return err
	}
	zones := table{header: []string{"ZONE", "NODES", "PARTITIONS", ""}}
	for _, z := range doc.Zones {
		zones.add(plainCells(z.Zone, strconv.Itoa(z.Nodes), strconv.Itoa(z.Partitions), bar(z.Partitions, most))...)
	}
	fmt.Fprintln(w)
	if err := zones.write(w); err != nil {
		return err
	}
	for _, p := range append(slices.Clone(doc.Problems), doc.Change.lines()...) {
		fmt.Fprintf(w, "\n%s\n", p)
	}
	return nil
}

// bar draws a number as a bar, in eighths of a letter.
func bar(n, most int) string {
	const width = 40
	eighths := n * width * 8 / most
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return s
}
