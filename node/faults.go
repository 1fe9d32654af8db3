package node

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/transport/faults"
)

// beginFaults puts the links that will be made under the faults that the node
// was started with. Without fault injection there is nothing on their path.
func (n *Node) beginFaults() error {
	if !n.cfg.FaultInjection {
		return nil
	}
	n.faults = faults.New()
	n.log.Warn("fault injection is on: whoever reaches the HTTP address may cut and slow this node's links")
	if n.cfg.Faults.IsZero() {
		return nil
	}
	return n.SetFaults(n.cfg.Faults)
}

// Faults is what is made to go wrong with this node's links.
func (n *Node) Faults() faults.Plan {
	if n.faults == nil {
		return faults.Plan{}
	}
	return n.faults.Plan()
}

// SetFaults replaces it. A cut without a gossip address gets the one that the
// node knows of its peer. Errors are *[faults.PlanError], also on a node without
// fault injection.
func (n *Node) SetFaults(p faults.Plan) error {
	if n.faults == nil {
		return &faults.PlanError{Field: "faults", Reason: "the node was started without fault injection: see Config.FaultInjection"}
	}
	p.Cuts = slices.Clone(p.Cuts)
	for i, c := range p.Cuts {
		if c.Gossip == "" {
			p.Cuts[i].Gossip = n.gossipAddrOf(c.Peer)
		}
	}
	was := n.faults.Plan()
	if err := n.faults.Set(p); err != nil {
		return err
	}
	if workers := n.auditors.Load(); workers != nil && p.Clock != was.Clock {
		for _, w := range *workers {
			w.inbox.put(func(_ time.Time, s *recording.Shard) { s.SetWall(p.Clock) })
		}
	}
	switch {
	case !p.IsZero():
		n.log.Warn("injected faults are in force", "faults", p.String())
	case !was.IsZero():
		n.log.Warn("injected faults ended", "were", was.String())
	}
	return nil
}

// gossipAddrOf is empty if the node does not know it.
func (n *Node) gossipAddrOf(peer string) string {
	if n.control == nil {
		return ""
	}
	for _, p := range *n.control.peers.Load() {
		if p.Name == peer {
			return p.GossipAddr
		}
	}
	return ""
}

// faultProblem says that faults are injected, empty if not: nobody is to take
// what they do for the truth about the network (I12).
func (n *Node) faultProblem() string {
	if n.faults == nil {
		return ""
	}
	if p := n.faults.Plan(); !p.IsZero() {
		return n.cfg.Name + " is under injected faults: " + p.String() + "; DELETE /v1/local/faults or `kvcli local heal` ends them"
	}
	return ""
}

func (n *Node) collectFaults(out chan<- prometheus.Metric) {
	if n.faults == nil {
		return
	}
	plan, stats := n.faults.Plan(), n.faults.Stats()
	var noSend, noReceive float64
	for _, c := range plan.Cuts {
		if c.NoSend {
			noSend++
		}
		if c.NoReceive {
			noReceive++
		}
	}
	cuts := desc("injected_cuts", "Peers that the node is made unable to send to, or to receive from.", "direction")
	out <- prometheus.MustNewConstMetric(cuts, gauge, noSend, "send")
	out <- prometheus.MustNewConstMetric(cuts, gauge, noReceive, "receive")
	out <- prometheus.MustNewConstMetric(desc("injected_delay_seconds", "How late the node is made to send."), gauge, plan.Delay.Seconds())
	out <- prometheus.MustNewConstMetric(desc("injected_clock_seconds", "How far the wall clock of the node is made to be ahead."), gauge, plan.Clock.Seconds())
	out <- prometheus.MustNewConstMetric(desc("injected_lost_packets_total", "Packets of gossip that injected faults swallowed."), counter, float64(stats.LostPackets))
	out <- prometheus.MustNewConstMetric(desc("injected_stalled_dials_total", "Attempts to connect to a peer that met an injected cut."), counter, float64(stats.StalledDials))
}
