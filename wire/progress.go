package wire

import (
	"encoding/binary"

	"github.com/kindredkv/kindred/ring"
)

// appendProgress appends how far a node is: the step, and the layout unless there is
// none.
func appendProgress(b []byte, p ring.Progress) []byte {
	b = append(b, byte(p.Step))
	if p.Step == 0 {
		return b
	}
	b = binary.AppendUvarint(b, p.Tip.Counter)
	return binary.BigEndian.AppendUint64(b, p.Tip.Hash)
}

func (r *reader) progress() (p ring.Progress) {
	p.Step = ring.Step(r.byte("step"))
	if p.Step == 0 {
		return p
	}
	if p.Step > ring.Alone {
		r.fail("step", "unknown step %d", p.Step)
	}
	p.Tip.Counter = r.uvarint("layout")
	if b := r.fixed("layout", 8); b != nil {
		p.Tip.Hash = binary.BigEndian.Uint64(b)
	}
	return p
}
