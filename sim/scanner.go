package sim

import (
	"slices"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/vclock"
)

// scanner reads all keys again and again, a page at a time, each at another
// node.
type scanner struct {
	run   *run
	began time.Duration
	ask   kindred.Request
	nodes uint64
	found map[string]int
	// walls are what the clock showed at the node that named a key.
	walls  map[string]int64
	failed int
	// homes is how many home replicas each page came from, at least.
	homes int
	// then is called when a scan has ended, with what it found or nil.
	then func(found map[string]int)
}

// scanTriesMax is how often a page is asked for again before a scan is given up.
const scanTriesMax = 5

func (r *run) startScanner() {
	var next func()
	later := func() { r.agenda.after(r.draw(0x5CA9).about(500*time.Millisecond), next) }
	next = func() {
		switch {
		case r.stopped:
		case r.occurs(IncidentScan):
			r.scan(2, func(map[string]int) { later() })
		default:
			later()
		}
	}
	later()
}

// scan reads all keys, each page from that many replicas.
func (r *run) scan(replicas kindred.Count, then func(found map[string]int)) {
	s := &scanner{run: r, began: r.agenda.now, found: map[string]int{}, walls: map[string]int64{}, then: then, homes: r.cfg.Replicas}
	s.ask = kindred.Request{Op: kindred.OpScan, Bucket: bucket, R: replicas, Timeout: r.cfg.Timeout}
	if !r.calm && r.draw(0x57C7).happens(0.5) {
		s.ask.Sloppy = kindred.Sloppy
	}
	s.ask.Scan.Limit = 1 + r.draw(0x11417).below(4)
	s.page()
}

func (s *scanner) page() {
	r := s.run
	s.nodes++
	n := r.asked(r.draw(0x9A6E, s.nodes).below(len(r.nodes)))
	ask, answered := s.ask, false
	r.open++
	once := func(resp *kindred.Response) {
		if !answered {
			answered = true
			r.open--
			s.answer(resp, n.wall())
		}
	}
	r.agenda.after(r.delay(r.draw(0x5CAB, s.nodes)), func() {
		if n.up {
			r.tokens++
			token := r.tokens
			n.act(func() { n.request(token, &ask, once) })
		}
	})
	r.agenda.after(ask.Timeout+time.Second, func() {
		once(&kindred.Response{Err: &kindred.Error{Code: kindred.CodeTimeout, Message: "no answer"}})
	})
}

func (s *scanner) answer(resp *kindred.Response, wall int64) {
	r := s.run
	if resp.Err != nil {
		if s.failed++; s.failed > scanTriesMax {
			s.then(nil)
			return
		}
		r.agenda.after(50*time.Millisecond, s.page)
		return
	}
	s.homes = min(s.homes, len(resp.Replied)-len(resp.Guests))
	for _, k := range resp.Keys {
		if _, twice := s.found[k.Key]; twice {
			r.oracle.find("scan", "a scan shows %s twice", k.Key)
		}
		s.found[k.Key], s.walls[k.Key] = k.Siblings, wall
	}
	r.trace.say("", "scan", "%v cursor %x", resp.Keys, resp.Cursor)
	if len(resp.Cursor) == 0 {
		r.hits.add(ScanComplete)
		r.oracle.judgeScan(s)
		s.then(s.found)
		return
	}
	if len(resp.Cursor) > 6 {
		r.hits.add(ScanPageCut)
	}
	s.ask.Scan.Cursor = resp.Cursor
	s.page()
}

// judgeScan demands that a complete scan shows every key that existed all the
// while, none that did not, and as many siblings as there can be.
func (o *oracle) judgeScan(s *scanner) {
	for _, key := range sortedKeys(s.found) {
		if most := o.siblingsMost(key, s); s.found[key] > most {
			o.find("scan", "a scan shows %d siblings of %s, there were %d at most from %v on", s.found[key], key, most, s.began)
		}
	}
	for _, key := range o.run.allKeys() {
		if _, found := s.found[key]; !found && o.existed(key, s) {
			o.find("scan", "a complete scan does not show %s, which existed from %v on", key, s.began)
		}
	}
}

// siblingsMost is how many versions of a key a scan can show: every put that has
// not been seen by a write which the scan must know of.
func (o *oracle) siblingsMost(key string, s *scanner) int {
	var gone vclock.DotSet
	for _, w := range o.history(key).writes {
		if o.mustSee(w, s) {
			gone.Union(w.past)
		}
	}
	most := 0
	for _, w := range o.history(key).writes {
		if w.put && !gone.Contains(w.dot) && !w.over(s.walls[key]) {
			most++
		}
	}
	return most
}

// mustSee reports whether every quorum of the scan has a replica that holds w.
func (o *oracle) mustSee(w *write, s *scanner) bool {
	if !w.isAcked || w.ackedAt >= s.began {
		return false
	}
	if !o.run.resting(s.began) && o.run.agenda.now-s.began > eraKept {
		return false // by whose owners it began is forgotten
	}
	must := true
	o.run.inUse(o.history(w.key).id.Partition, s.began, func(by *owners) bool {
		must = o.holders(w, by.readers, s.began).len()+s.homes > by.readers.len()
		return must
	})
	return must
}

// existed reports whether a scan had to see the key: it has an acknowledged put
// that enough replicas hold, and neither that nor what followed it was deleted.
func (o *oracle) existed(key string, s *scanner) bool {
	h := o.history(key)
	if h.sifted < len(h.writes) { // what has been deleted stays so
		h.sifted = len(h.writes)
		h.standing = slices.DeleteFunc(h.standing, func(w *write) bool {
			return w.op.request.TTL != 0 || w.twins() || o.deleted(w)
		})
	}
	return slices.ContainsFunc(h.standing, func(w *write) bool { return o.mustSee(w, s) })
}

// deleted reports whether a delete has seen w, or anything that followed it; what
// followed it may also have expired.
func (o *oracle) deleted(w *write) bool {
	after := []*write{w}
	for _, later := range o.history(w.key).writes[w.seenFrom:] { // in the order they were minted
		if !slices.ContainsFunc(after, func(before *write) bool { return later.past.Contains(before.dot) }) {
			continue
		}
		if !later.put || later.twins() || later.op.request.TTL != 0 {
			return true
		}
		if later != w {
			after = append(after, later)
		}
	}
	return false
}
