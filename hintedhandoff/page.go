package hintedhandoff

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Scanner is what reading many hints needs of the store.
type Scanner interface {
	Scan(lo, hi []byte, visit func(key, value []byte) bool) error
}

// Ask wants a page of the hints of one line, from After on.
type Ask struct {
	Line  Line
	After []byte
	Limit int
	Bytes int
}

// Page is what an Ask found. Last is where the next page begins; More is false at
// the end of the line. Damaged counts what was passed over because it cannot be
// read: single rows, and blocks of rows.
type Page struct {
	Ask     *Ask
	Found   []Found
	Last    []byte
	More    bool
	Damaged int
	Err     error
}

// Found is one hint of a page.
type Found struct {
	Bucket, Key string
	Hint        Hint
}

// rowsPerPageMax bounds the rows that a page looks at, most of which may owe its
// line nothing.
const rowsPerPageMax = 4096

// ReadPage reads a page. What is damaged is counted and passed over: it stays in
// the store, and the homes have what it owed from one another if any of them has it.
func ReadPage(store Scanner, ask *Ask) *Page {
	page := &Page{Ask: ask}
	head := ask.Line.Head
	lo, hi := storage.HintRange(head.Partition, head.N)
	if ask.After != nil {
		lo = append(append([]byte(nil), ask.After...), 0)
	}
	size, rows := 0, 0
	damaged, err := walk(store, lo, hi, func(row, value []byte) bool {
		if len(page.Found) >= ask.Limit || size >= ask.Bytes || rows >= rowsPerPageMax {
			page.More = true
			return false
		}
		rows++
		page.Last = append(page.Last[:0], row...)
		_, bucket, key, h, err := parseRow(row, append([]byte(nil), value...))
		if err != nil {
			page.Damaged++
			return true
		}
		if h.Slots().Has(ask.Line.Slot) {
			page.Found = append(page.Found, Found{Bucket: bucket, Key: key, Hint: h})
			size += len(value)
		}
		return true
	})
	page.Damaged += damaged
	page.Err = err
	return page
}

// walk visits the rows of a range and passes over blocks that are damaged, which
// it counts.
func walk(store Scanner, lo, hi []byte, visit func(row, value []byte) bool) (damaged int, err error) {
	for {
		err := store.Scan(lo, hi, visit)
		var corrupt *storage.CorruptError
		if !errors.As(err, &corrupt) || bytes.Compare(corrupt.Resume, lo) <= 0 {
			return damaged, err
		}
		damaged++
		lo = corrupt.Resume
	}
}

// parseRow reads a row and its value, which the hint keeps.
func parseRow(row, value []byte) (head wire.Head, bucket, key string, h Hint, err error) {
	partition, n, b, k, err := storage.ParseHintKey(row)
	if err != nil {
		return wire.Head{}, "", "", Hint{}, err
	}
	head, bucket, key = wire.Head{Partition: partition, N: n}, string(b), string(k)
	h, err = parse(head, bucket, key, value)
	return head, bucket, key, h, err
}

// ScanPage reads a page of the keys of a bucket that the guest holds hints of. It
// has no base: a guest speaks of nothing that it does not hold (C2).
func ScanPage(store Scanner, ask *wire.ScanRead) *wire.ScanReply {
	page := &wire.ScanReply{Head: ask.Head, Op: ask.Op}
	lo, hi := storage.HintBucketRange(ask.Partition, ask.N, ask.Bucket, ask.Prefix)
	if ask.From && ask.After >= ask.Prefix {
		lo = append(storage.HintKey(nil, ask.Partition, ask.N, ask.Bucket, ask.After), 0)
	}
	limit, size := min(int(ask.Limit), kindred.ScanPageMax), 0
	var bad error
	err := store.Scan(lo, hi, func(row, value []byte) bool {
		if len(page.Keys) >= limit || size > scanBytesMax {
			page.More = true
			return false
		}
		var key wire.ScanKey
		if key, bad = scanKey(row, value); bad != nil {
			return false
		}
		page.Keys = append(page.Keys, key)
		size += len(row) + 32*len(key.Dots.Versions) + spanBytes*key.Dots.Context.Exceptions()
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

// scanBytesMax bounds a page of keys on the wire, beside its number of keys.
const scanBytesMax = 1 << 20

func scanKey(row, value []byte) (wire.ScanKey, error) {
	_, _, _, key, err := storage.ParseHintKey(row)
	if err != nil {
		return wire.ScanKey{}, err
	}
	stored, err := wire.DecodeStoredHint(value)
	if err != nil {
		return wire.ScanKey{}, fmt.Errorf("the hint of key %q is damaged: %w", key, err)
	}
	h := Hint{row: stored}
	object := h.Object()
	dots := vclock.Siblings[wire.Expiry]{Context: object.Context}
	for _, v := range object.Versions {
		dots.Versions = append(dots.Versions, vclock.Version[wire.Expiry]{Dot: v.Dot, Value: v.Value.ExpiresAt})
	}
	return wire.ScanKey{Key: string(key), Dots: dots}, nil
}

// Recover adds the hints that a store holds to the ledger: those of the partitions
// that are the caller's. What is damaged is counted and keeps nobody from starting.
func (l *Ledger) Recover(store Scanner, mine func(partition uint32) bool) error {
	lo, hi := storage.TableRange(storage.TableHint)
	damaged, err := walk(store, lo, hi, func(row, value []byte) bool {
		if partition, _, _, _, err := storage.ParseHintKey(row); err == nil && !mine(partition) {
			return true
		}
		head, _, _, h, err := parseRow(row, value)
		if err != nil {
			l.damaged++
			return true
		}
		l.Change(head, Entry{}, h.Entry())
		l.Hold(head, h.Dots())
		return true
	})
	l.damaged += damaged
	return err
}
