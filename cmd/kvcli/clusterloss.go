package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// lostDoc is the account of what only one node had that is gone, as far as it can be known.
type lostDoc struct {
	Node string `json:"node"`
	// Events are the write events that others have heard of and nobody who can be asked
	// has: at least so many. Partitions are those of which there are any, Homes how many it
	// was a home of.
	Events     uint64             `json:"events"`
	Homes      int                `json:"homes"`
	Partitions []lostPartitionDoc `json:"partitions"`
	// Heard is since when at the latest nothing is known of what it took in some partition:
	// the first moment at which one of them was heard of for the last time. It is empty if
	// one has not been heard of since the others were started.
	Heard string `json:"heard"`
	// Unsure are the nodes that may have lost writes themselves, and can only be sure of
	// what they have by this one; Unknown could not be asked.
	Unsure  []string `json:"unsure"`
	Unknown []string `json:"unknown"`
}

// lostPartitionDoc is what is missing of one partition.
type lostPartitionDoc struct {
	Partition int    `json:"partition"`
	Events    uint64 `json:"events"`
	// Heard is when the node was last heard of there.
	Heard string `json:"heard"`
}

// accountOf says what is known of what only those nodes had: the others count what they
// have heard of and lack. The events have no keys: a clock tells numbers, and the key comes
// with the event itself.
func accountOf(s *survey, layout *ring.Layout, names []string) []lostDoc {
	docs := []lostDoc{}
	for _, name := range names {
		doc := lostDoc{Node: name, Partitions: []lostPartitionDoc{}, Unsure: []string{}, Unknown: []string{}}
		owned := layout.Owned(name, layout.Replicas())
		doc.Homes = len(owned)
		lost, heard := map[int]uint64{}, map[int]time.Time{}
		for i := range s.Nodes {
			v := &s.Nodes[i]
			if slices.Contains(names, v.Name) || v.removed() {
				continue
			}
			if !v.known() {
				doc.Unknown = append(doc.Unknown, v.Name)
				continue
			}
			r := v.replication()
			for j := range r.Replicas {
				p := &r.Replicas[j]
				if _, home := slices.BinarySearch(owned, ring.Partition(p.Partition)); !home {
					continue
				}
				lost[p.Partition] = max(lost[p.Partition], p.Lag)
				if at, known := heard[p.Partition]; !known || p.Heard.After(at) {
					heard[p.Partition] = p.Heard
				}
				if !p.Trusted && slices.Contains(p.Waits, name) && !slices.Contains(doc.Unsure, v.Name) {
					doc.Unsure = append(doc.Unsure, v.Name)
				}
			}
		}
		doc.addUp(owned, lost, heard)
		docs = append(docs, doc)
	}
	return docs
}

func (d *lostDoc) addUp(owned []ring.Partition, lost map[int]uint64, heard map[int]time.Time) {
	var first time.Time
	for i, p := range owned {
		at := heard[int(p)]
		if i == 0 || at.Before(first) {
			first = at
		}
		if n := lost[int(p)]; n > 0 {
			d.Events += n
			d.Partitions = append(d.Partitions, lostPartitionDoc{int(p), n, momentText(at)})
		}
	}
	d.Heard = momentText(first)
}

func momentText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// lines are the account for people.
func (d *lostDoc) lines() (lines []string) {
	was := "is giving away what it had"
	if d.Homes > 0 {
		was = "was a home of " + counted(d.Homes, "partition", "partitions")
	}
	lines = append(lines, fmt.Sprintf("%s %s. What only %s had is lost for ever once it is removed.", d.Node, was, d.Node))
	if d.Events > 0 {
		worst := slices.MaxFunc(d.Partitions, func(a, b lostPartitionDoc) int { return cmp.Compare(a.Events, b.Events) })
		var numbers []int
		for _, p := range d.Partitions {
			numbers = append(numbers, p.Partition)
		}
		lines = append(lines, fmt.Sprintf("The others have heard of %d write events of %s that they lack (%s: %s; most, %d, in partition %d). Of which keys they are nobody can tell: clocks have numbers only.",
			d.Events, d.Node, counted(len(d.Partitions), "partition", "partitions"), partitionsText(numbers), worst.Events, worst.Partition))
	} else if len(d.Unknown) == 0 {
		lines = append(lines, "The others have heard of no write event that they lack.")
	}
	switch {
	case d.Homes == 0:
	case d.Heard == "":
		lines = append(lines, fmt.Sprintf("Of some partition %s has not been heard since the others were started: nobody can tell what it took alone before and since.", d.Node))
	default:
		lines = append(lines, fmt.Sprintf("Since %s nothing is known of what %s took alone; of that nobody can tell.", d.Heard, d.Node))
	}
	if len(d.Unsure) > 0 {
		lines = append(lines, fmt.Sprintf("%s may have lost writes too, and could be sure only by what %s has: once that is removed the change may never end, unless the loss is accepted (kvcli cluster commit --accept-loss).",
			strings.Join(d.Unsure, ", "), d.Node))
	}
	if len(d.Unknown) > 0 {
		lines = append(lines, fmt.Sprintf("%s cannot be asked, so there may be more.", strings.Join(d.Unknown, ", ")))
	}
	return lines
}

// removals are the nodes that a plan removes for ever.
func removals(p *kindred.LayoutPlan) (names []string) {
	for _, c := range p.Changes {
		if c.Intent == kindred.IntentRemove {
			names = append(names, c.Node)
		}
	}
	return names
}
