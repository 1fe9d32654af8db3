package gossip

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// The first byte of a meta on the wire is this package's own.
const (
	flagStays  byte = 0
	flagLeaves byte = 1
)

// recorder takes memberlist's notifications, which come under its locks, and
// keeps the latest state of each member for the goroutine that reports it. It
// is memberlist's EventDelegate, ConflictDelegate and Delegate.
type recorder struct {
	self string
	wake chan struct{}

	mu      sync.Mutex
	members map[string]*record
	// dirty are the names whose record has news, in order of arrival.
	dirty []string
	meta  []byte
	leave bool
	// contestedAt is when someone last knew this node by another address.
	contestedAt time.Time
}

// record is the latest about one member, and what was last reported.
type record struct {
	member          Member
	alive, left     bool
	changed, queued bool
	reported        bool // as alive
	// conflict is another address that claims the name, conflicted the last
	// one reported, at conflictedAt.
	conflict, conflicted string
	conflictedAt         time.Time
}

// conflictEvery is how often a conflict that lasts is reported again.
const conflictEvery = 30 * time.Second

func newRecorder(self string, meta []byte) *recorder {
	return &recorder{self: self, meta: meta, wake: make(chan struct{}, 1), members: map[string]*record{}}
}

// update changes a member's record and queues it.
func (r *recorder) update(name string, change func(*record)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.members[name]
	if rec == nil {
		rec = &record{member: Member{Name: name}}
		r.members[name] = rec
	}
	change(rec)
	if !rec.queued {
		rec.queued = true
		r.dirty = append(r.dirty, name)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// NotifyJoin implements memberlist.EventDelegate.
func (r *recorder) NotifyJoin(n *memberlist.Node) { r.seen(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (r *recorder) NotifyUpdate(n *memberlist.Node) { r.seen(n) }

func (r *recorder) seen(n *memberlist.Node) {
	if n.Name == r.self {
		return
	}
	member, _ := memberOf(n)
	r.update(n.Name, func(rec *record) {
		rec.member, rec.alive, rec.changed = member, true, true
	})
}

// NotifyLeave implements memberlist.EventDelegate.
func (r *recorder) NotifyLeave(n *memberlist.Node) {
	if n.Name == r.self {
		return
	}
	member, leaves := memberOf(n)
	r.update(n.Name, func(rec *record) {
		rec.member, rec.alive, rec.left = member, false, leaves
	})
}

// NotifyConflict implements memberlist.ConflictDelegate.
func (r *recorder) NotifyConflict(existing, other *memberlist.Node) {
	addr, otherAddr := existing.Address(), other.Address()
	if existing.Name == r.self {
		r.contest()
	}
	r.update(existing.Name, func(rec *record) {
		rec.member.Addr, rec.conflict = addr, otherAddr
	})
}

func (r *recorder) contest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.contestedAt = time.Now()
}

// contestedFor covers the time for which the others can still suspect the old
// address: they refuse the new one, but no longer say so.
const contestedFor = time.Minute

// contested reports whether this node may still be known by another address.
func (r *recorder) contested() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.contestedAt.IsZero() && time.Since(r.contestedAt) < contestedFor
}

func memberOf(n *memberlist.Node) (m Member, leaves bool) {
	m = Member{Name: n.Name, Addr: n.Address()}
	if len(n.Meta) > 0 {
		leaves = n.Meta[0] == flagLeaves
		m.Meta = slices.Clone(n.Meta[1:])
	}
	return m, leaves
}

// events returns the news since the last call.
func (r *recorder) events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var news []Event
	for _, name := range r.dirty {
		rec := r.members[name]
		rec.queued = false
		news = append(news, rec.news()...)
		if !rec.alive && name != r.self {
			delete(r.members, name)
		}
	}
	r.dirty = nil
	return news
}

// news says what is to be reported and takes note that it was.
func (rec *record) news() []Event {
	var news []Event
	say := func(k Kind, other string) {
		news = append(news, Event{Kind: k, Name: rec.member.Name, Addr: rec.member.Addr, Meta: rec.member.Meta, Other: other})
	}
	if c := rec.conflict; c != "" && (c != rec.conflicted || time.Since(rec.conflictedAt) > conflictEvery) {
		rec.conflicted, rec.conflictedAt = c, time.Now()
		say(Conflict, c)
	}
	rec.conflict = ""
	switch {
	case rec.alive && !rec.reported:
		say(Joined, "")
	case rec.alive && rec.changed:
		say(Updated, "")
	case !rec.alive && rec.reported && rec.left:
		say(Left, "")
	case !rec.alive && rec.reported:
		say(Died, "")
	}
	rec.reported, rec.changed = rec.alive, false
	return news
}

// live returns the live members in the order of their names.
func (r *recorder) live() []Member {
	r.mu.Lock()
	defer r.mu.Unlock()
	var live []Member
	for _, name := range slices.Sorted(maps.Keys(r.members)) {
		if rec := r.members[name]; rec.alive {
			live = append(live, rec.member)
		}
	}
	return live
}

func (r *recorder) setMeta(meta []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meta = slices.Clone(meta)
}

func (r *recorder) setLeaving() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leave = true
}

// NodeMeta implements memberlist.Delegate.
func (r *recorder) NodeMeta(int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	flag := flagStays
	if r.leave {
		flag = flagLeaves
	}
	return append([]byte{flag}, r.meta...)
}

// The rest of memberlist.Delegate is not used: no user messages, no state.
func (r *recorder) NotifyMsg([]byte)                {}
func (r *recorder) GetBroadcasts(int, int) [][]byte { return nil }
func (r *recorder) LocalState(bool) []byte          { return nil }
func (r *recorder) MergeRemoteState([]byte, bool)   {}
