package recording

import (
	"encoding/binary"
	"hash/crc64"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

// Sum is of everything that has come out of a shard since it began: two shards with
// one sum have done the same.
type Sum uint64

var sumTable = crc64.MakeTable(crc64.ECMA)

func (s *Sum) add(b []byte) { *s = Sum(crc64.Update(uint64(*s), sumTable, b)) }

// taker adds effects to a sum as they come.
type taker struct {
	sum Sum
	buf []byte
	// The effects that have been added already, of those that were not taken.
	rows, sends, replies, loads, pages, looks, discards, syncs, differ int
}

// taken begins anew: the effects have been carried out.
func (t *taker) taken() { *t = taker{sum: t.sum, buf: t.buf} }

// add takes what came since the last call; each, if not nil, sees it.
func (t *taker) add(out *core.Effects, each *Outcome) {
	if n := out.Rows.Bytes(); n > t.rows {
		since := t.rows
		t.rows = n
		t.addRows(&out.Rows, since)
		each.rows(&out.Rows, since)
	}
	for ; t.sends < len(out.Sends); t.sends++ {
		s := &out.Sends[t.sends]
		b := appendFlag(appendBytes(append(t.buf[:0], 's'), s.To), s.Sync)
		t.buf = wire.Append(b, s.Msg)
		t.sum.add(t.buf)
		each.send(s)
	}
	for ; t.replies < len(out.Replies); t.replies++ {
		r := &out.Replies[t.replies]
		t.buf = appendResponse(binary.AppendUvarint(append(t.buf[:0], 'a'), r.Token), r.Response)
		t.sum.add(t.buf)
		each.reply(r)
	}
	for ; t.loads < len(out.Loads); t.loads++ {
		t.buf = appendBytes(append(t.buf[:0], 'l'), out.Loads[t.loads].Row)
		t.sum.add(t.buf)
		each.load(&out.Loads[t.loads])
	}
	for ; t.pages < len(out.Pages); t.pages++ {
		t.buf = wire.Append(append(t.buf[:0], 'p'), out.Pages[t.pages])
		t.sum.add(t.buf)
		each.say("reads a page")
	}
	for ; t.looks < len(out.Looks); t.looks++ {
		t.sum.add([]byte{'k'})
		each.say("looks into the store")
	}
	for ; t.discards < len(out.Discards); t.discards++ {
		d := out.Discards[t.discards]
		t.buf = appendBytes(appendBytes(append(t.buf[:0], 'd'), d.Low), d.High)
		t.sum.add(t.buf)
		each.say("discards from " + rowName(d.Low) + " to " + rowName(d.High))
	}
	for ; t.syncs < len(out.Syncs); t.syncs++ {
		t.buf = uvarints(append(t.buf[:0], 'y'), out.Syncs[t.syncs])
		t.sum.add(t.buf)
		each.say("waits for the disk")
	}
	for ; t.differ < len(out.Differ); t.differ++ {
		t.buf = appendBytes(append(t.buf[:0], 'o'), out.Differ[t.differ])
		t.sum.add(t.buf)
		each.say("sees that " + out.Differ[t.differ] + " works by another layout")
	}
	if cap(t.buf) > 1<<20 {
		t.buf = nil
	}
}

func (t *taker) addRows(rows *storage.Batch, since int) {
	_ = rows.EachSince(since, func(op storage.Op) error {
		t.buf = uvarints(append(t.buf[:0], 'r', byte(op.Kind)), uint64(len(op.Key)), uint64(len(op.Value)))
		t.sum.add(t.buf)
		t.sum.add(op.Key)
		t.sum.add(op.Value)
		return nil
	})
}

// appendResponse is all of a response; its messages to peers have no page of keys.
func appendResponse(b []byte, r *kindred.Response) []byte {
	b = wire.Append(b, &wire.ForwardReply{Response: *r})
	for i := range r.Keys {
		k := &r.Keys[i]
		b = appendTime(uvarints(appendBytes(b, k.Key), uint64(k.Siblings)), k.ExpiresAt)
	}
	return appendBytes(b, r.Cursor)
}
