package merges

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

var (
	names = [clients]string{"Ann", "Bob", "Cyd"}
	nodes = [replicas]string{"n1", "n2", "n3"}
)

// story is the text of a failing run.
type story[V any] struct {
	strings.Builder
	*run[V]
}

// newStory plays a run once more and tells it.
func newStory[V any](s *Subject[V], f failure, others []Kind) string {
	t := &story[V]{run: play(s, f.seed, f.plan, f.kind.isLaw())}
	i := slices.IndexFunc(t.found, func(found finding[V]) bool { return found.kind == f.kind })
	if i < 0 {
		return fmt.Sprintf("The merge %s.\n\nIt does so at times only: it depends on more than its siblings, such as a clock, chance or the order of a map.\n", f.kind)
	}
	found := t.found[i]
	fmt.Fprintf(t, "The merge %s%s.\n\n", f.kind, t.about(found))
	for i := range t.scenes {
		fmt.Fprintf(t, "%3d. %s\n", i+1, t.scene(&t.scenes[i]))
	}
	t.ending(found)
	t.others(others)
	return t.String()
}

// isLaw: it is about values, wherever they are.
func (k Kind) isLaw() bool {
	return k <= Wavers || k >= NotIdempotent && k <= NotAssociative
}

func (t *story[V]) about(f finding[V]) string {
	if f.element == "" {
		return ""
	}
	return ": " + f.element
}

// scene is one sentence.
func (t *story[V]) scene(c *scene[V]) string {
	s := &c.step
	who, where := names[s.client], " at "+nodes[s.via]
	if s.via == s.at {
		where = "" // said already
	}
	switch s.do {
	case update, resolve:
		return who + " " + t.reads(c) + t.edits(c) + t.writes(c, where)
	case put:
		return fmt.Sprintf("%s puts %s at %s without reading%s.", who, t.Show(c.wrote), nodes[s.via], t.expiring(c))
	case retry:
		return fmt.Sprintf("%s, who has had no answer, repeats the write of step %d at %s: %s.", who, c.of+1, nodes[s.via], t.Show(c.wrote))
	case remove:
		return fmt.Sprintf("%s reads %s at %s and deletes the key%s.", who, t.list(c.read), nodes[s.at], where)
	case expire:
		return fmt.Sprintf("At %s the time of %s is over.", nodes[s.at], t.list(c.read))
	case deliver:
		return fmt.Sprintf("%s hears of step %d.", nodes[s.via], c.of+1)
	}
	return fmt.Sprintf("%s hears all that %s has.", nodes[s.via], nodes[s.at])
}

func (t *story[V]) reads(c *scene[V]) string {
	at := " at " + nodes[c.step.at]
	switch {
	case len(c.read) == 0:
		return "finds no value" + at
	case len(c.read) == 1 && (c.halted || t.Equal(c.read[0], c.merged)):
		return "reads " + t.list(c.read) + at
	case c.halted:
		return "reads " + t.list(c.read) + at + ", which are to be merged"
	}
	return "reads " + t.list(c.read) + at + ", merges to " + t.Show(c.merged)
}

func (t *story[V]) edits(c *scene[V]) string {
	var text string
	if len(c.adds) > 0 {
		text += ", adds " + strings.Join(c.adds, ", ")
	}
	if len(c.removes) > 0 {
		text += ", removes " + strings.Join(c.removes, ", ")
	}
	return text
}

func (t *story[V]) writes(c *scene[V], where string) string {
	if c.halted {
		return "."
	}
	return " and writes " + t.Show(c.wrote) + where + t.expiring(c) + "."
}

func (t *story[V]) expiring(c *scene[V]) string {
	if c.step.expires && slices.ContainsFunc(t.scenes, func(c scene[V]) bool { return c.step.do == expire }) {
		return ", to expire"
	}
	return ""
}

// list is values as a sentence has them.
func (t *story[V]) list(vs []V) string {
	shown := t.shown(vs)
	if len(shown) < 2 {
		return strings.Join(shown, "")
	}
	return strings.Join(shown[:len(shown)-1], ", ") + " and " + shown[len(shown)-1]
}

func (t *story[V]) shown(vs []V) []string {
	shown := make([]string, len(vs))
	for i, v := range vs {
		shown[i] = t.Show(v)
	}
	return shown
}

func (t *story[V]) call(c call[V]) string {
	return "merge(" + strings.Join(t.shown(c.siblings), ", ") + ")"
}

// ending says what came of it, what was expected, and what came out.
func (t *story[V]) ending(f finding[V]) {
	last := f.calls[len(f.calls)-1]
	t.WriteString(f.stage.introduction())
	switch f.kind {
	case Panics:
		fmt.Fprintf(t, "%s%s panics: %s\n", margin, t.call(last), f.trouble)
		t.verdict("a value"+t.forNothing(last), "a panic")
	case Refuses:
		fmt.Fprintf(t, "%s%s gives an error: %s\n", margin, t.call(last), f.trouble)
		t.verdict("a value"+t.forNothing(last)+", or nobody can ever write the key again", "an error")
	case Loses:
		t.equations(f.calls)
		t.verdict(fmt.Sprintf("%s, which %s added in step %d and nobody removed who had seen that", f.element, t.client(f), f.scene+1), t.Show(last.result))
	case Revives:
		t.equations(f.calls)
		t.verdict(fmt.Sprintf("no %s, which %s removed in step %d after seeing it added, and nobody added again", f.element, t.client(f), f.scene+1), t.Show(last.result))
	case Wavers:
		t.equations(f.calls)
		t.verdict("the same each time", t.both(f))
	case NotIdempotent, Diverges:
		t.equations(f.calls)
		t.verdict(t.Show(f.calls[0].result)+", as merging again changes nothing", t.Show(last.result))
	case NotCommutative:
		t.equations(f.calls)
		t.verdict("the same in either order", t.both(f))
	case NotAssociative:
		t.equations(f.calls)
		t.verdict("the same, whichever are merged first", t.both(f))
	}
}

// margin is where equations begin.
const margin = "     "

// introduction tells what has happened before the calls of a finding.
func (s stage) introduction() string {
	switch s {
	case atEnd:
		return "\nThen every replica hears everything, and everybody merges:\n"
	case atRest:
		return "\nThen every replica hears everything, and all merge and write at the same time. Who merges that:\n"
	case inLaws:
		return "\nOf these values:\n"
	}
	return "\n"
}

// client is who acted where a finding points to.
func (t *story[V]) client(f finding[V]) string { return names[t.scenes[f.scene].step.client] }

// both are the results that differ: of the last call, and of the one it is compared
// with.
func (t *story[V]) both(f finding[V]) string {
	n := len(f.calls)
	return t.Show(f.calls[(n-1)/2].result) + " and " + t.Show(f.calls[n-1].result)
}

func (t *story[V]) forNothing(c call[V]) string {
	if len(c.siblings) == 0 {
		return " to begin with, as a new key has no siblings"
	}
	return ""
}

// equations are calls of the merge with their results.
func (t *story[V]) equations(calls []call[V]) {
	width := 0
	for _, c := range calls {
		width = max(width, utf8.RuneCountInString(t.call(c)))
	}
	for _, c := range calls {
		fmt.Fprintf(t, "%s%-*s = %s\n", margin, width, t.call(c), t.Show(c.result))
	}
}

func (t *story[V]) verdict(expected, cameOut string) {
	fmt.Fprintf(t, "\nexpected: %s\ncame out: %s\n", expected, cameOut)
}

// others names what else was found.
func (t *story[V]) others(kinds []Kind) {
	if len(kinds) == 0 {
		return
	}
	said := make([]string, len(kinds))
	for i, k := range kinds {
		said[i] = "it " + k.String()
	}
	fmt.Fprintf(t, "\nFound as well: %s.\n", strings.Join(said, ", "))
}
