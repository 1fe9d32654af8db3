package replica

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/kindredkv/kindred/storage"
)

// Stored lists the replicas of which a store has rows, in order, whoever owns them now.
// It looks at a row or two of each.
func Stored(store storage.Snapshot) ([]ID, error) {
	held := map[ID]bool{}
	for _, r := range storage.ReplicaRanges(0, 0) {
		lo, hi := storage.TableRange(r.Low[0])
		for more := true; more; {
			more = false
			err := store.Scan(lo, hi, func(row, _ []byte) bool {
				_, partition, n, _ := storage.ParseReplica(row)
				held[ID{Partition: partition, N: n}] = true
				lo, more = behind(row[0], partition, n), true
				return false
			})
			if damage := (*storage.CorruptError)(nil); errors.As(err, &damage) && bytes.Compare(damage.Resume, lo) > 0 {
				lo, more = damage.Resume, true // other tables will name the replica
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("looking for replicas: %w", err)
			}
		}
	}
	return slices.SortedFunc(maps.Keys(held), func(a, b ID) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.N, b.N))
	}), nil
}

// behind is where the rows of a replica end in a table.
func behind(table byte, partition uint32, n uint8) []byte {
	for _, r := range storage.ReplicaRanges(partition, n) {
		if r.Low[0] == table {
			return r.High
		}
	}
	return nil
}

// Erase deletes everything of a replica but what it promised about dead incarnations,
// and hints, which are no part of it. Its counter goes with it: an incarnation that has
// minted in it must not do so again (I2), so that whoever gets the partition back in the
// same life has to go on from the counter that it remembers.
func Erase(id ID, rows *storage.Batch) {
	for _, r := range storage.ReplicaRanges(id.Partition, id.N) {
		rows.DeleteRange(r.Low, r.High)
	}
}
