package replica

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// PageBytesMax bounds a page of keys on the wire, beside its number of keys.
const PageBytesMax = 1 << 20

// Page reads a page of keys of a bucket from a snapshot. Base is the replica's at the
// very moment of the snapshot (R5, [Replica.Base]). An object that cannot be read fails
// the page: a scan that skipped it would claim that the key is absent.
func Page(store storage.Snapshot, id ID, base vclock.DotSet, ask *wire.ScanRead) *wire.ScanReply {
	page := &wire.ScanReply{Head: ask.Head, Op: ask.Op, Base: base}
	limit := min(int(ask.Limit), kindred.ScanPageMax)
	lo, hi := storage.ObjectRange(id.Partition, id.N, ask.Bucket, ask.Prefix)
	if ask.From && ask.After >= ask.Prefix { // a cursor of another prefix may lie before this one
		lo = append(storage.ObjectKey(nil, id.Partition, id.N, ask.Bucket, ask.After), 0)
	}
	size := 0
	var bad error
	err := store.Scan(lo, hi, func(row, value []byte) bool {
		if len(page.Keys) >= limit || size > PageBytesMax {
			page.More = true
			return false
		}
		key, err := scanKey(row, value)
		if err != nil {
			bad = err
			return false
		}
		page.Keys = append(page.Keys, key)
		size += len(row) + 32*len(key.Dots.Versions) + 24*(key.Dots.Context.Actors()+key.Dots.Context.Exceptions())
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		return &wire.ScanReply{Head: ask.Head, Op: ask.Op, Failed: err.Error()}
	}
	return page
}

func scanKey(row, value []byte) (wire.ScanKey, error) {
	_, _, _, key, err := storage.ParseObjectKey(row)
	if err != nil {
		return wire.ScanKey{}, err
	}
	object, _, err := vclock.DecodeSiblings(value, wire.DecodeRecord)
	if err != nil {
		return wire.ScanKey{}, fmt.Errorf("the object of key %q is damaged: %w", key, err)
	}
	dots := vclock.Siblings[wire.Expiry]{Context: object.Context}
	for _, v := range object.Versions {
		dots.Versions = append(dots.Versions, vclock.Version[wire.Expiry]{Dot: v.Dot, Value: v.Value.ExpiresAt})
	}
	return wire.ScanKey{Key: string(key), Dots: dots}, nil
}

// ScanPage merges the pages that the replicas of one partition answer with. A
// key is reported if it is live in the join of a read quorum.
type ScanPage struct {
	homes  []string
	guests []string
	quorum kindred.Quorum
	pages  []*wire.ScanReply
	heard  []string
	failed []kindred.NodeFailure
}

// NewScanPage waits for quorum.R pages.
func NewScanPage(homes []string, quorum kindred.Quorum) *ScanPage {
	return &ScanPage{homes: homes, quorum: quorum}
}

// Invite lets a node answer that is no home and may hold hints for one that cannot
// be reached. A strict quorum takes no guests.
func (s *ScanPage) Invite(guest string) {
	if s.quorum.Sloppy && !s.counts(guest) {
		s.guests = append(s.guests, guest)
	}
}

func (s *ScanPage) counts(node string) bool {
	return slices.Contains(s.homes, node) || slices.Contains(s.guests, node)
}

// Add counts the page of a node, once.
func (s *ScanPage) Add(node string, page *wire.ScanReply) {
	if !s.counts(node) || slices.Contains(s.heard, node) {
		return
	}
	if page.Failed != "" {
		s.Fail(node, page.Failed)
		return
	}
	sorted := slices.IsSortedFunc(page.Keys, func(a, b wire.ScanKey) int { return strings.Compare(a.Key, b.Key) })
	if !sorted || page.More && len(page.Keys) == 0 {
		s.Fail(node, "sent a page out of order")
		return
	}
	s.heard = append(s.heard, node)
	s.pages = append(s.pages, page)
	s.failed = slices.DeleteFunc(s.failed, func(f kindred.NodeFailure) bool { return f.Node == node })
}

// Fail notes why a node gave no page.
func (s *ScanPage) Fail(node, reason string) {
	if s.counts(node) && !slices.Contains(s.heard, node) {
		s.failed = noteFailure(s.failed, node, reason)
	}
}

// Enough reports whether the read quorum is met.
func (s *ScanPage) Enough() bool { return len(s.pages) >= s.quorum.R }

// Hopeless reports whether everybody has answered and the quorum is not met.
func (s *ScanPage) Hopeless() bool {
	return !s.Enough() && len(s.heard)+len(s.failed) >= len(s.homes)+len(s.guests)
}

// Replied lists the nodes whose pages were counted, and those of them that are no
// homes.
func (s *ScanPage) Replied() (nodes, guests []string) {
	if len(s.guests) > 0 {
		guests = without(s.heard, s.homes)
	}
	return s.heard, guests
}

// Timeout is the answer when the quorum was not met.
func (s *ScanPage) Timeout() *kindred.Error {
	g := Get{homes: s.homes, guests: s.guests, quorum: s.quorum, failed: s.failed}
	for _, n := range s.heard {
		g.replies = append(g.replies, reply{node: n})
	}
	return g.Timeout(kindred.OpScan)
}

// Keys merges the pages. The page that ended earliest at its limit is the
// horizon: beyond it some replica has not spoken yet. Last is where to go on,
// and more whether there is anything beyond. What has expired by a wall clock
// that shows now, in milliseconds since 1970, is not there.
func (s *ScanPage) Keys(conflictsOnly bool, now int64) (keys []kindred.KeyEntry, last string, more bool) {
	for _, p := range s.pages {
		if p.More {
			if end := p.Keys[len(p.Keys)-1].Key; !more || end < last {
				last = end
			}
			more = true
		}
	}
	for _, name := range s.names(last, more) {
		entry := s.entry(name, now)
		if n := entry.Siblings; n > 1 || n == 1 && !conflictsOnly {
			keys = append(keys, entry)
		}
	}
	return keys, last, more
}

// names are the keys of all pages in order, up to the horizon.
func (s *ScanPage) names(last string, bounded bool) []string {
	var names []string
	for _, p := range s.pages {
		for _, k := range p.Keys {
			if !bounded || k.Key <= last {
				names = append(names, k.Key)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// entry counts the siblings of a key that have not expired.
func (s *ScanPage) entry(name string, now int64) kindred.KeyEntry {
	e, last, stays := kindred.KeyEntry{Key: name}, wire.Expiry(0), false
	for _, v := range s.live(name).Versions {
		if at := v.Value; !at.Over(now) {
			e.Siblings++
			last, stays = max(last, at), stays || at == 0
		}
	}
	if !stays {
		e.ExpiresAt = last.Time()
	}
	return e
}

// live is the join of the pages for a key. A page without it speaks of it too:
// what its base covers and it does not show is gone there.
func (s *ScanPage) live(name string) vclock.Siblings[wire.Expiry] {
	var merged vclock.Siblings[wire.Expiry]
	for i, p := range s.pages {
		at, found := slices.BinarySearchFunc(p.Keys, name, func(k wire.ScanKey, name string) int {
			return strings.Compare(k.Key, name)
		})
		var stored vclock.Siblings[wire.Expiry]
		if found {
			stored = p.Keys[at].Dots
		}
		filled := stored.FillWith(p.Base)
		if i == 0 {
			merged = filled
		} else {
			merged = vclock.Join(merged, filled)
		}
	}
	return merged
}
