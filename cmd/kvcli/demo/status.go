package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/kindredkv/kindred"
)

const (
	// pollEvery is how often nodes are asked how far they are.
	pollEvery = 50 * time.Millisecond
	// settleMax and auditMax are how long that may take.
	settleMax = 60 * time.Second
	auditMax  = 60 * time.Second
)

// await asks until there is no problem, twice in a row: what one node has just
// given away, another one may not have shown yet.
func await(ctx context.Context, limit time.Duration, ask func(context.Context) (problem string, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for clear := 0; ; clear++ {
		problem, err := ask(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("after %s: %s: %w", limit, problem, ctx.Err())
		case err != nil:
			return err
		case problem != "":
			clear = -1
		case clear == 1:
			return nil
		}
		if err := pause(ctx, pollEvery); err != nil {
			return fmt.Errorf("after %s: %s: %w", limit, problem, err)
		}
	}
}

// state is what a node says of its replicas.
type state struct {
	node string
	kindred.ReplicationSummary
	hints   int
	repairs kindred.Repairs
}

// states asks every node.
func (d *demo) states(ctx context.Context) ([]state, error) {
	s, err := d.cluster.Status()
	if err != nil {
		return nil, err
	}
	all := make([]state, len(s.Nodes))
	for i, n := range s.Nodes {
		if all[i], err = d.stateOf(ctx, n.Name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (d *demo) stateOf(ctx context.Context, node string) (state, error) {
	_, self, err := d.client.Describe(ctx, node)
	if err != nil {
		return state{}, err
	}
	return stateIn(node, self.Replication)
}

// stateIn counts. What is not known is an error (I12).
func stateIn(node string, r *kindred.Replication) (state, error) {
	switch {
	case r == nil:
		return state{}, fmt.Errorf("%s does not say how its replicas are", node)
	case r.Unknown != "" || len(r.Replicas) == 0:
		return state{}, fmt.Errorf("%s does not know how its %d replicas are: %s", node, len(r.Replicas), r.Unknown)
	}
	return state{node, r.Summary(), r.Hints.Hints, r.Repairs}, nil
}

// hints is how many hints all nodes keep.
func (d *demo) hints(ctx context.Context) (int, error) {
	all, err := d.states(ctx)
	sum := 0
	for _, s := range all {
		sum += s.hints
	}
	return sum, err
}

// settle waits until every home holds every write on its disk and knows so of the
// others, and then asks each of them for every key.
func (d *demo) settle(ctx context.Context) error {
	if err := await(ctx, settleMax, d.unsettled); err != nil {
		return err
	}
	took := short(time.Since(d.quiet))
	d.timeline.mark("every write is settled, %s after the last one", took)
	all, err := d.states(ctx)
	if err != nil {
		return err
	}
	sum := 0
	for _, s := range all {
		sum += s.Replicas
	}
	d.say("all %s replicas are settled %s after the last write: each holds every write on its disk, and knows so of the others", count(sum), took)
	if err := d.awaitEqual(ctx, d.expected); err != nil {
		return err
	}
	d.timeline.mark("all home replicas of every key are seen to be equal")
	d.say("asked for each of %s keys, all %d home replicas hold the same", count(len(d.expected)), replicas)
	return nil
}

func (d *demo) unsettled(ctx context.Context) (string, error) {
	all, err := d.states(ctx)
	for _, s := range all {
		if s.Settled != s.Replicas || s.hints > 0 {
			return fmt.Sprintf("%s has settled %d of its %d replicas, and keeps %d hints", s.node, s.Settled, s.Replicas, s.hints), err
		}
	}
	return "", err
}

// audit has every node read again what its disk holds, and compare it with what
// the other homes hold.
func (d *demo) audit(ctx context.Context) error {
	before, err := d.states(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	asked := 0
	for _, s := range before {
		n, err := d.client.RepairNode(ctx, s.node, kindred.AllPartitions)
		if err != nil {
			return err
		}
		asked += n
	}
	if err := await(ctx, auditMax, d.unaudited); err != nil {
		return err
	}
	took := short(time.Since(begin))
	after, err := d.states(ctx)
	if err != nil {
		return err
	}
	read, replicas := uint64(0), 0
	for i := range after {
		read += after[i].repairs.AuditedObjects - before[i].repairs.AuditedObjects
		replicas += after[i].Audited
	}
	if replicas != asked || read < uint64(len(d.expected)) {
		return fmt.Errorf("%d replicas were to be audited, and %d were, with %d objects", asked, replicas, read)
	}
	d.timeline.mark("every replica is audited, %s after the order", took)
	d.say("all %s replicas are audited %s after the order: %s objects read from the disks and compared, none lost, none different", count(replicas), took, count(int(read)))
	return nil
}

// unaudited says what is missing. What an audit has found is an error.
func (d *demo) unaudited(ctx context.Context) (string, error) {
	all, err := d.states(ctx)
	if err != nil {
		return "", err
	}
	problem := ""
	for _, s := range all {
		if r := s.repairs; s.Damaged > 0 || r.LostParts+r.Diverged+r.Conflicts > 0 {
			return "", fmt.Errorf("the audit has found on %s: %d damaged replicas, %d parts lost, %d keys diverged, %d conflicts", s.node, s.Damaged, r.LostParts, r.Diverged, r.Conflicts)
		}
		if s.Audited != s.Replicas || s.Auditing+s.AuditsWanted > 0 {
			problem = fmt.Sprintf("%s has audited %d of its %d replicas %s", s.node, s.Audited, s.Replicas, s.AuditProblem)
		}
	}
	return problem, nil
}
