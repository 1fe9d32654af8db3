package client

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// Page is a part of a scan.
type Page struct {
	Entries []Entry
	// Cursor is where the next page begins; empty when there is none.
	Cursor []byte
}

// Scan lists the keys of the bucket in partition order, which is no order of
// keys. Every key that exists throughout is seen; one that is written or
// deleted meanwhile may or may not be. When a node fails, another goes on where
// it stopped. The sequence ends after an error.
func (b *Bucket) Scan(ctx context.Context, opts ...ScanOption) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		s := b.newScanner(opts)
		s.each = func(entries []Entry) bool {
			for _, e := range entries {
				if !yield(e, nil) {
					return false
				}
			}
			return true
		}
		if err := s.run(ctx); err != nil {
			yield(Entry{}, err)
		}
	}
}

// Page lists the next keys, at most [Limit] or else [kindred.ScanPageMax] of
// them, for callers who keep the cursor themselves.
func (b *Bucket) Page(ctx context.Context, opts ...ScanOption) (*Page, error) {
	s := b.newScanner(append([]ScanOption{Limit(kindred.ScanPageMax)}, opts...))
	var p Page
	s.each = func(entries []Entry) bool {
		p.Entries = append(p.Entries, entries...)
		return true
	}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	p.Cursor = s.req.Scan.Cursor
	return &p, nil
}

// scanner is a scan under way: a cursor that survives the node that gave it.
type scanner struct {
	c     *Client
	req   kindred.Request
	total int // keys still wanted; 0 means every one
	each  func([]Entry) bool
	done  bool
}

func (b *Bucket) newScanner(opts []ScanOption) *scanner {
	s := &scanner{c: b.c, req: *b.request(kindred.OpScan, "", nil)}
	for _, opt := range opts {
		opt(&s.req.Scan)
	}
	// A limit beyond a page is no error here: pages follow one another.
	s.total, s.req.Scan.Limit = s.req.Scan.Limit, 0
	return s
}

// run scans until the end, or until no node goes on.
func (s *scanner) run(ctx context.Context) error {
	if s.total < 0 {
		return kindred.Invalid("limit", "limit=%d is negative: use a positive number, or none for every key", s.total)
	}
	if err := api.Check(&s.req); err != nil {
		return &Error{Op: s.req.Op.String(), Bucket: s.req.Bucket, Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.c.ctx, cancel)()
	for !s.done {
		err := s.c.visit(ctx, &s.req, s.req.Op.String(), func(_ context.Context, n *node, patience time.Duration) error {
			return s.read(ctx, n, patience) // the time of a visit is for finding a node, not for reading
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read takes pages from one node. It fails only if there was none: a scan that
// gets on is worth going on with, elsewhere.
func (s *scanner) read(ctx context.Context, n *node, patience time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(patience, cancel)
	defer watchdog.Stop()
	pages, err := kindredv1.NewKVClient(n.connection()).Scan(ctx, api.FormatScan(&s.req, uint64(s.total)))
	if err != nil {
		return err
	}
	for got := false; !s.done; got = true {
		m, err := pages.Recv()
		switch {
		case err == io.EOF && !got:
			s.done = true
		case err != nil && got:
			return nil
		case err != nil:
			return err
		default:
			watchdog.Stop() // the caller may take its time
			s.take(api.ParseScanResponse(m))
			watchdog.Reset(patience)
		}
	}
	return nil
}

// take hands on one page and moves the cursor behind it.
func (s *scanner) take(m *kindred.Response) {
	entries := make([]Entry, len(m.Keys))
	for i, k := range m.Keys {
		entries[i] = Entry{Key: k.Key, Siblings: k.Siblings, ExpiresAt: k.ExpiresAt}
	}
	if s.total > 0 {
		entries = entries[:min(len(entries), s.total)]
		s.total -= len(entries)
		s.done = s.total == 0
	}
	s.req.Scan.Cursor = m.Cursor
	s.done = s.done || len(m.Cursor) == 0
	if !s.each(entries) {
		s.done = true
	}
}
