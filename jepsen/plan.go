package jepsen

import (
	"context"
	"fmt"
	"time"

	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/nemesis"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

const (
	// ClientsDefault work at each workload, on KeysDefault keys, with PauseDefault
	// between two operations of one of them.
	ClientsDefault = 4
	KeysDefault    = 16
	PauseDefault   = 10 * time.Millisecond
	// RestMaxDefault is how long a cluster may take to come to rest.
	RestMaxDefault = 60 * time.Second
	// SetElements bounds the elements of one set: a value that is read and written
	// as a whole grows with it.
	SetElements = 200
	// OpsMax bounds what a run keeps in memory.
	OpsMax = 4_000_000
)

// Plan is a run to be made. The zero value of a field that has a default stands for
// it.
type Plan struct {
	// Cluster is what it is made on: running, with nothing in the way (Fit), and not
	// yet written to by a run with the same Suffix.
	Cluster *local.Cluster
	// Wire is the network of its nodes, if they are in namespaces of their own.
	Wire *netns.Network
	// Workloads run side by side, each in a bucket of its own.
	Workloads []workload.Kind
	// Suffix ends the names of those buckets.
	Suffix string
	// Nemeses are what happens meanwhile, as a Storm of them, for Time; none is a run
	// without faults. Longest is as in nemesis.Storm.
	Nemeses []nemesis.Kind
	Time    time.Duration
	Longest time.Duration
	// Script, if set, is what happens before the storm, for as long as it likes. It
	// leaves a whole cluster.
	Script func(ctx context.Context, e Events) error
	Seed   uint64
	// N is the number of copies that the cluster keeps; R and W are the quorums,
	// both a majority by default. Strict: guests do not count.
	N, R, W int
	Strict  bool
	// OverBudget allows for faults that take more than the copies can bear.
	OverBudget bool
	// Clients work at each workload, on Keys keys, with a Pause between two
	// operations of one of them.
	Clients, Keys int
	Pause         time.Duration
	// Doors are opened for the run and shared out among the clients of a workload,
	// in turns; nil means Doorways.
	Doors func(ctx context.Context, nodes []local.Node) ([]Doorway, error)
	// RestMax is how long the cluster may take to come to rest after everything.
	RestMax time.Duration
	// Tell, if set, hears of faults as nemesis.Storm.Note does; Sampled of what the
	// nodes say and what clients were told so far.
	Tell    func(history.Fault)
	Sampled func(report.Sample, report.Tally)
}

// Events is what a script tells of.
type Events struct {
	// Begin notes that something is in force; what it returns is to be called when it
	// has been healed.
	Begin func(kind, what string) (healed func())
	// Agree keeps clients from working until all replicas are known to be equal: what
	// takes a disk has to wait for that.
	Agree func(ctx context.Context) error
}

// complete fills in what was left out.
func (p Plan) complete() Plan {
	fill := func(n *int, by int) {
		if *n == 0 {
			*n = by
		}
	}
	fill(&p.R, p.N/2+1)
	fill(&p.W, p.N/2+1)
	fill(&p.Clients, ClientsDefault)
	fill(&p.Keys, KeysDefault)
	if p.Pause == 0 {
		p.Pause = PauseDefault
	}
	if p.RestMax == 0 {
		p.RestMax = RestMaxDefault
	}
	if p.Doors == nil {
		p.Doors = Doorways
	}
	return p
}

// PlanError is a plan that cannot be carried out, or must not.
type PlanError struct {
	// Field is the field of Plan, or of what it is about.
	Field, Problem string
}

func (e *PlanError) Error() string { return e.Problem }

// Check says what is wrong with a plan for that many nodes. It takes the fields that
// were left out for their defaults.
func (p Plan) Check(nodes int) error {
	p = p.complete()
	bad := func(field, format string, args ...any) error {
		return &PlanError{Field: field, Problem: fmt.Sprintf(format, args...)}
	}
	switch {
	case len(p.Workloads) == 0:
		return bad("Workloads", "no workload was named: use %v", workload.Kinds())
	case p.N < 1 || p.N > nodes:
		return bad("N", "%d copies in a cluster of %d nodes", p.N, nodes)
	case p.R < 1 || p.R > p.N:
		return bad("R", "r of %d with %d copies: use 1 to %d", p.R, p.N, p.N)
	case p.W < 1 || p.W > p.N:
		return bad("W", "w of %d with %d copies: use 1 to %d", p.W, p.N, p.N)
	case p.Clients < 1:
		return bad("Clients", "%d clients: use at least 1", p.Clients)
	case p.Keys < 1:
		return bad("Keys", "%d keys: use at least 1", p.Keys)
	case p.Pause < 0:
		return bad("Pause", "a pause of %v: use at least 0s", p.Pause)
	case (p.Script == nil || len(p.Nemeses) > 0) && p.Time <= 0:
		return bad("Time", "a time of %v: use a time above 0", p.Time)
	}
	for _, k := range p.Nemeses {
		switch {
		case nodes < k.NodesMin:
			return bad("Nemeses", "nemesis %s takes at least %d nodes, and there are %d", k.Name, k.NodesMin, nodes)
		case k.Loses != nemesis.Nothing && p.disks() < 1:
			return bad("Nemeses", "nemesis %s takes %v, and with w=%d of n=%d what was acknowledged may be nowhere else: raise w, or allow for it with over-budget", k.Name, k.Loses, p.W, p.N)
		}
	}
	return nil
}

// disks is how many disks may be lost before all replicas have agreed again. With W−1
// lost, what was acknowledged is still on one; and a rebuilt node that hears from the
// others needs most of them to have kept theirs.
func (p Plan) disks() int {
	if p.OverBudget {
		return p.W
	}
	return min(p.W-1, max(1, p.N-p.W))
}

// loses is the worst that a nemesis of the plan takes.
func (p Plan) loses() (worst nemesis.Loss) {
	for _, k := range p.Nemeses {
		worst = max(worst, k.Loses)
	}
	return worst
}

// nemeses are those of the plan for the report.
func (p Plan) nemeses() (docs []report.Nemesis) {
	for _, k := range p.Nemeses {
		docs = append(docs, report.Nemesis{Name: k.Name, Doc: k.Doc, Holds: k.Holds, Loses: k.Loses.String()})
	}
	return docs
}
