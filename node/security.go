package node

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kindredkv/kindred/security"
)

// expiryWarning is how long before its end a certificate is worth a warning at
// every start and every change.
const expiryWarning = 14 * 24 * time.Hour

// openSecurity reads certificates, tokens and keys, before anything listens.
func (n *Node) openSecurity() error {
	k, err := security.Open(n.cfg.Security, n.cfg.Name)
	if err != nil {
		return err
	}
	n.keeper = k
	if n.cfg.Insecure && !k.TLS() {
		n.log.Warn("this node is insecure: whoever reaches its addresses may read, write and join")
	}
	n.warnOfExpiry()
	return nil
}

// watchSecurity takes up changed files until the node stops.
func (n *Node) watchSecurity() {
	if n.cfg.Security.None() {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.serving.Go(func() {
		<-n.quit
		cancel()
	})
	n.serving.Go(func() { n.keeper.Watch(ctx, security.LookEvery, n.securityChanged) })
}

// ReloadSecurity reads certificates, tokens and gossip keys again, at once. If one
// of the files cannot be used, nothing changes and the error says why.
func (n *Node) ReloadSecurity() error {
	changed, err := n.keeper.Reload()
	if changed || err != nil {
		n.securityChanged(err)
	}
	return err
}

func (n *Node) securityChanged(err error) {
	if err != nil {
		n.log.Error("changed security files are refused; what was in force before stays", "error", err)
		return
	}
	n.changing.Lock() // a signal and the watch may come at once
	defer n.changing.Unlock()
	if keys := n.keeper.GossipKeys(); keys != nil {
		if err := n.control.gossip.SetKeys(keys); err != nil {
			n.log.Error("the changed gossip keys are refused", "error", err)
			return
		}
	}
	n.log.Info("changed security files are in force", "certificate_until", n.keeper.Expiry(), "gossip_keys", len(n.keeper.GossipKeys()))
	n.warnOfExpiry()
}

func (n *Node) warnOfExpiry() {
	if until := n.keeper.Expiry(); !until.IsZero() && time.Until(until) < expiryWarning {
		n.log.Warn("the certificate of this node expires soon: put a new one in its place, the node takes it up", "until", until)
	}
}

func (n *Node) collectSecurity(out chan<- prometheus.Metric) {
	number := func(name, help string, kind prometheus.ValueType, value float64) {
		out <- prometheus.MustNewConstMetric(desc(name, help), kind, value)
	}
	if until := n.keeper.Expiry(); !until.IsZero() {
		number("certificate_expiry_seconds", "When the certificate of this node expires, in seconds since 1970.", gauge, float64(until.Unix()))
	}
	number("security_changes_total", "Changes of certificates, tokens and keys that were taken up.", counter, float64(n.keeper.Generation()))
	number("security_changes_refused_total", "Changes of certificates, tokens and keys that could not be used.", counter, float64(n.keeper.Failed()))
	number("refused_gossip_total", "Packets and streams of gossip that no key of this node decrypts.", counter, float64(n.control.gossip.Refused()))
	n.collectStrangers(out)
}

// collectStrangers tells of those at the doors between nodes who have not said who
// they are.
func (n *Node) collectStrangers(out chan<- prometheus.Metric) {
	waiting := desc("strangers", "Connections at the doors between nodes of those who have not said who they are.", "door")
	putOut := desc("strangers_put_out_total", "Such connections that were closed: they were too many, said nothing in time, or said too much.", "door")
	for door, count := range map[string]func() (int, uint64){"peer": n.transport.Strangers, "gossip": n.control.gossip.Streams} {
		now, gone := count()
		out <- prometheus.MustNewConstMetric(waiting, gauge, float64(now), door)
		out <- prometheus.MustNewConstMetric(putOut, counter, float64(gone), door)
	}
}
