package storagetest

import (
	"maps"
	"slices"
	"strings"

	"github.com/kindredkv/kindred/storage"
)

// batchOf makes a batch of changes in the notation of bench.apply.
func batchOf(changes ...string) *storage.Batch {
	var b storage.Batch
	for _, change := range changes {
		addChange(&b, change)
	}
	return &b
}

func addChange(b *storage.Batch, change string) {
	if key, value, isSet := strings.Cut(change, "="); isSet {
		b.Set([]byte(key), []byte(value))
		return
	}
	from, to, isRange := strings.Cut(change[1:], ":")
	if isRange {
		b.DeleteRange([]byte(from), []byte(to))
		return
	}
	b.Delete([]byte(from))
}

// model is the obviously right twin: a map, copied for each state.
type model map[string]string

// after returns the state that follows when changes are applied.
func (m model) after(changes []string) model {
	next := maps.Clone(m)
	for _, change := range changes {
		if key, value, isSet := strings.Cut(change, "="); isSet {
			next[key] = value
			continue
		}
		from, to, isRange := strings.Cut(change[1:], ":")
		maps.DeleteFunc(next, func(key, _ string) bool {
			return key == from && !isRange || isRange && from <= key && key < to
		})
	}
	return next
}

// rows returns the state as bench.rows does.
func (m model) rows() []string {
	rows := []string{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		rows = append(rows, key+"="+m[key])
	}
	return rows
}
