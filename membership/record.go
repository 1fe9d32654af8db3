package membership

import (
	"bytes"

	"github.com/kindredkv/kindred/ring"
)

// record is what a node in a cluster holds of layouts, and saves: its course, what is
// staged, and what was.
type record struct {
	course  *ring.Course
	staging ring.Staging
	history history

	// told is what others are told of it, hash its name. Both are of the last call of seal.
	told []byte
	hash uint64
}

func (r *record) tell() told {
	return told{files: r.course.Files(), staging: r.staging, history: r.history}
}

// seal finds out what others are told from now on.
func (r *record) seal() {
	r.told = r.tell().encode()
	r.hash = hashOf(r.told)
}

// encode writes what is saved: version 1 byte, and in their own forms the course and the
// staging, each after its length uvarint, and the history.
func (r *record) encode() []byte {
	return r.tell().append([]byte{savedVersion}, r.course.AppendTo(nil))
}

// decodeRecord restores what a node has saved.
func decodeRecord(self string, b []byte) (*record, error) {
	r := newReader("layout document", b, savedVersion)
	course := r.take(r.uvarint())
	t, err := r.told()
	if err != nil {
		return nil, err
	}
	rec := &record{staging: t.staging, history: t.history}
	if rec.course, err = ring.DecodeCourse(self, course); err != nil {
		return nil, &FormatError{What: "layout document", Reason: err.Error()}
	}
	rec.seal()
	return rec, nil
}

// hear takes what another node tells, and reports whether that was news.
func (r *record) hear(t told) (news bool) {
	news = r.course.Hear(t.files)
	staging := r.trim(ring.MergeStaging(r.staging, t.staging))
	if len(staging.All()) <= ring.StagedMax && !staging.Equal(r.staging) {
		r.staging, news = staging, true
	}
	return r.remember(mergeHistory(r.history, t.history)) || news
}

// trim forgets what is staged for nothing any more. All nodes do that at the same point,
// when the decision that took it is settled, so that they tell one another the same again.
func (r *record) trim(s ring.Staging) ring.Staging {
	if !r.course.Settled() {
		return s
	}
	return s.Trim(r.course.Tip())
}

// remember takes another history, and reports whether it says anything else.
func (r *record) remember(h history) bool {
	if bytes.Equal(h.appendTo(nil), r.history.appendTo(nil)) {
		return false
	}
	r.history = h
	return true
}

// standing is all that a node does by itself, and announces, of layouts.
type standing struct {
	tip, vote   ring.Version
	onTip, vows ring.Mark
	removed     bool
}

func (r *record) standing(self string) standing {
	s := standing{tip: r.course.Tip().Version(), removed: r.course.Removed() != nil}
	tip, _ := r.course.File(s.tip)
	s.onTip = tip.Mark(self)
	if d := r.course.Holds(); d != nil {
		s.vote = d.Version()
		vote, _ := r.course.File(s.vote)
		s.vows = vote.Mark(self)
	}
	return s
}

// note writes into the history what has become of the layout in use at this node, and
// reports whether it was not there.
func (r *record) note(self string, now int64) bool {
	v := r.course.Tip().Version()
	at, known := r.history.find(v)
	if !known {
		return false
	}
	tip, _ := r.course.File(v)
	p, mark := r.history[at], tip.Mark(self)
	o := p.nodes[self]
	if mark.Complete && o.complete == 0 {
		o.complete = now
	}
	if mark.Step == ring.Alone && o.alone == 0 {
		o.alone = now
	}
	p.settled, p.nodes = p.settled || r.course.Settled(), nil
	if o != (outcome{}) {
		p.nodes = map[string]outcome{self: o}
	}
	return r.remember(r.history.with(p))
}
