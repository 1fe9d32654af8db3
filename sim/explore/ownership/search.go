package ownership

import (
	"fmt"
	"slices"
	"strings"
)

var (
	names     = []string{"a", "b", "c", "d"}
	stepNames = []string{"", "both", "ahead", "alone"}
)

func nodeNames(s set) string  { return listed(s, names) }
func writeNames(s set) string { return listed(s, []string{"write 0", "write 1", "write 2"}) }

func listed(s set, all []string) string {
	var some []string
	for i, name := range all {
		if s.has(i) {
			some = append(some, name)
		}
	}
	if len(some) == 0 {
		return "nothing"
	}
	return strings.Join(some, ", ")
}

// event is something that can happen, to a node and mostly with something else.
type event struct {
	do   func(b *bounds, w *world, at, with int) bool
	says string
	// with is how many things it may be done with; one is none.
	with func(b *bounds) int
	// idle: it may happen or not. All others happen in the end.
	idle bool
}

func one(*bounds) int        { return 1 }
func layouts(b *bounds) int  { return len(b.layouts) }
func others(b *bounds) int   { return b.nodes }
func writesOf(b *bounds) int { return b.writes }

var events = []event{
	{do: (*bounds).commit, says: "%s commits layout %d", with: layouts, idle: true},
	{do: (*bounds).take, says: "%s holds layout %d", with: layouts},
	{do: (*bounds).adopt, says: "%s works by layout %d", with: layouts},
	{do: (*bounds).tell, says: "%s is told that layout %d has removed it", with: layouts},
	{do: (*bounds).finish, says: "%s is complete", with: one},
	{do: (*bounds).advance, says: "%s takes the next step", with: one},
	{do: (*bounds).write, says: "%s coordinates a write", with: one, idle: true},
	{do: (*bounds).deliver, says: "%s takes write %d", with: writesOf, idle: true},
	{do: (*bounds).again, says: "%s goes on with write %d under what it knows now", with: writesOf, idle: true},
	{do: (*bounds).pull, says: "%s pulls from %d", with: others},
	{do: (*bounds).pay, says: "%s delivers what it owes to %d", with: others},
	{do: (*bounds).forget, says: "%s forgets what it owes", with: one, idle: true},
	{do: (*bounds).drop, says: "%s gives up its copy", with: one},
	{do: (*bounds).giveBack, says: "%s is asked to return what it has", with: one},
	{do: (*bounds).closeGone, says: "%s closes the incarnations of %d", with: others, idle: true},
	{do: (*bounds).die, says: "%s dies for ever", with: one, idle: true},
	{do: (*bounds).wipe, says: "%s loses its disk and asks %d for the layout", with: others, idle: true},
	{do: (*bounds).meet, says: "%s has caught up with %d", with: others},
	{do: (*bounds).begin, says: "%s begins to read", with: one, idle: true},
	{do: (*bounds).answer, says: "%s answers the read", with: one, idle: true},
}

// move is an event of a node.
type move struct{ event, at, with int8 }

func (m move) String() string {
	e := events[m.event]
	with := any(m.with)
	if strings.Contains(e.says, "from %d") || strings.Contains(e.says, "to %d") || strings.Contains(e.says, "asks %d") || strings.Contains(e.says, "up with %d") || strings.Contains(e.says, "incarnations of %d") {
		return fmt.Sprintf(strings.Replace(e.says, "%d", "%s", 1), names[m.at], names[m.with])
	}
	if strings.Contains(e.says, "%d") {
		return fmt.Sprintf(e.says, names[m.at], with)
	}
	return fmt.Sprintf(e.says, names[m.at])
}

// visit is a state and how it was first reached.
type visit struct {
	world world
	from  int32
	by    move
}

// result is what a search has found.
type result struct {
	states, moves int
	complete      bool
	finding       error
	path          []string
}

// all visits every state of a world, nearest first, but no more than limit; zero means
// no limit. It stops at the first finding, which nothing shorter leads to.
func (b *bounds) all(limit int) (r result) {
	first := visit{world: b.start(), from: -1}
	seen := map[world]bool{first.world: true}
	queue := []visit{first}
	for at := 0; at < len(queue); at++ {
		if limit > 0 && at >= limit {
			r.states = at
			return r
		}
		w := queue[at].world
		rest := true
		for e := range events {
			for node := range b.nodes {
				for with := range events[e].with(b) {
					next := w
					if !events[e].do(b, &next, node, with) {
						continue
					}
					r.moves++
					rest = rest && events[e].idle
					err := b.judge(&next)
					if !seen[next] {
						seen[next] = true
						queue = append(queue, visit{next, int32(at), move{int8(e), int8(node), int8(with)}})
					}
					if err != nil {
						r.states, r.finding, r.path = at, err, trail(append(queue, visit{next, int32(at), move{int8(e), int8(node), int8(with)}}))
						return r
					}
				}
			}
		}
		if !rest {
			continue
		}
		if err := b.judgeRest(&w); err != nil {
			r.states, r.finding, r.path = at, err, trail(queue[:at+1])
			return r
		}
	}
	r.states, r.complete = len(queue), true
	return r
}

// trail tells how the last state of a queue was reached.
func trail(queue []visit) (path []string) {
	for at := int32(len(queue) - 1); queue[at].from >= 0; at = queue[at].from {
		path = append(path, queue[at].by.String())
	}
	slices.Reverse(path)
	return path
}
