package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
)

// Hints is what the node keeps for homes of keys that could not be reached, by the
// node that it is owed to. A shard that has ended is left out.
func (n *Node) Hints() core.HintStatus {
	var sum core.HintStatus
	at := map[string]int{}
	for _, w := range n.workers {
		answer := make(chan core.HintStatus, 1)
		if !w.inbox.put(func(_ time.Time, s *recording.Shard) { answer <- s.Hints() }) {
			continue
		}
		var one core.HintStatus
		select {
		case one = <-answer:
		case <-w.done:
			continue
		}
		sum.Hints += one.Hints
		sum.Bytes += one.Bytes
		sum.Damaged += one.Damaged
		for _, debt := range one.Debts {
			i, known := at[debt.Target]
			if !known {
				at[debt.Target] = len(sum.Debts)
				sum.Debts = append(sum.Debts, debt)
				continue
			}
			d := &sum.Debts[i]
			d.Hints, d.Bytes = d.Hints+debt.Hints, d.Bytes+debt.Bytes
			if debt.Since.Before(d.Since) {
				d.Since = debt.Since
			}
		}
	}
	return sum
}

// collectHints tells what is owed to whom.
func (n *Node) collectHints(out chan<- prometheus.Metric, now time.Time) {
	put := func(name, help string, value float64, labels ...string) {
		var names []string
		if len(labels) > 0 {
			names = []string{"target"}
		}
		out <- prometheus.MustNewConstMetric(desc(name, help, names...), gauge, value, labels...)
	}
	st := n.Hints()
	put("hints", "Keys whose writes are kept for home replicas that could not be reached.", float64(st.Hints))
	put("hint_bytes", "Bytes of their rows.", float64(st.Bytes))
	put("hints_damaged", "Hints, and blocks of hints, that could not be read at the start; they are not delivered.", float64(st.Damaged))
	for _, d := range st.Debts {
		put("hints_owed", "Hints owed to a node; one that is owed to several counts for each.", float64(d.Hints), d.Target)
		put("hints_owed_bytes", "Bytes of the rows owed to a node.", float64(d.Bytes), d.Target)
		put("hints_owed_oldest_seconds", "Age of the oldest hint owed to a node.", now.Sub(d.Since).Seconds(), d.Target)
	}
}
