package explore

import (
	"cmp"
	"slices"

	"github.com/kindredkv/kindred/storage"
)

// rows are a store, in order. They are never changed, only replaced.
type rows []row

type row struct{ key, value string }

func (r rows) find(key string) (int, bool) {
	return slices.BinarySearchFunc(r, key, func(a row, key string) int { return cmp.Compare(a.key, key) })
}

// with are the rows after a batch.
func (r rows) with(b *storage.Batch) rows {
	next := slices.Clone(r)
	// The visit never fails, and so neither does Each.
	_ = b.Each(func(op storage.Op) error {
		at, found := next.find(string(op.Key))
		switch {
		case op.Kind == storage.OpSet && found:
			next[at].value = string(op.Value)
		case op.Kind == storage.OpSet:
			next = slices.Insert(next, at, row{string(op.Key), string(op.Value)})
		case op.Kind == storage.OpDelete && found:
			next = slices.Delete(next, at, at+1)
		case op.Kind == storage.OpDeleteRange:
			next = slices.DeleteFunc(next, func(a row) bool { return a.key >= string(op.Key) && a.key < string(op.Value) })
		}
		return nil
	})
	return next
}

// Get is storage.Snapshot's.
func (r rows) Get(key []byte) ([]byte, error) {
	at, found := r.find(string(key))
	if !found {
		return nil, storage.ErrNotFound
	}
	return []byte(r[at].value), nil
}

// Scan is storage.Snapshot's.
func (r rows) Scan(lo, hi []byte, visit func(key, value []byte) bool) error {
	from, _ := r.find(string(lo))
	for _, a := range r[from:] {
		if len(hi) > 0 && a.key >= string(hi) || !visit([]byte(a.key), []byte(a.value)) {
			return nil
		}
	}
	return nil
}

// Close is storage.Snapshot's.
func (r rows) Close() error { return nil }

// appendTo appends a form that is equal for equal rows.
func (r rows) appendTo(b []byte) []byte {
	for _, a := range r {
		b = append(append(b, byte(len(a.key)), byte(len(a.value)>>8), byte(len(a.value))), a.key...)
		b = append(b, a.value...)
	}
	return append(b, 0)
}
