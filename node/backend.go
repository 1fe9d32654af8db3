package node

import (
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
)

// Do starts an operation. Done is called exactly once, from any goroutine.
func (n *Node) Do(req *kindred.Request, done func(*kindred.Response)) {
	layout := n.layout.Load()
	if layout == nil {
		// No shard is asked: one that has its layout by now may not be the key's.
		done(&kindred.Response{Err: core.NoLayout(n.cfg.Name)})
		return
	}
	if req.Op == kindred.OpScan {
		n.scan(req, done)
		return
	}
	n.workerOf(uint32(layout.PartitionOf(req.Bucket, req.Key))).do(req, done)
}

func (n *Node) workerOf(partition uint32) *worker {
	return n.workers[int(partition)%len(n.workers)]
}

// scan fills one page of keys: it goes from partition to partition until the
// page is full, the keys end, or half of the time is gone.
func (n *Node) scan(req *kindred.Request, done func(*kindred.Response)) {
	cursor, err := core.ParseCursor(req.Scan.Cursor)
	if err != nil {
		done(&kindred.Response{Err: err})
		return
	}
	wanted := req.Scan.Limit
	if wanted <= 0 || wanted > kindred.ScanPageMax {
		wanted = kindred.ScanPageMax
	}
	timeout := req.Timeout
	if timeout <= 0 {
		timeout = n.cfg.Limits.Timeout
	}
	p := &pageScan{node: n, req: *req, wanted: wanted, until: time.Now().Add(timeout / 2), done: done}
	p.next(cursor.Partition, req.Scan.Cursor)
}

type pageScan struct {
	node   *Node
	req    kindred.Request
	wanted int
	until  time.Time
	keys   []kindred.KeyEntry
	done   func(*kindred.Response)
}

func (p *pageScan) next(partition uint32, cursor []byte) {
	req := p.req
	req.Scan.Cursor, req.Scan.Limit = cursor, p.wanted-len(p.keys)
	p.node.workerOf(partition).do(&req, p.add)
}

func (p *pageScan) add(resp *kindred.Response) {
	if resp.Err != nil {
		p.done(resp)
		return
	}
	p.keys = append(p.keys, resp.Keys...)
	if len(resp.Cursor) == 0 || len(p.keys) >= p.wanted || time.Now().After(p.until) {
		p.done(&kindred.Response{Keys: p.keys, Cursor: resp.Cursor})
		return
	}
	cursor, err := core.ParseCursor(resp.Cursor)
	if err != nil {
		p.done(&kindred.Response{Err: err})
		return
	}
	p.next(cursor.Partition, resp.Cursor)
}
