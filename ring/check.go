package ring

import (
	"fmt"
	"slices"
)

// Kind is what is wrong with a layout.
type Kind int

const (
	FewNodes  Kind = iota + 1 // fewer nodes with a capacity than replicas
	FewZones                  // a note: fewer zones than replicas
	Crowded                   // copies of a partition lie closer together than zones allow
	Duplicate                 // two copies of a partition on one node
	Imbalance                 // a node owns more or less than its fair share allows
)

// Note reports whether a problem of this kind is for information only.
func (k Kind) Note() bool {
	return k == FewZones || k == Unheard || k == Replaces || k == HandsOver || k == Acceptable
}

func (k Kind) String() string {
	switch k {
	case FewNodes:
		return "few nodes"
	case FewZones:
		return "few zones"
	case Crowded:
		return "crowded"
	case Duplicate:
		return "duplicate"
	case Imbalance:
		return "imbalance"
	case NothingStaged:
		return "nothing staged"
	case NotMember:
		return "not a member"
	case StillHere:
		return "still here"
	case StillGoing:
		return "still going"
	case Orphaned:
		return "orphaned"
	case Unheard:
		return "unheard"
	case Replaces:
		return "replaces"
	case HandsOver:
		return "hands over"
	case Acceptable:
		return "acceptable"
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Problem is one thing that Check found.
type Problem struct {
	Kind      Kind
	Partition Partition // for Crowded and Duplicate
	Node      string    // for Duplicate and Imbalance
	Text      string    // a sentence for people
}

// Beyond rounding to whole copies, a node may be off its fair share by a
// twentieth before Check speaks of imbalance.
const imbalanceDivisor = 20

// Check judges a layout by rules 1 to 3 of the package and returns what is
// wrong with it, nothing if it is healthy. A layout made here has no problems
// but FewNodes and FewZones, which only more nodes and zones can mend.
func (l *Layout) Check() []Problem {
	zones := l.members.zones()
	found := l.checkSupply(zones)
	found = append(found, l.checkSpread(zones)...)
	return append(found, l.checkBalance()...)
}

// checkSupply finds out whether there are enough nodes and zones.
func (l *Layout) checkSupply(zones [][]int) []Problem {
	var found []Problem
	if l.copies < l.replicas {
		found = append(found, Problem{Kind: FewNodes, Text: fmt.Sprintf(
			"%s of %d: only %s with a capacity, add %d", count(l.copies, "copy", "copies"), l.replicas,
			count(l.copies, "node", "nodes"), l.replicas-l.copies)})
	}
	used := 0
	for _, nodes := range zones {
		used += min(1, len(nodes))
	}
	if used < l.replicas {
		found = append(found, Problem{Kind: FewZones, Text: fmt.Sprintf(
			"%s for %d copies: copies share zones, the loss of one can take several", count(used, "zone", "zones"), l.replicas)})
	}
	return found
}

func count(n int, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// checkSpread looks for owners of one partition that are too close together.
func (l *Layout) checkSpread(zones [][]int) []Problem {
	rules := make([]zoneRule, l.copies+1)
	for n := range rules {
		rules[n] = spread(sizes(zones), n)
	}
	var found []Problem
	for p := range l.Partitions() {
		owners := l.ownersOf(p)
		for i, o := range owners {
			if slices.Contains(owners[:i], o) {
				name := l.members[o].Name
				found = append(found, Problem{Kind: Duplicate, Partition: Partition(p), Node: name, Text: fmt.Sprintf(
					"partition %d has two copies on node %q", p, name)})
			}
		}
		if text := l.crowding(owners, rules); text != "" {
			found = append(found, Problem{Kind: Crowded, Partition: Partition(p), Text: fmt.Sprintf("partition %d has %s", p, text)})
		}
	}
	return found
}

// crowding says where the owners break the rule for their number, or the first
// few of them the rule for theirs; "" when they do not.
func (l *Layout) crowding(owners []uint16, rules []zoneRule) string {
	counts := make([]int, len(l.members)) // copies, by zone
	for i, o := range owners {
		counts[l.members[o].zone]++
		rule := rules[i+1]
		for z, most := range rule.most {
			if counts[z] > most || counts[z] < rule.least[z] {
				return fmt.Sprintf("%d of its first %d copies in zone %q, where %d to %d belong",
					counts[z], i+1, l.zoneName(z), rule.least[z], most)
			}
		}
	}
	return ""
}

func (l *Layout) zoneName(zone int) string {
	i := slices.IndexFunc(l.members, func(m member) bool { return m.zone == zone })
	return l.members[i].Zone
}

func (l *Layout) checkBalance() []Problem {
	var found []Problem
	fair := fairShares(l.members, l.Partitions(), l.copies)
	for i, owned := range l.count(l.copies) {
		if q := fair[i]; q.off(owned) {
			name := l.members[i].Name
			found = append(found, Problem{Kind: Imbalance, Node: name, Text: fmt.Sprintf(
				"node %q owns %d copies, its fair share is %.1f", name, owned, q.float())})
		}
	}
	return found
}

// off reports whether a number of copies is neither the quota rounded to a whole
// number nor within a twentieth of it.
func (q quota) off(owned int) bool {
	if q.floor() <= owned && owned <= q.ceil() {
		return false
	}
	gap := int64(owned)*int64(q.den) - int64(q.num)
	return max(gap, -gap) > int64(q.num)/imbalanceDivisor
}
