package node

import (
	"errors"
	"time"

	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/pebblestore"
)

// openOrSetAside opens the data folder. A store that is too damaged to be opened is set
// aside, and the node starts with an empty one, as after the loss of a disk: it
// counts toward no read until it has everything from the other replicas. A node
// that knows no others does not do that: what is damaged may be all there is.
func (n *Node) openOrSetAside(options pebblestore.Options) (*pebblestore.Store, error) {
	store, err := pebblestore.Open(n.cfg.DataDir, options)
	var damaged *storage.DamagedError
	if !errors.As(err, &damaged) || len(n.cfg.Join) == 0 && n.cfg.Expect <= 1 {
		return store, err
	}
	to, aside := pebblestore.SetAside(n.cfg.DataDir, options)
	if aside != nil {
		return nil, errors.Join(err, aside)
	}
	n.log.Error("the store is damaged and was set aside; this node starts empty and is rebuilt from the others", "error", err, "set_aside", to)
	return pebblestore.Open(n.cfg.DataDir, options)
}

// auditRange has the replicas audited that have rows in a range: the disk has
// damaged some of them. Unknown bounds mean all.
func (n *Node) auditRange(low, high []byte) {
	workers := n.auditors.Load()
	if workers == nil {
		return // the start meets it again
	}
	for _, w := range *workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) { s.AuditRange(low, high) })
	}
}

// discarded tells all shards that damage has gone.
func (n *Node) discarded() {
	workers := n.auditors.Load()
	if workers == nil {
		return // all that is damaged is looked at when they start
	}
	for _, w := range *workers {
		w.inbox.put(func(_ time.Time, s *recording.Shard) { s.Discarded() })
	}
}
