package node

import (
	"context"
	"time"

	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
)

const (
	// weighFor is how long a plan may read to learn what copies hold. More reads more of
	// them, and the operator waits for it.
	weighFor = 500 * time.Millisecond
	// weighRows is after how many rows it looks at the time.
	weighRows = 256
	// itemBytes is what a message has for a key besides the key and its object.
	itemBytes = 3
)

// weights is what copies of partitions hold: the bytes of keys and values, each with its
// context, as they are sent and before the disk compresses them.
type weights struct {
	known map[ring.Partition]weight
	// mean is that of the others: keys are hashed, so copies are alike.
	mean weight
}

type weight struct{ bytes, keys uint64 }

func (w weights) of(p ring.Partition) uint64 {
	if one, known := w.known[p]; known {
		return one.bytes
	}
	return w.mean.bytes
}

// weigh reads the copies that are here, in memory and on the disk, one after another, as
// many as there is time for. It is zero for a node that owns none.
func (n *Node) weigh(ctx context.Context) weights {
	w := weights{known: map[ring.Partition]weight{}}
	layout := n.layout.Load()
	if layout == nil {
		return w
	}
	snapshot, err := n.store.Snapshot()
	if err != nil {
		return w
	}
	defer snapshot.Close()
	until := time.Now().Add(weighFor)
	var sum weight
	for _, p := range layout.Owned(n.cfg.Name, layout.Replicas()) {
		if ctx.Err() != nil || time.Now().After(until) {
			break
		}
		id := replica.ID{Partition: uint32(p), N: uint8(layout.Replicas())}
		one, end, err := weighOne(snapshot, id, until)
		switch {
		case err != nil: // damage is found and mended by others
		case end != nil && len(w.known) == 0:
			w.mean = n.extrapolate(id, one, end)
			return w
		case end == nil:
			w.known[p] = one
			sum.bytes, sum.keys = sum.bytes+one.bytes, sum.keys+one.keys
		}
	}
	if count := uint64(len(w.known)); count > 0 {
		w.mean = weight{sum.bytes / count, sum.keys / count}
	}
	return w
}

// weighOne reads one copy, up to the row end if time runs out before.
func weighOne(snapshot storage.Snapshot, id replica.ID, until time.Time) (w weight, end []byte, err error) {
	ranges := storage.ReplicaRanges(id.Partition, id.N)
	rows := 0
	scan := func(in storage.KeyRange, take func(row, value []byte)) error {
		return snapshot.Scan(in.Low, in.High, func(row, value []byte) bool {
			take(row, value)
			if rows++; rows%weighRows == 0 && time.Now().After(until) {
				end = append(end, row...)
			}
			return end == nil
		})
	}
	err = scan(ranges[2], func(row, value []byte) {
		if _, _, _, key, bad := storage.ParseObjectKey(row); bad == nil {
			w.bytes, w.keys = w.bytes+uint64(itemBytes+len(key)+len(value)), w.keys+1
		}
	})
	if err == nil && end == nil { // large values have rows of their own
		err = scan(ranges[3], func(_, value []byte) { w.bytes += uint64(len(value)) })
	}
	return w, end, err
}

// extrapolate takes a copy for as much larger than what was read of it as it is on the
// disk.
func (n *Node) extrapolate(id replica.ID, read weight, end []byte) weight {
	ranges := storage.ReplicaRanges(id.Partition, id.N)
	whole := n.store.DiskBytes(ranges[2].Low, ranges[2].High) + n.store.DiskBytes(ranges[3].Low, ranges[3].High)
	part := n.store.DiskBytes(ranges[2].Low, end)
	if end[0] == storage.TableValue {
		part = n.store.DiskBytes(ranges[2].Low, ranges[2].High) + n.store.DiskBytes(ranges[3].Low, end)
	}
	if part == 0 || part > whole {
		return read
	}
	times := float64(whole) / float64(part)
	return weight{uint64(float64(read.bytes) * times), uint64(float64(read.keys) * times)}
}
