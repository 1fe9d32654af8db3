package core

import (
	"fmt"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

// DescribePlan puts a plan into the words of the public contract. Changes are what it
// takes in, expected how long the copies take, zero if nobody can tell.
func DescribePlan(node string, p *ring.Plan, d *ring.Decision, changes []kindred.NodeChange, expected time.Duration) kindred.LayoutPlan {
	plan := kindred.LayoutPlan{
		Node: node, Version: d.Version().String(), From: d.Parent().String(), Changes: changes,
		Copies: p.Copies, Bytes: p.Bytes, Expected: expected, Waits: p.Waits, AtRisk: len(p.Orphans),
		Refusals: planProblems(p.Refusals), Notes: planProblems(p.Notes), Guarantees: guarantees(p, d),
	}
	for _, n := range p.Nodes {
		plan.Nodes = append(plan.Nodes, kindred.PlannedNode{
			Node: n.Node.Name, Zone: n.Node.Zone, Capacity: n.Node.Capacity, Gone: n.Gone, Leaves: n.Leaves, Before: n.Before, After: n.After,
			CopiesIn: n.In, CopiesOut: n.Out, BytesIn: n.BytesIn, BytesOut: n.BytesOut,
		})
	}
	return plan
}

func planProblems(all []ring.Problem) (list []kindred.PlanProblem) {
	for _, p := range all {
		list = append(list, kindred.PlanProblem{Kind: strings.ReplaceAll(p.Kind.String(), " ", "_"), Node: p.Node, Text: p.Text})
	}
	return list
}

// guarantees are what holds between the commit and the end, by the rules R22 to R27 of
// the protocol.
func guarantees(p *ring.Plan, d *ring.Decision) []string {
	list := []string{"reads and writes go on throughout, by the layout of now until every node that counts has heard of this one"}
	if p.Copies > 0 {
		list = append(list,
			"nobody reads from a new owner before it has everything that was acknowledged before",
			"a write to a partition that moves needs its quorum among the old owners and among the new ones",
			"old copies are kept until every new owner has all that they have on its disk")
	}
	if !d.Settled() {
		list = append(list, "the change before this one is not settled: this one takes over from it without losing what either has acknowledged")
	}
	if gone := d.Gone(); len(gone) > 0 && len(p.Orphans) == 0 {
		list = append(list, fmt.Sprintf("nobody waits for %s any more; a write that a quorum has acknowledged is held by owners who stay", strings.Join(gone, ", ")))
	}
	return list
}
