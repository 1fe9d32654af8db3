package node

import (
	"errors"
	"fmt"
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
	if !errors.As(err, &damaged) || n.alone() {
		return store, err
	}
	to, aside := pebblestore.SetAside(n.cfg.DataDir, options)
	if aside != nil {
		return nil, errors.Join(err, aside)
	}
	n.log.Error("the store is damaged and was set aside; this node starts empty and is rebuilt from the others", "error", err, "set_aside", to)
	return pebblestore.Open(n.cfg.DataDir, options)
}

// alone reports whether the node knows no others.
func (n *Node) alone() bool { return len(n.cfg.Join) == 0 && n.cfg.Expect <= 1 }

// AsideError is the end of a node whose store could be opened, but not read where
// every start has to. The store was set aside: the next start is one with an empty
// disk. [Start] makes that by itself; later it is for whoever runs the node.
type AsideError struct {
	// To is where the store is now.
	To    string
	Cause error
}

func (e *AsideError) Error() string {
	return fmt.Sprintf("%v: the store was set aside as %s; start the node again, and it is rebuilt from the others", e.Cause, e.To)
}

func (e *AsideError) Unwrap() error { return e.Cause }

// suspect notes whether the node ends because of rows that cannot be read.
func (n *Node) suspect(err error) {
	var corrupt *storage.CorruptError
	n.unreadable.Store(errors.As(err, &corrupt) && !n.alone())
}

// setAside sets the store aside if its rows are why the node ends. It is closed by now.
func (n *Node) setAside() {
	if !n.unreadable.Load() || errors.Is(n.err, errStopped) {
		return
	}
	to, err := pebblestore.SetAside(n.cfg.DataDir, n.cfg.Store)
	if err != nil {
		n.err = errors.Join(n.err, err)
		return
	}
	n.err = &AsideError{To: to, Cause: n.err}
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
