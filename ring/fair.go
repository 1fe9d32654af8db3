package ring

import (
	"math/big"
	"slices"
)

// Fair shares. Each partition has k copies (copies). A node can own at most one
// of them; zones can own between least and most of them, see spread. Over all Q
// partitions a node can hence own at most Q copies and zone z between
// Q·least[z] and Q·most[z]. Within these bounds shares are proportional to
// capacity, the way water levels out in connected vessels: there is a level λ
// such that every node is given λ·capacity, unless
//
//   - that is over Q: the node is given Q;
//   - its zone would be given too much or too little: the zone is given its
//     bound, and divides it by a level of its own.
//
// Whole numbers throughout, so that every machine finds the same shares.

// quota is a number of copies, num/den.
type quota struct{ num, den uint64 }

// floor and ceil round a quota to whole copies.
func (q quota) floor() int { return int(q.num / q.den) }
func (q quota) ceil() int  { return int((q.num + q.den - 1) / q.den) }

func (q quota) float() float64 { return float64(q.num) / float64(q.den) }

// Share compares what a node owns with its fair share.
type Share struct {
	Node  string
	Owned int     // partitions that have the node among their first n homes
	Fair  float64 // its fair share of them
}

// Shares returns the shares of all members, by name, as far as the first n
// owners go; no more than Replicas are counted.
func (l *Layout) Shares(n int) []Share {
	n = max(0, min(n, l.copies))
	fair := fairShares(l.members, l.Partitions(), n)
	owned := l.count(n)
	shares := make([]Share, len(l.members))
	for i, m := range l.members {
		shares[i] = Share{Node: m.Name, Owned: owned[i], Fair: fair[i].float()}
	}
	return shares
}

// count returns how many partitions have each member among their first n owners.
func (l *Layout) count(n int) []int {
	owned := make([]int, len(l.members))
	for p := range l.Partitions() {
		for _, o := range l.ownersOf(p)[:n] {
			owned[o]++
		}
	}
	return owned
}

// zoneRule says how the k copies of one partition are spread over zones: each
// zone takes least copies, and extra of the zones with most > least take one
// more.
type zoneRule struct {
	least, most []int // by zone
	extra       int
}

// spread finds the most even way to put k copies into zones of these sizes (the
// number of nodes with a capacity). With k zones or more that is at most one
// copy in each; with fewer, every zone takes the same number of copies, give or
// take one, except that a zone with too few nodes takes all it can.
func spread(sizes []int, k int) zoneRule {
	level, placed := 0, 0
	for {
		wider := 0
		for _, size := range sizes {
			wider += min(size, level+1)
		}
		if wider > k || wider == placed {
			break
		}
		level, placed = level+1, wider
	}
	r := zoneRule{least: make([]int, len(sizes)), most: make([]int, len(sizes)), extra: k - placed}
	for z, size := range sizes {
		r.least[z] = min(size, level)
		r.most[z] = r.least[z]
		if r.extra > 0 {
			r.most[z] = min(size, level+1)
		}
	}
	return r
}

// zones lists the members with a capacity, by zone.
func (m members) zones() [][]int {
	var zones [][]int
	for i, n := range m {
		for len(zones) <= n.zone {
			zones = append(zones, nil)
		}
		if n.Capacity > 0 {
			zones[n.zone] = append(zones[n.zone], i)
		}
	}
	return zones
}

func sizes(zones [][]int) []int {
	s := make([]int, len(zones))
	for z, nodes := range zones {
		s[z] = len(nodes)
	}
	return s
}

// vessels divides copies among nodes.
type vessels struct {
	members members
	cap     int // what one node can own: the number of partitions
	shares  []quota
}

// fairShares returns the fair share of every member.
func fairShares(m members, partitions, copies int) []quota {
	v := vessels{members: m, cap: partitions, shares: make([]quota, len(m))}
	for i := range v.shares {
		v.shares[i].den = 1
	}
	zones := m.zones()
	rule := spread(sizes(zones), copies)
	total := partitions * copies
	free := make([]int, len(zones))
	for z := range free {
		free[z] = z
	}
	for len(free) > 0 {
		var bounded map[int]int
		free, bounded = v.settle(zones, free, rule, total)
		for _, bound := range bounded {
			total -= bound
		}
		if len(bounded) == 0 {
			break
		}
	}
	return v.shares
}

// settle levels the free zones together. Zones that are then out of bounds are
// given their bound, and returned with it; the rest has to settle anew. Where
// some zones are over and others under their bounds, only the side that is off
// by more is sure to stay there at the next level, so only that side is bounded.
func (v *vessels) settle(zones [][]int, free []int, rule zoneRule, total int) (rest []int, bounded map[int]int) {
	var nodes []int
	for _, z := range free {
		nodes = append(nodes, zones[z]...)
	}
	v.fill(nodes, total)
	over, under := map[int]int{}, map[int]int{}
	balance := new(big.Rat) // how much more than total the bounds would hand out
	for _, z := range free {
		given := v.given(zones[z])
		least, most := rule.least[z]*v.cap, rule.most[z]*v.cap
		if given.Cmp(whole(most)) > 0 {
			over[z] = most
			balance.Add(balance, given.Sub(whole(most), given))
		} else if given.Cmp(whole(least)) < 0 {
			under[z] = least
			balance.Add(balance, given.Sub(whole(least), given))
		}
	}
	bounded = over
	if balance.Sign() > 0 {
		bounded = under
	}
	for z, bound := range bounded {
		v.fill(zones[z], bound)
	}
	rest = slices.DeleteFunc(slices.Clone(free), func(z int) bool { _, ok := bounded[z]; return ok })
	return rest, bounded
}

// fill divides total among the nodes in proportion to their capacities, none
// getting more than v.cap. The products stay below 2⁶³: a total is at most
// 2²⁰ copies, capacities add up to less than 2⁴¹.
func (v *vessels) fill(nodes []int, total int) {
	for {
		var weight uint64
		for _, i := range nodes {
			weight += uint64(v.members[i].Capacity)
		}
		var rest []int
		for _, i := range nodes {
			v.shares[i] = quota{num: uint64(total) * uint64(v.members[i].Capacity), den: weight}
			if v.shares[i].num < uint64(v.cap)*weight {
				rest = append(rest, i)
			} else {
				v.shares[i] = quota{num: uint64(v.cap), den: 1}
			}
		}
		if len(rest) == len(nodes) {
			return
		}
		total -= v.cap * (len(nodes) - len(rest))
		nodes = rest
	}
}

// given is what nodes filled together have been given.
func (v *vessels) given(nodes []int) *big.Rat {
	sum := new(big.Rat)
	var num, den uint64
	for _, i := range nodes {
		if s := v.shares[i]; s.den == 1 {
			sum.Add(sum, whole(int(s.num)))
		} else {
			num, den = num+s.num, s.den
		}
	}
	if den > 0 {
		sum.Add(sum, big.NewRat(int64(num), int64(den)))
	}
	return sum
}

func whole(n int) *big.Rat { return big.NewRat(int64(n), 1) }
