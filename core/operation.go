package core

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/wire"
)

// operation is one client request in progress.
type operation interface {
	// expire is called when the operation's deadline has passed.
	expire(s *Shard, now time.Time)
	common() *request
}

// nudger is an operation that can turn to others when somebody stays silent.
type nudger interface {
	// nudge is called at the time that nudged says; again is the next one, if any.
	nudge(s *Shard, now time.Time) (again time.Time)
}

// request is what every operation has.
type request struct {
	seq uint64
	ask asker
	req *kindred.Request
	// bucket has the options of its bucket; nil are the defaults.
	bucket   *kindred.BucketOptions
	head     wire.Head
	deadline time.Time
	// nudged, if set, is when the operation looks for others than those it waits
	// for.
	nudged time.Time
	// guest: this node coordinates, and is no home.
	guest bool
	// held is the bytes of values that the operation keeps in memory.
	held int
	// differing are the nodes that have refused it because of the layout (R24), and
	// again, if set, is when they are asked again.
	differing []kindred.NodeFailure
	again     time.Time
}

func (r *request) common() *request { return r }

// asker is where an answer goes: to a client of this node, or to the peer that
// forwarded the request.
type asker struct {
	token uint64
	peer  string
	op    wire.OpID
	head  wire.Head
	// guest: the peer wants this node to coordinate although it is no home.
	guest bool
}

// register gives the operation its number and its deadline.
func (s *Shard) register(o operation) {
	c := o.common()
	s.seq++
	c.seq = s.seq
	s.operations[c.seq] = o
	s.hold(c, load(c.req))
	if at := c.nudged; !at.IsZero() && at.Before(c.deadline) {
		s.deadlines.add(at, c.seq)
	} else {
		s.deadlines.add(c.deadline, c.seq)
	}
	s.deadlines.forget(len(s.operations), func(seq uint64) bool { return s.operations[seq] != nil })
}

// load is what a request brings that can be large.
func load(req *kindred.Request) int { return len(req.Value) + len(req.Context) }

// hold accounts for values that an operation keeps.
func (s *Shard) hold(c *request, bytes int) {
	c.held += bytes
	s.bytes += bytes
}

// finish ends an operation; answering it is apart.
func (s *Shard) finish(o operation) {
	c := o.common()
	if _, ok := s.operations[c.seq]; ok {
		delete(s.operations, c.seq)
		s.bytes -= c.held
	}
}

func (s *Shard) opID(seq uint64) wire.OpID {
	return wire.OpID{Process: s.cfg.Start.Nonce, Seq: seq}
}
