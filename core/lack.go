package core

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/wire"
)

// Incomplete lists the copies for which this node cannot say yet that it is complete
// (R25), by what they wait for. Where the layout does not change there are none.
func (s *Shard) Incomplete() (list []kindred.IncompleteCopies) {
	if s.phase == nil || s.phase.Settled() {
		return nil
	}
	for _, x := range s.exchange.order {
		if id := x.replica.ID(); s.owns(id) && !s.complete(id) {
			list = AddIncomplete(list, s.incomplete(x, id))
		}
	}
	if debts := s.Hints().Debts; s.leaves() && len(debts) > 0 {
		owed := kindred.IncompleteCopies{Node: s.cfg.Node, Reason: "leaves, and has hints to deliver first"}
		for _, d := range debts {
			owed.Waits = append(owed.Waits, d.Target)
		}
		list = append(list, owed)
	}
	return list
}

func (s *Shard) incomplete(x *exchange, id replica.ID) kindred.IncompleteCopies {
	lack := x.Lack()
	c := kindred.IncompleteCopies{Node: s.cfg.Node, Partitions: []int{int(id.Partition)}, Waits: slices.Sorted(slices.Values(lack.Homes))}
	switch lack.Kind {
	case antientropy.LacksTrust:
		c.Reason = "may have lost writes when it went down, and catches up first"
	case antientropy.LacksFence:
		c.Reason = "has not heard yet what they have"
	case antientropy.LacksDots:
		c.Reason = "does not have all yet that they have"
	case antientropy.LacksOwners:
		c.Hopeless = true
		c.Reason = fmt.Sprintf("has too few to take it from: to be sure of every acknowledged write takes %s, and %d %s not gone for ever",
			otherOwners(lack.Need), lack.Left, isAre(lack.Left))
		if !x.Trusted() {
			c.Reason = "may have lost writes when it went down, and " + c.Reason
		}
	default:
		c.Waits = nil
		if x.replica.Retired() {
			c.Reason = "hands on what it had before it came back, and begins anew then"
			return c
		}
		c.Reason = "has not heard yet what they know to be lost"
		for _, h := range s.baseOf(wire.Head(id)) {
			if h != s.cfg.Node && !s.phase.Gone(h) && !s.closer.place(id).alike[h] {
				c.Waits = append(c.Waits, h)
			}
		}
	}
	return c
}

// AddIncomplete adds copies to those that wait for the same.
func AddIncomplete(list []kindred.IncompleteCopies, c kindred.IncompleteCopies) []kindred.IncompleteCopies {
	at := slices.IndexFunc(list, func(o kindred.IncompleteCopies) bool {
		return o.Node == c.Node && o.Hopeless == c.Hopeless && o.Reason == c.Reason && strings.Join(o.Waits, "\n") == strings.Join(c.Waits, "\n")
	})
	if at < 0 {
		return append(list, c)
	}
	list[at].Partitions = append(list[at].Partitions, c.Partitions...)
	slices.Sort(list[at].Partitions)
	return list
}

func otherOwners(n int) string {
	if n == 1 {
		return "another old owner"
	}
	return fmt.Sprintf("%d other old owners", n)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
