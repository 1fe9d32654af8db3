package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred"
)

// replicaStates are the values of the label "state". A replica has several.
func replicaStates() []struct {
	state string
	of    func(kindred.ReplicationSummary) int
} {
	type s = kindred.ReplicationSummary
	return []struct {
		state string
		of    func(s) int
	}{
		{"home", func(s s) int { return s.Replicas }},
		{"trusted", func(s s) int { return s.Trusted }},
		{"catching_up", func(s s) int { return s.CatchingUp }},
		{"rebuilding", func(s s) int { return s.Rebuilding }},
		{"damaged", func(s s) int { return s.Damaged }},
		{"behind", func(s s) int { return s.Behind }},
		{"settled", func(s s) int { return s.Settled }},
		{"audited", func(s s) int { return s.Audited }},
		{"auditing", func(s s) int { return s.Auditing }},
	}
}

func replicationMetrics() []metric[kindred.ReplicationSummary] {
	type s = kindred.ReplicationSummary
	return []metric[s]{
		{desc("replica_lag_dots", "Write events that other homes are known to hold and this node lacks."), gauge, func(s s) float64 { return float64(s.Lag) }},
		{desc("replica_unserved_dots", "Of those, the ones that are in no home's log any more."), gauge, func(s s) float64 { return float64(s.Unserved) }},
		{desc("replica_unsettled_dots", "Write events held here of which not every home is known to know that all homes hold them."), gauge, func(s s) float64 { return float64(s.Unsettled) }},
		{desc("replica_unaudited_dots", "Write events held here that no audit has confirmed."), gauge, func(s s) float64 { return float64(s.Unaudited) }},
		{desc("replica_missing_dots", "Write events of dead incarnations that nobody has delivered and that wait to be closed."), gauge, func(s s) float64 { return float64(s.Missing) }},
		{desc("log_rows", "Rows of all dot logs."), gauge, func(s s) float64 { return float64(s.LogRows) }},
		{desc("audits_incomplete", "Replicas whose last audit could not compare them with every home."), gauge, func(s s) float64 { return float64(s.AuditsIncomplete) }},
	}
}

func repairMetrics() []metric[kindred.Repairs] {
	type r = kindred.Repairs
	return []metric[r]{
		{desc("rebuilds_begun_total", "Rebuilds of replicas from other homes that began."), counter, func(r r) float64 { return float64(r.RebuildsBegun) }},
		{desc("rebuilds_finished_total", "Rebuilds that ended well."), counter, func(r r) float64 { return float64(r.RebuildsFinished) }},
		{desc("rebuild_keys_total", "Keys taken over by rebuilds."), counter, func(r r) float64 { return float64(r.RebuildKeys) }},
		{desc("audits_total", "Audits of replicas that began."), counter, func(r r) float64 { return float64(r.Audits) }},
		{desc("audited_objects_total", "Objects read by audits."), counter, func(r r) float64 { return float64(r.AuditedObjects) }},
		{desc("audit_lost_parts_total", "Parts of replicas in which the disk did not hold what it should."), counter, func(r r) float64 { return float64(r.LostParts) }},
		{desc("audit_restored_total", "Objects put back from other homes."), counter, func(r r) float64 { return float64(r.Restored) }},
		{desc("audit_differing_parts_total", "Parts in which homes differed when they were compared, writes on their way included."), counter, func(r r) float64 { return float64(r.DifferingParts) }},
		{desc("audit_diverged_total", "Keys of which homes that knew the same showed something else. Should stay 0."), counter, func(r r) float64 { return float64(r.Diverged) }},
		{desc("audit_conflicts_total", "Dots that had two values. Must stay 0."), counter, func(r r) float64 { return float64(r.Conflicts) }},
		{desc("keys_repaired_total", "Keys made equal, by audits or because somebody asked."), counter, func(r r) float64 { return float64(r.KeysRepaired) }},
		{desc("closed_incarnations_total", "Dead incarnations whose missing writes were declared lost, by all members."), counter, func(r r) float64 { return float64(r.ClosedIncarnations) }},
		{desc("touches_total", "Writes made for the effect of what dead incarnations had lost."), counter, func(r r) float64 { return float64(r.Touches) }},
	}
}

// collectReplication leaves out what could not be found out: a number that is
// missing is not a good one (I12).
func (n *Node) collectReplication(out chan<- prometheus.Metric) {
	r, exposure := n.replication()
	known := 0.0
	if r.Unknown == "" {
		known = 1
	}
	out <- prometheus.MustNewConstMetric(desc("replicas_known", "1 if every shard has said how its replicas are; else the other metrics of replicas are missing."), gauge, known)
	if r.Unknown != "" {
		return
	}
	sum := r.Summary()
	replicas := desc("replicas", "Replicas that the node is a home of, by what is true of them; one may have several states.", "state")
	for _, s := range replicaStates() {
		out <- prometheus.MustNewConstMetric(replicas, gauge, float64(s.of(sum)), s.state)
	}
	for _, m := range replicationMetrics() {
		m.collect(out, sum)
	}
	for _, m := range repairMetrics() {
		m.collect(out, r.Repairs)
	}
	exposed := desc("exposed_dots", "Write events held here that no other home (holders 1), or just one of several (holders 2), is known to have on its disk; writes on their way for two seconds.", "holders")
	out <- prometheus.MustNewConstMetric(exposed, gauge, float64(exposure.Alone), "1")
	out <- prometheus.MustNewConstMetric(exposed, gauge, float64(exposure.Paired), "2")
	for _, age := range []struct {
		name, help string
		since      time.Time
	}{
		{"replica_behind_seconds", "How long some replica has been behind without pause; 0 if none is.", sum.BehindSince},
		{"exposed_seconds", "How long, at least, the oldest of the exposed write events has been waiting for other homes; 0 if there is none.", exposure.Since},
		{"replica_missing_seconds", "How long the oldest of the missing write events has been missed; 0 if none is.", sum.MissingSince},
	} {
		seconds := 0.0
		if !age.since.IsZero() {
			seconds = r.At.Sub(age.since).Seconds()
		}
		out <- prometheus.MustNewConstMetric(desc(age.name, age.help), gauge, max(seconds, 0))
	}
	if !sum.Heard.IsZero() {
		out <- prometheus.MustNewConstMetric(desc("replica_silence_seconds", "How long the home has been silent that was heard of longest ago; missing if one was never heard of."),
			gauge, max(r.At.Sub(sum.Heard).Seconds(), 0))
	}
}
