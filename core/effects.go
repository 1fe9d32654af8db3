package core

import (
	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// Effects is what a shard wants done. See the package comment for the order.
type Effects struct {
	// Rows is to be applied as one batch.
	Rows    storage.Batch
	Sends   []Send
	Replies []Reply
	Loads   []Load
	Pages   []*wire.ScanRead
	Looks   []Look
	// Discards are ranges of rows that cannot be read, and that Rows deletes. They
	// are to be thrown away, if the engine can do that, once Rows is durable and
	// before anything else is applied; if that fails it is tried again. Discarded is to
	// be called when some have gone.
	Discards []storage.KeyRange
	// Syncs lists operations to be named to Synced once everything applied so
	// far is durable.
	Syncs []uint64
	// Differ names peers that work by another layout, or another step of it, than this
	// node does (R24): it is time to tell one another what is known of layouts.
	Differ []string
}

// Send is a message for a peer. It may be lost; it is never waited for.
type Send struct {
	To   string
	Msg  wire.Message
	Sync bool
}

// Reply answers a client's request.
type Reply struct {
	Token    uint64
	Response *kindred.Response
}

// Load asks for a stored object. Row names it and goes back with the answer.
type Load struct {
	Row         string
	Replica     replica.ID
	Bucket, Key string
}

// Empty reports whether there is nothing to do.
func (e *Effects) Empty() bool {
	return e.Rows.Len() == 0 && len(e.Sends) == 0 && len(e.Replies) == 0 &&
		len(e.Loads) == 0 && len(e.Pages) == 0 && len(e.Looks) == 0 && len(e.Discards) == 0 && len(e.Syncs) == 0 && len(e.Differ) == 0
}

// Reset empties e and keeps its memory for the next take. Rows may be reset
// apart from the rest.
func (e *Effects) Reset() {
	clear(e.Sends)
	clear(e.Replies)
	clear(e.Loads)
	clear(e.Pages)
	clear(e.Looks)
	e.Rows.Reset()
	e.Sends, e.Replies, e.Loads = e.Sends[:0], e.Replies[:0], e.Loads[:0]
	clear(e.Discards)
	e.Discards = e.Discards[:0]
	e.Pages, e.Looks, e.Syncs = e.Pages[:0], e.Looks[:0], e.Syncs[:0]
	clear(e.Differ)
	e.Differ = e.Differ[:0]
}
