package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Shrinker looks for the shortest run of a seed that still breaks the promise which
// the whole run broke. It leaves out whatever it can: the end of the storm, kinds of
// incidents, clients, settings, single incidents, single operations; and plays the
// run again each time. What it ends with is a [Part] to be played again.
//
// A run that breaks the same rule may do so for another reason; a rule is all that
// can be compared. Nothing more can be left out alone, but something may be together.
type Shrinker struct {
	// Play plays a part of the run.
	Play func(Part) *Result
	// Tries is how many runs it makes at most. Spent, if not nil, ends it earlier: it
	// is asked before each.
	Tries int
	Spent func() bool
	// Log, if not nil, is told of every step forward.
	Log func(string)

	shrunk *Shrunk
	// failed are the parts that were played and did not break the rule.
	failed map[string]bool
}

// Shrunk is what came of it.
type Shrunk struct {
	// First is the run that was given, Last the shortest that was found, the one of
	// Part.
	First, Last *Result
	Part        Part
	Tries       int
	// Spent: there was no more budget, and a shorter run might have been found.
	Spent bool
}

// Shrink begins with a part of a run that breaks a promise, and returns nil if it
// breaks none.
func (s *Shrinker) Shrink(from Part) *Shrunk {
	first := s.Play(from)
	if first.Finding == nil {
		return nil
	}
	s.shrunk, s.failed = &Shrunk{First: first, Last: first, Part: from}, map[string]bool{}
	s.end()
	for before := ""; before != s.shrunk.Part.String() && !s.spent(); {
		before = s.shrunk.Part.String()
		s.ends()
		s.kinds()
		s.clients()
		s.settings()
		s.incidents()
		s.operations()
	}
	return s.shrunk
}

func (s *Shrinker) spent() bool {
	if s.shrunk.Tries >= s.Tries || s.Spent != nil && s.Spent() {
		s.shrunk.Spent = true
	}
	return s.shrunk.Spent
}

// try plays the part of now with a change, and keeps it if the rule is still broken.
func (s *Shrinker) try(change func(*Part)) bool {
	p := s.shrunk.Part.with(change)
	if text := p.String(); s.failed[text] || text == s.shrunk.Part.String() || s.spent() {
		return false
	}
	s.shrunk.Tries++
	r := s.Play(p)
	if r.Finding == nil || r.Finding.Rule != s.shrunk.First.Finding.Rule {
		s.failed[p.String()] = true
		return false
	}
	s.shrunk.Part, s.shrunk.Last = p, r
	s.end()
	if s.Log != nil {
		s.Log(fmt.Sprintf("try %d: %v; %s", s.shrunk.Tries, r.Finding.At, extent(r)))
	}
	return true
}

// endStep is what ends of storms are rounded up to: their text stays short.
const endStep = time.Millisecond

// end lets the storm end with the finding, which changes nothing before it.
func (s *Shrinker) end() {
	last := s.shrunk.Last
	end := min(last.Config.Storm, last.Finding.At.Truncate(endStep)+endStep)
	s.shrunk.Part = s.shrunk.Part.with(func(p *Part) { p.End = end })
}

// ends tries earlier ends of the storm: the finding may come in the calm as well.
func (s *Shrinker) ends() {
	for earlier := true; earlier; {
		earlier = false
		for eighths := time.Duration(1); eighths < 8 && !earlier; eighths++ {
			end := (s.shrunk.Part.End * eighths / 8).Truncate(endStep)
			earlier = end > 0 && s.try(func(p *Part) { p.End = end })
		}
	}
}

// kinds leaves out whole kinds of incidents.
func (s *Shrinker) kinds() {
	fewest(sortedKeys(s.shrunk.Last.Kept.Incidents), s.spent, func(kept []Incident) bool {
		return s.try(func(p *Part) { p.Incidents = only(p.Incidents, kept) })
	})
}

func (s *Shrinker) clients() {
	fewest(sortedKeys(s.shrunk.Last.Kept.Clients), s.spent, func(kept []int) bool {
		return s.try(func(p *Part) { p.Clients = only(p.Clients, kept) })
	})
}

// only are the numbers of those that are kept, all numbers where none were said.
func only[K cmp.Ordered](m map[K]Numbers, kept []K) map[K]Numbers {
	left := map[K]Numbers{}
	for _, k := range kept {
		left[k] = allNumbers()
		if m != nil {
			left[k] = m[k]
		}
	}
	return left
}

func (s *Shrinker) settings() {
	for _, setting := range plains {
		if !slices.Contains(s.shrunk.Part.Plain, setting.name) {
			s.try(func(p *Part) { p.Plain = append(p.Plain, setting.name) })
		}
	}
	for nodes := s.shrunk.Last.Config.Replicas; nodes < s.shrunk.Last.Config.Nodes; nodes++ {
		if s.try(func(p *Part) { p.Nodes = nodes }) {
			break
		}
	}
	for keys := 1; keys < s.shrunk.Last.Config.Keys; keys++ {
		if s.try(func(p *Part) { p.Keys = keys }) {
			break
		}
	}
}

// incidents leaves out single ones, of one kind after another. What did not happen
// before the finding can be left out unseen.
func (s *Shrinker) incidents() {
	for _, kind := range sortedKeys(s.shrunk.Last.Kept.Incidents) {
		s.keepWhatHappened()
		fewest(s.shrunk.Part.Incidents[kind].list(), s.spent, func(kept []uint64) bool {
			return s.try(func(p *Part) { p.Incidents[kind] = numbersOf(kept) })
		})
	}
}

func (s *Shrinker) operations() {
	for _, client := range sortedKeys(s.shrunk.Last.Kept.Clients) {
		s.keepWhatHappened()
		fewest(s.shrunk.Part.Clients[client].list(), s.spent, func(kept []uint64) bool {
			return s.try(func(p *Part) { p.Clients[client] = numbersOf(kept) })
		})
	}
}

// keepWhatHappened changes nothing: what is not kept by name did not happen.
func (s *Shrinker) keepWhatHappened() {
	did := s.shrunk.Last.Kept
	s.shrunk.Part = s.shrunk.Part.with(func(p *Part) { p.Incidents, p.Clients = did.Incidents, did.Clients })
}

// fewest leaves out of a list what it can, as long as the rest is still enough: delta
// debugging, as Zeller and Hildebrandt have it. Once it ends for itself, no single one
// of what is left can be left out. It is quick where little is needed: k of n items
// take some k log n tries.
func fewest[T any](items []T, spent func() bool, enough func([]T) bool) []T {
	if len(items) == 0 || enough(nil) {
		return nil
	}
	for parts := 2; len(items) > 1 && !spent(); {
		parts = min(parts, len(items))
		rest, found := without(items, parts, spent, enough)
		switch {
		case found:
			items, parts = rest, max(parts-1, 2)
		case parts == len(items):
			return items
		default:
			parts *= 2
		}
	}
	return items
}

// without looks for one of so many parts that can be left out.
func without[T any](items []T, parts int, spent func() bool, enough func([]T) bool) ([]T, bool) {
	for i := range parts {
		lo, hi := i*len(items)/parts, (i+1)*len(items)/parts
		rest := slices.Concat(items[:lo], items[hi:])
		if enough(rest) {
			return rest, true
		}
		if spent() {
			break
		}
	}
	return nil, false
}

// extent is how much there is to a run, in a line.
func extent(r *Result) string {
	incidents := 0
	for _, n := range r.Kept.Incidents {
		incidents += n.count()
	}
	return fmt.Sprintf("%v of storm, %d nodes, %d clients, %d operations, %d incidents of %d kinds, %d events",
		r.Stormed.Round(endStep), r.Config.Nodes, len(r.Kept.Clients), r.Operations, incidents, len(r.Kept.Incidents), r.Events)
}

// String says how far it came.
func (s *Shrunk) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %v\nfrom %s\n", s.Last.Seed, s.Last.Finding, extent(s.First))
	fmt.Fprintf(&b, "to   %s\n", extent(s.Last))
	fmt.Fprintf(&b, "in %d tries", s.Tries)
	if s.Spent {
		b.WriteString("; there was no budget for more: a shorter run may exist")
	}
	return b.String()
}
