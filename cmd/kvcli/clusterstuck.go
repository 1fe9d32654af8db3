package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

const (
	// incompleteShown is how many sentences about incomplete copies people are shown, and
	// partitionsShown how many partitions in each.
	incompleteShown = 6
	partitionsShown = 3
)

// askIncomplete asks those who have a part in a change which of their copies keep it from
// going on, but for the one that has said so already. Who goes by another layout speaks
// of another change.
func askIncomplete(ctx context.Context, cl cluster, known *kindred.Changes) []api.IncompleteDoc {
	var others []string
	for _, n := range known.Progress.Nodes {
		if n.Node != known.Node && !n.Gone && !known.Progress.Settled {
			others = append(others, n.Node)
		}
	}
	said := make([]kindred.Changes, len(others))
	var asked sync.WaitGroup
	for i, name := range others {
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, nodePatience)
			defer cancel()
			said[i], _ = cl.Changes(ctx, name) // who cannot be asked is named as one that is waited for
		})
	}
	asked.Wait()
	return incompleteOf(append(said, *known), known.Progress.Tip)
}

// incompleteOf joins what nodes say of the change to one layout, the hopeless first.
func incompleteOf(said []kindred.Changes, tip string) (all []api.IncompleteDoc) {
	for i := range said {
		if p := &said[i].Progress; p.Tip == tip {
			all = append(all, api.NewProgressDoc(p).Incomplete...)
		}
	}
	slices.SortStableFunc(all, func(a, b api.IncompleteDoc) int {
		if a.Hopeless != b.Hopeless {
			return map[bool]int{true: -1, false: 1}[a.Hopeless]
		}
		return strings.Compare(a.Node, b.Node)
	})
	return list(all)
}

// hopeless reports whether a change can never end by itself.
func hopeless(all []api.IncompleteDoc) bool {
	return slices.ContainsFunc(all, func(c api.IncompleteDoc) bool { return c.Hopeless })
}

// acceptText is the way out of a change that can never end.
const acceptText = "whoever comes back, that stays so. What goes on is a layout by which the loss is accepted: look at kvcli cluster plan, then kvcli cluster commit --accept-loss; nothing has to be staged for it"

// incompleteLines say in sentences for whom copies wait, and what can be done.
func incompleteLines(all []api.IncompleteDoc, waits []api.WaitDoc) (lines []string) {
	for i, c := range all {
		if i == incompleteShown {
			lines = append(lines, fmt.Sprintf("and %s more; -o json has all", counted(len(all)-i, "reason", "reasons")))
			break
		}
		lines = append(lines, incompleteText(c))
	}
	if hopeless(all) {
		return append(lines, acceptText)
	}
	var silent []string
	for _, w := range waits {
		if strings.Contains(w.Reason, "cannot be reached") {
			silent = append(silent, w.Node)
		}
	}
	if len(silent) > 0 && len(all) > 0 {
		names := strings.Join(silent, ", ")
		lines = append(lines, fmt.Sprintf("start %s, with its disk; one that never comes back can be replaced or removed during the change too (kvcli cluster replace, remove)", names))
	}
	return lines
}

func incompleteText(c api.IncompleteDoc) string {
	of := c.Node
	if len(c.Partitions) > 0 {
		of = fmt.Sprintf("%s at %s (%s)", counted(len(c.Partitions), "copy", "copies"), c.Node, partitionsText(c.Partitions))
	}
	switch {
	case c.Hopeless:
		return fmt.Sprintf("the change can never end: %s will never be complete: %s %s", of, c.Node, c.Reason)
	case len(c.Waits) > 0:
		return fmt.Sprintf("%s %s for %s: %s %s", of, waitsWord(len(c.Partitions)), strings.Join(c.Waits, ", "), c.Node, c.Reason)
	}
	return fmt.Sprintf("%s: %s %s", of, c.Node, c.Reason)
}

func waitsWord(copies int) string {
	if copies > 1 {
		return "wait"
	}
	return "waits"
}

// partitionsText names the first partitions of a list.
func partitionsText(partitions []int) string {
	var names []string
	for _, p := range partitions[:min(len(partitions), partitionsShown)] {
		names = append(names, fmt.Sprint(p))
	}
	word := "partition "
	if len(partitions) > 1 {
		word = "partitions "
	}
	text := word + strings.Join(names, ", ")
	if more := len(partitions) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
