package sim

import (
	"time"

	"github.com/kindredkv/kindred/core"
)

// lookUp takes a snapshot for each look, and what has to be of that moment. The
// reading is done later, and its outcome comes back later still.
func (s *shell) lookUp(looks []core.Look) {
	n := s.node
	for i, look := range looks {
		snapshot, err := n.store.Snapshot()
		if err != nil {
			n.run.oracle.find("S5", "%s: snapshot: %v", n.name, err)
			return
		}
		read := look.Begin()
		n.later(n.run.draw(0x100C, uint64(s.number), uint64(i), n.lives).about(n.diskTime(4*n.run.cfg.Disk.Read)), func() {
			defer snapshot.Close()
			seen := read(snapshot)
			s.put(func(now time.Time, _ *core.Shard) { seen(now) })
		})
	}
}
