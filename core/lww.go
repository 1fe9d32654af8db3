package core

import (
	"slices"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// lastWins reports whether the bucket keeps only what was written last.
func (s *Shard) lastWins(bucket string) bool {
	options, _ := s.buckets.Options(bucket)
	return options != nil && options.Siblings == kindred.SiblingsLWW
}

func (r *request) lastWins() bool {
	return r.bucket != nil && r.bucket.Siblings == kindred.SiblingsLWW
}

// isBlind reports whether the write may make one sibling more.
func (o *writeOp) isBlind() bool { return len(o.req.Context) == 0 && !o.lastWins() }

// overrule lets a put have seen whatever its coordinator holds, and counts what it
// replaces without its client having seen it.
func (o *writeOp) overrule(s *Shard, held []vclock.Version[wire.Record], seen vclock.DotSet) {
	s.stats.Overwritten += replica.Unseen(held, o.seen, o.requestID())
	o.seen = o.seen.Clone()
	o.seen.Union(seen)
}

// endBeaten ends the versions of an opened object that were not written last. The
// first home of the partition does it, whenever it has the object in its hands, and
// nobody else: two who knew different things might end one another's winners, when
// one request has made two of them (R19). While it is away siblings stay, and
// whoever reads them shows the last one.
func (s *Shard) endBeaten(o *openKey, k *replica.Key) {
	if len(k.Object().Versions) < 2 || !s.lastWins(o.bucket) || s.full != nil {
		return
	}
	id := o.replica.ID()
	homes := s.homesOf(wire.Head(id))
	if slices.Index(homes, s.cfg.Node) != 0 || s.Rebuilding(id) || !s.phase.Settled() {
		return // another home may be the first by another layout
	}
	delta, ended := k.EndBeaten(&s.out.Rows)
	if ended == 0 {
		return
	}
	s.stats.Beaten += ended
	s.tellEnd(id, o.bucket, o.key, delta)
}

// withoutConflicts shows keys as the bucket has them: with one value each.
func withoutConflicts(keys []kindred.KeyEntry, conflictsOnly bool) []kindred.KeyEntry {
	if conflictsOnly {
		return nil
	}
	for i := range keys {
		keys[i].Siblings = min(keys[i].Siblings, 1)
	}
	return keys
}
