package node

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/storage/pebblestore"
	"github.com/kindredkv/kindred/transport"
)

// register adds what the node knows of itself to the registry. Everything is
// read when it is asked for; nothing is counted twice.
func (n *Node) register(r prometheus.Registerer) {
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		n,
	)
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("kindred_"+name, help, labels, nil)
}

// metric is one number of a source S.
type metric[S any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(S) float64
}

func (m metric[S]) collect(out chan<- prometheus.Metric, from S, labels ...string) {
	out <- prometheus.MustNewConstMetric(m.desc, m.kind, m.read(from), labels...)
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// Describe says that the metrics are found out by Collect.
func (n *Node) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(n, out) }

// Collect implements prometheus.Collector.
func (n *Node) Collect(out chan<- prometheus.Metric) {
	stats := n.shardStats()
	for _, m := range shardMetrics() {
		m.collect(out, stats)
	}
	for _, m := range workerMetrics() {
		m.collect(out, n.workers)
	}
	n.collectHints(out, time.Now())
	store := n.store.Metrics()
	for _, m := range storeMetrics() {
		m.collect(out, store)
	}
	for _, link := range n.transport.Stats() {
		for _, m := range linkMetrics() {
			m.collect(out, link, link.Peer, link.Lane.String())
		}
	}
	n.collectFaults(out)
	limit, _ := n.throttle.state()
	out <- prometheus.MustNewConstMetric(desc("transfer_sent_bytes_total", "Bytes sent to nodes that take over partitions, are rebuilt or lack something."), counter, float64(n.throttle.total.Load()))
	out <- prometheus.MustNewConstMetric(desc("transfer_limit_bytes_per_second", "Bytes of these that may be sent in a second now; less than transfer-bytes while clients wait longer than usual."), gauge, limit)
	n.collectSecurity(out)
	n.collectReplication(out)
	local := n.Local()
	ready := 0.0
	if local.Ready {
		ready = 1
	}
	out <- prometheus.MustNewConstMetric(desc("ready", "1 if the node serves its share."), gauge, ready)
	out <- prometheus.MustNewConstMetric(desc("partitions", "Partitions that the node is a home of."), gauge, float64(local.Partitions))
	out <- prometheus.MustNewConstMetric(desc("layout_change_seconds", "For how long a change of the layout has been going on, as this node knows; 0 if none does."), gauge, n.changeAge().Seconds())
	out <- prometheus.MustNewConstMetric(desc("start", "How many times the data folder has been started."), gauge, float64(n.self.Start))
	out <- prometheus.MustNewConstMetric(desc("malformed_messages_total", "Messages of peers that could not be read."), counter, float64(n.malformed.Load()))
}

func shardMetrics() []metric[core.Stats] {
	return []metric[core.Stats]{
		{desc("coordinated_writes_total", "Puts and deletes coordinated."), counter, func(s core.Stats) float64 { return float64(s.Writes) }},
		{desc("coordinated_reads_total", "Gets and inspections coordinated."), counter, func(s core.Stats) float64 { return float64(s.Reads) }},
		{desc("coordinated_scans_total", "Pages of scans coordinated."), counter, func(s core.Stats) float64 { return float64(s.Scans) }},
		{desc("forwards_total", "Writes passed on to a home replica."), counter, func(s core.Stats) float64 { return float64(s.Forwards) }},
		{desc("joins_total", "Deltas merged from peers and from read repair."), counter, func(s core.Stats) float64 { return float64(s.Joins) }},
		{desc("joins_refused_total", "Deltas that no honest peer can have made."), counter, func(s core.Stats) float64 { return float64(s.RefusedJoins) }},
		{desc("read_hedges_total", "Reads that turned to more replicas than they had asked first."), counter, func(s core.Stats) float64 { return float64(s.Hedges) }},
		{desc("read_repairs_total", "Objects sent to replicas that lacked something."), counter, func(s core.Stats) float64 { return float64(s.Repairs) }},
		{desc("resends_total", "Writes sent again to a peer that came back in time."), counter, func(s core.Stats) float64 { return float64(s.Resends) }},
		{desc("retries_total", "Requests that had been served before."), counter, func(s core.Stats) float64 { return float64(s.Retries) }},
		{desc("many_siblings_total", "Writes that left more siblings than is healthy."), counter, func(s core.Stats) float64 { return float64(s.ManySiblings) }},
		{desc("sweeps_total", "Objects looked at in the background to drop what their clock says by itself."), counter, func(s core.Stats) float64 { return float64(s.Sweeps) }},
		{desc("exchange_pulls_total", "Questions to peers for writes that they hold and this node lacks."), counter, func(s core.Stats) float64 { return float64(s.Pulls) }},
		{desc("exchange_pulls_served_total", "Such questions of peers."), counter, func(s core.Stats) float64 { return float64(s.PullsServed) }},
		{desc("exchange_objects_sent_total", "Objects sent to peers that lacked something of them."), counter, func(s core.Stats) float64 { return float64(s.PiecesSent) }},
		{desc("exchange_objects_joined_total", "Objects of peers merged because this node lacked something of them."), counter, func(s core.Stats) float64 { return float64(s.PiecesJoined) }},
		{desc("log_pruned_total", "Dots pruned from the log because every home holds them for certain."), counter, func(s core.Stats) float64 { return float64(s.PrunedDots) }},
		{desc("log_pruned_unshared_total", "Dots pruned at the limit of the log that some home may lack: it has to be rebuilt then."), counter, func(s core.Stats) float64 { return float64(s.PrunedUnshared) }},
		{desc("audit_lost_writes_total", "Write events that a replica had lost and that no member held any more. Should stay 0."), counter, func(s core.Stats) float64 { return float64(s.LostDots) }},
		{desc("lww_overwritten_total", "Values that a put replaced without its client having seen them, where the last writer wins."), counter, func(s core.Stats) float64 { return float64(s.Overwritten) }},
		{desc("lww_discarded_total", "Values discarded because another one was written concurrently and later, where the last writer wins."), counter, func(s core.Stats) float64 { return float64(s.Beaten) }},
		{desc("expiries_total", "Delete events made for values that had expired."), counter, func(s core.Stats) float64 { return float64(s.Expiries) }},
		{desc("layout_refusals_total", "Requests of coordinators that work by another layout, refused and asked again."), counter, func(s core.Stats) float64 { return float64(s.Differ) }},
		{desc("given_up_total", "Replicas of partitions that others own, given up once every owner had all of them."), counter, func(s core.Stats) float64 { return float64(s.Dropped) }},
		{desc("guest_writes_total", "Writes coordinated without being a home of the key."), counter, func(s core.Stats) float64 { return float64(s.GuestWrites) }},
		{desc("guest_reads_total", "Reads answered from hints."), counter, func(s core.Stats) float64 { return float64(s.GuestReads) }},
		{desc("hints_asked_total", "Writes that fallbacks were asked to keep for a home."), counter, func(s core.Stats) float64 { return float64(s.HintsAsked) }},
		{desc("hints_kept_total", "Writes kept here at the request of another node."), counter, func(s core.Stats) float64 { return float64(s.HintsKept) }},
		{desc("hints_refused_total", "Writes not kept, for want of room or of sense."), counter, func(s core.Stats) float64 { return float64(s.HintsRefused) }},
		{desc("hint_offers_total", "Pages of hints offered to a home."), counter, func(s core.Stats) float64 { return float64(s.HintOffers) }},
		{desc("hints_contained_total", "Offered hints that their home held already."), counter, func(s core.Stats) float64 { return float64(s.HintsContained) }},
		{desc("hints_sent_total", "Writes that delivered hints."), counter, func(s core.Stats) float64 { return float64(s.HintsSent) }},
		{desc("hints_paid_total", "Hints dropped because their home holds them durably."), counter, func(s core.Stats) float64 { return float64(s.HintsPaid) }},
		{desc("hints_widened_total", "Hints owed to all homes because the one they were for is damaged."), counter, func(s core.Stats) float64 { return float64(s.HintsWidened) }},
		{desc("hint_pages_failed_total", "Pages of hints that could not be read."), counter, func(s core.Stats) float64 { return float64(s.HintPagesFailed) }},
		{desc("stray_messages_total", "Messages that belong to no operation in progress."), counter, func(s core.Stats) float64 { return float64(s.Stray) }},
	}
}

func workerMetrics() []metric[[]*worker] {
	sum := func(of func(*worker) float64) func([]*worker) float64 {
		return func(workers []*worker) (sum float64) {
			for _, w := range workers {
				sum += of(w)
			}
			return sum
		}
	}
	return []metric[[]*worker]{
		{desc("objects_read_total", "Objects looked for in the store."), counter, sum(func(w *worker) float64 { return float64(w.read.Load()) })},
		{desc("objects_known_absent_total", "Objects that were known not to be stored."), counter, sum(func(w *worker) float64 { return float64(w.absent.Load()) })},
		{desc("objects_cached_total", "Objects that were in memory when they were looked for."), counter, sum(func(w *worker) float64 { return float64(w.cached.Load()) })},
		{desc("object_cache_bytes", "Memory of the objects that were written or read lately."), gauge, sum(func(w *worker) float64 { return float64(w.cacheBytes.Load()) })},
		{desc("object_filter_bytes", "Memory of what tells which objects are not stored."), gauge, sum(func(w *worker) float64 { return float64(w.filterBytes.Load()) })},
	}
}

func storeMetrics() []metric[pebblestore.Metrics] {
	return []metric[pebblestore.Metrics]{
		{desc("store_bytes", "Bytes of tables and logs on the disk."), gauge, func(m pebblestore.Metrics) float64 { return float64(m.DiskBytes) }},
		{desc("store_table_bytes", "Bytes of live tables."), gauge, func(m pebblestore.Metrics) float64 { return float64(m.TableBytes) }},
		{desc("store_free_bytes", "Free space when last looked at; 0 if unknown."), gauge, func(m pebblestore.Metrics) float64 { return float64(m.FreeBytes) }},
		{desc("store_log_written_bytes_total", "Bytes written to the log."), counter, func(m pebblestore.Metrics) float64 { return float64(m.LogWrittenBytes) }},
		{desc("store_log_syncs_total", "Syncs of the log."), counter, func(m pebblestore.Metrics) float64 { return float64(m.LogSyncs) }},
		{desc("store_cache_hits_total", "Blocks found in the cache."), counter, func(m pebblestore.Metrics) float64 { return float64(m.CacheHits) }},
		{desc("store_cache_misses_total", "Blocks read from the disk."), counter, func(m pebblestore.Metrics) float64 { return float64(m.CacheMisses) }},
		{desc("store_tables", "Tables on the disk."), gauge, func(m pebblestore.Metrics) float64 { return float64(m.Tables) }},
		{desc("store_compactions_total", "Compactions."), counter, func(m pebblestore.Metrics) float64 { return float64(m.Compactions) }},
		{desc("store_rested_seconds_total", "Time that flushes and compactions let requests go first."), counter, func(m pebblestore.Metrics) float64 { return m.Rested.Seconds() }},
		{desc("store_corruptions_total", "Times that damage was met."), counter, func(m pebblestore.Metrics) float64 { return float64(m.Corruptions) }},
	}
}

func linkMetrics() []metric[transport.LinkStats] {
	link := func(name, help string) *prometheus.Desc { return desc("link_"+name, help, "peer", "lane") }
	return []metric[transport.LinkStats]{
		{link("up", "1 if messages can be sent to the peer."), gauge, func(s transport.LinkStats) float64 {
			if s.Linked {
				return 1
			}
			return 0
		}},
		{link("sent_bytes_total", "Bytes of frames sent."), counter, func(s transport.LinkStats) float64 { return float64(s.Bytes) }},
		{link("sent_messages_total", "Messages sent."), counter, func(s transport.LinkStats) float64 { return float64(s.Messages) }},
		{link("sent_frames_total", "Frames sent."), counter, func(s transport.LinkStats) float64 { return float64(s.Frames) }},
		{link("refused_total", "Messages that found the queue full."), counter, func(s transport.LinkStats) float64 { return float64(s.Refused) }},
		{link("dropped_total", "Messages lost with a link."), counter, func(s transport.LinkStats) float64 { return float64(s.Dropped) }},
		{link("queued_bytes", "Bytes that wait now."), gauge, func(s transport.LinkStats) float64 { return float64(s.QueuedBytes) }},
		{link("connects_total", "Links made."), counter, func(s transport.LinkStats) float64 { return float64(s.Connects) }},
		{link("round_trip_seconds", "Time of the last heartbeat."), gauge, func(s transport.LinkStats) float64 { return s.RoundTrip.Seconds() }},
		{link("received_bytes_total", "Bytes of frames received."), counter, func(s transport.LinkStats) float64 { return float64(s.BytesIn) }},
		{link("callers_refused_total", "Links that were dialled by the peer and refused; without a name, by those who proved none."), counter, func(s transport.LinkStats) float64 { return float64(s.RefusedIn) }},
		{link("impostors_total", "Times that another than the peer answered at its address."), counter, func(s transport.LinkStats) float64 { return float64(s.Impostors) }},
		{link("corrupt_total", "Frames received damaged; each closed its link."), counter, func(s transport.LinkStats) float64 { return float64(s.CorruptIn) }},
	}
}

// shardStats adds up the counters of all shards; a shard that has ended is left
// out.
func (n *Node) shardStats() core.Stats {
	var sum core.Stats
	for _, w := range n.workers {
		answer := make(chan core.Stats, 1)
		if !w.inbox.put(func(_ time.Time, s *recording.Shard) { answer <- s.Stats() }) {
			continue
		}
		select {
		case stats := <-answer:
			sum = sum.Plus(stats)
		case <-w.done:
		}
	}
	return sum
}
