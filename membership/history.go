package membership

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
)

const (
	// HistoryMax is the number of committed layouts that are remembered, the newest.
	HistoryMax = 64
	// OutcomesMax is the number of those of which it is remembered what became of them at
	// every node.
	OutcomesMax = 16
)

// past is one layout that was committed. Pasts of one version merge: of two nodes that
// committed the same the first counts, and what became of it only grows.
type past struct {
	version ring.Version
	from    ring.Version
	at      int64 // milliseconds since 1970 by the committing node's clock
	by      string
	changes []kindred.NodeChange // at most ring.NodesMax
	settled bool
	loss    bool
	// Copies, bytes and duration were predicted.
	copies   uint64
	bytes    uint64
	duration time.Duration
	nodes    map[string]outcome
}

// outcome is what became of it at one node; moments are in milliseconds since 1970.
type outcome struct {
	// Bytes were sent to the node, the last of them so many milliseconds after the first.
	bytes, took     uint64
	complete, alone int64
}

func (o outcome) join(p outcome) outcome {
	return outcome{bytes: max(o.bytes, p.bytes), took: max(o.took, p.took), complete: max(o.complete, p.complete), alone: max(o.alone, p.alone)}
}

// history is bounded, and in the order of versions.
type history []past

func (h history) find(v ring.Version) (int, bool) {
	return slices.BinarySearchFunc(h, v, func(p past, v ring.Version) int { return p.version.Compare(v) })
}

// with joins what is known of one layout. The receiver stays as it is.
func (h history) with(p past) history {
	at, known := h.find(p.version)
	h = slices.Clone(h)
	if !known {
		h = slices.Insert(h, at, p)
		return h.trim()
	}
	h[at] = h[at].join(p)
	return h.trim()
}

func (p past) join(q past) past {
	if cmp.Or(cmp.Compare(q.at, p.at), strings.Compare(q.by, p.by)) < 0 {
		p, q = q, p
	}
	p.settled = p.settled || q.settled
	p.nodes = maps.Clone(p.nodes)
	for name, o := range q.nodes {
		if p.nodes == nil {
			p.nodes = map[string]outcome{}
		}
		p.nodes[name] = p.nodes[name].join(o)
	}
	return p
}

// trim keeps what is newest. That is the same whoever has heard what in which order.
func (h history) trim() history {
	h = h[max(0, len(h)-HistoryMax):]
	for i := range max(0, len(h)-OutcomesMax) {
		h[i].nodes = nil
	}
	return h
}

func mergeHistory(a, b history) history {
	for _, p := range b {
		a = a.with(p)
	}
	return a
}

const (
	// measuredBytes and measuredTook are what a node has to be sent, and for how long,
	// before its rate says anything.
	measuredBytes = 1 << 20
	measuredTook  = 200 // milliseconds
	// besidesMax is what waiting for somebody takes a change longer than.
	besidesMax = time.Minute
	// measuredBack is how many changes are looked at, the latest first.
	measuredBack = 4
)

// rates are what the last changes have come to: the rate of the node that was sent most
// by the last change that sent enough, and what the quickest of them took besides. What
// none of them says is as in usual.
func (h history) rates(usual ring.Rates) ring.Rates {
	rates, besides, known := usual, time.Duration(-1), false
	settled := slices.DeleteFunc(slices.Clone(h), func(p past) bool { return !p.settled || len(p.nodes) == 0 })
	for _, p := range slices.Backward(settled[max(0, len(settled)-measuredBack):]) {
		var most outcome
		var last int64
		for _, o := range p.nodes {
			last = max(last, o.alone)
			if o.bytes > most.bytes {
				most = o
			}
		}
		if most.bytes >= measuredBytes && most.took >= measuredTook && !known {
			known = true
			rates.In = most.bytes * 1000 / most.took
			rates.Out = rates.In
		}
		if rest := time.Duration(last-p.at-int64(most.took)) * time.Millisecond; last > 0 && rest >= 0 && rest <= besidesMax && (besides < 0 || rest < besides) {
			besides = rest
		}
	}
	if besides >= 0 {
		rates.Besides = besides
	}
	return rates
}

// appendTo writes a history: a uvarint count, and per layout its version and that from
// which it was made (counter uvarint, hash 8 bytes), flags 1 byte (1: settled, 2: loss
// accepted), at uvarint, by; a uvarint count of changes: name, intent, zone, capacity
// uvarint; copies, bytes and milliseconds uvarint; and a uvarint count of nodes: name,
// bytes, how long they took, complete and alone uvarint.
func (h history) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(h)))
	for _, p := range h {
		b = p.appendTo(b)
	}
	return b
}

func (p past) appendTo(b []byte) []byte {
	for _, v := range [...]ring.Version{p.version, p.from} {
		b = binary.BigEndian.AppendUint64(binary.AppendUvarint(b, v.Counter), v.Hash)
	}
	var f byte
	for i, set := range [...]bool{p.settled, p.loss} {
		if set {
			f |= 1 << i
		}
	}
	b = binary.AppendUvarint(append(b, f), uint64(p.at))
	b = binary.AppendUvarint(appendString(b, p.by), uint64(len(p.changes)))
	for _, c := range p.changes {
		b = appendString(appendString(appendString(b, c.Node), string(c.Intent)), c.Zone)
		b = binary.AppendUvarint(b, uint64(c.Capacity))
	}
	for _, v := range [...]uint64{p.copies, p.bytes, uint64(p.duration.Milliseconds()), uint64(len(p.nodes))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, name := range slices.Sorted(maps.Keys(p.nodes)) {
		o := p.nodes[name]
		b = appendString(b, name)
		for _, v := range [...]uint64{o.bytes, o.took, uint64(o.complete), uint64(o.alone)} {
			b = binary.AppendUvarint(b, v)
		}
	}
	return b
}

func (r *reader) history() (h history) {
	count := r.uvarint()
	if count > HistoryMax {
		r.fail("%d layouts of before, the limit is %d", count, HistoryMax)
	}
	for range count {
		p := r.past()
		if r.err == nil && len(h) > 0 && h[len(h)-1].version.Compare(p.version) >= 0 {
			r.fail("layouts of before are not in order")
		}
		if r.err != nil {
			return nil
		}
		h = append(h, p)
	}
	return h.trim()
}

func (r *reader) past() (p past) {
	p.version, p.from = r.version(), r.version()
	f := r.byte()
	if f > 3 {
		r.fail("unknown flags %08b", f)
	}
	p.settled, p.loss = f&1 != 0, f&2 != 0
	p.at, p.by, p.changes = r.millis(), r.text(ring.NameBytesMax), r.nodeChanges()
	p.copies, p.bytes = r.uvarint(), r.uvarint()
	p.duration = time.Duration(r.millis()) * time.Millisecond
	last := ""
	for range r.uvarint() {
		name := r.text(ring.NameBytesMax)
		o := outcome{bytes: r.uvarint(), took: uint64(r.millis()), complete: r.millis(), alone: r.millis()}
		if r.err == nil && name <= last {
			r.fail("nodes are not in order")
		}
		if r.err != nil {
			return past{}
		}
		if p.nodes == nil {
			p.nodes = map[string]outcome{}
		}
		p.nodes[name], last = o, name
	}
	return p
}

func (r *reader) version() ring.Version { return ring.Version{Counter: r.uvarint(), Hash: r.uint64()} }

func (r *reader) nodeChanges() (all []kindred.NodeChange) {
	count := r.uvarint()
	if count > ring.NodesMax {
		r.fail("%d changes, the limit is %d", count, ring.NodesMax)
	}
	for range count {
		c := kindred.NodeChange{Node: r.text(ring.NameBytesMax), Intent: kindred.Intent(r.text(ring.NameBytesMax)), Zone: r.text(ring.NameBytesMax), Capacity: r.uint32()}
		if r.err != nil {
			return nil
		}
		all = append(all, c)
	}
	return all
}

// millisMax is some 290 years after 1970, and the longest duration.
const millisMax = (1<<63 - 1) / 1_000_000

func (r *reader) millis() int64 {
	v := r.uvarint()
	if v > millisMax {
		r.fail("the time %d does not fit", v)
		return 0
	}
	return int64(v)
}

func (r *reader) text(limit int) string {
	s := r.string()
	if len(s) > limit {
		r.fail("a text of %d bytes, the limit is %d", len(s), limit)
	}
	return s
}
