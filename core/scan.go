package core

import (
	"encoding/binary"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/wire"
)

// Cursor is a position of a scan: a partition, and the last key seen in it.
type Cursor struct {
	Partition uint32
	// From says that the partition was begun; After is the last key seen.
	From  bool
	After string
}

const cursorForm = 1

// ParseCursor reads an opaque cursor; an empty one is the beginning.
func ParseCursor(b []byte) (Cursor, *kindred.Error) {
	if len(b) == 0 {
		return Cursor{}, nil
	}
	if len(b) < 6 || len(b) > 6+kindred.KeyBytesMax || b[0] != cursorForm || b[5] > 1 || b[5] == 0 && len(b) > 6 {
		return Cursor{}, kindred.Invalid("cursor", "the cursor is malformed: pass it exactly as the last page returned it")
	}
	return Cursor{Partition: binary.BigEndian.Uint32(b[1:]), From: b[5] == 1, After: string(b[6:])}, nil
}

// Bytes is the opaque form.
func (c Cursor) Bytes() []byte {
	b := binary.BigEndian.AppendUint32([]byte{cursorForm}, c.Partition)
	if c.From {
		return append(append(b, 1), c.After...)
	}
	return append(b, 0)
}

// scanOp is one page of one partition.
type scanOp struct {
	request
	page   *replica.ScanPage
	at     ring.Progress
	cursor Cursor
	limit  int
	sloppy bool
}

// startScan reads a page of the cursor's partition. It ends where the partition
// ends: the shell goes on with the cursor, on the shard of the next one.
func (s *Shard) startScan(base request, cursor Cursor, homes []string, quorum kindred.Quorum) {
	if err := s.unreadable(&base, homes, quorum); err != nil {
		s.refuse(base.ask, err)
		return
	}
	o := &scanOp{request: base, page: replica.NewScanPage(homes, quorum), at: s.phase.Progress(), cursor: cursor, limit: base.req.Scan.Limit, sloppy: quorum.Sloppy}
	if o.limit <= 0 || o.limit > kindred.ScanPageMax {
		o.limit = kindred.ScanPageMax
	}
	s.register(o)
	s.stats.Scans++
	s.askPages(o, homes)
}

func (s *Shard) askPages(o *scanOp, homes []string) {
	o.turn(s, homes)
	ask := o.question(s)
	for _, h := range homes {
		switch {
		case h == s.cfg.Node && s.Rebuilding(replica.ID{Partition: o.head.Partition, N: o.head.N}):
			o.fail(s, h, beingRebuilt)
		case h == s.cfg.Node && !s.trusted(replica.ID{Partition: ask.Partition, N: ask.N}):
			o.fail(s, h, catchingUp)
		case h == s.cfg.Node && s.IsDamaged(replica.ID{Partition: ask.Partition, N: ask.N}):
			o.fail(s, h, isDamaged)
		case h == s.cfg.Node && !s.readable(replica.ID(ask.Head), ask.At):
			o.fail(s, h, notComplete)
		case h == s.cfg.Node:
			s.out.Pages = append(s.out.Pages, ask)
		case s.linked[h]:
			s.send(h, ask, false)
		default:
			o.fail(s, h, "unreachable")
		}
	}
}

func (o *scanOp) question(s *Shard) *wire.ScanRead {
	return &wire.ScanRead{
		Head: o.head, Op: s.opID(o.seq), Bucket: o.req.Bucket, Prefix: o.req.Scan.Prefix,
		After: o.cursor.After, From: o.cursor.From, Limit: uint32(o.limit), At: o.at,
	}
}

func (s *Shard) onScanRead(from string, m *wire.ScanRead) {
	failed, own := s.refusal(from, m.At)
	home := s.isHome(replica.ID(m.Head))
	switch {
	case failed != "":
	case !home && !m.Guest:
		failed = notHome
	case !s.trusted(replica.ID{Partition: m.Partition, N: m.N}):
		failed = catchingUp
	case s.IsDamaged(replica.ID{Partition: m.Partition, N: m.N}):
		failed = isDamaged // a page without what was lost claims that it is absent
	case len(s.pageFor) >= s.cfg.Limits.Pages:
		failed = s.overloaded("pages being read", s.cfg.Limits.Pages).Message
	case s.Rebuilding(replica.ID{Partition: m.Partition, N: m.N}):
		failed = beingRebuilt
	case home && !s.readable(replica.ID(m.Head), m.At):
		failed = notComplete
	}
	if failed != "" {
		s.send(from, &wire.ScanReply{Head: m.Head, Op: m.Op, Failed: failed, At: own}, false)
		return
	}
	s.pageFor[m] = from
	if !home {
		s.pageOfHints(m)
		return
	}
	s.out.Pages = append(s.out.Pages, m)
}

// Paged answers a page read: the shell calls replica.Page on its snapshot.
func (s *Shard) Paged(now time.Time, ask *wire.ScanRead, page *wire.ScanReply) {
	if from, ok := s.pageFor[ask]; ok {
		delete(s.pageFor, ask)
		s.send(from, page, false)
		return
	}
	if o, ok := own[*scanOp](s, ask.Op); ok {
		o.heard(s, now, s.cfg.Node, page)
	}
}

func (o *scanOp) heard(s *Shard, now time.Time, node string, page *wire.ScanReply) {
	if page.Failed != "" && page.At.Step != 0 {
		s.putOff(now, o, o.at, node, page.Failed)
		return
	}
	o.page.Add(node, page)
	switch {
	case o.page.Enough():
		s.finish(o)
		s.answer(o.ask, o.response(s.layout.Partitions(), s.wall(now)))
	case o.page.Hopeless():
		o.expire(s, time.Time{})
	}
}

func (o *scanOp) fail(s *Shard, node, reason string) {
	o.page.Fail(node, reason)
	if o.page.Hopeless() {
		o.expire(s, time.Time{})
	}
}

func (o *scanOp) response(partitions int, now int64) *kindred.Response {
	keys, last, more := o.page.Keys(o.req.Scan.ConflictsOnly, now)
	if len(keys) > o.limit {
		keys = keys[:o.limit]
		last, more = keys[o.limit-1].Key, true
	}
	next := Cursor{Partition: o.cursor.Partition + 1}
	if more {
		next = Cursor{Partition: o.cursor.Partition, From: true, After: last}
	}
	if o.lastWins() {
		keys = withoutConflicts(keys, o.req.Scan.ConflictsOnly)
	}
	resp := &kindred.Response{Keys: keys}
	resp.Replied, resp.Guests = o.page.Replied()
	if int(next.Partition) < partitions {
		resp.Cursor = next.Bytes()
	}
	return resp
}

func (o *scanOp) expire(s *Shard, _ time.Time) {
	if _, running := s.operations[o.seq]; !running {
		return
	}
	s.finish(o)
	for _, f := range o.differing {
		o.page.Fail(f.Node, f.Reason)
	}
	s.refuse(o.ask, o.page.Timeout())
}
