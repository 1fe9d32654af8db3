package sim

import (
	"fmt"
	"time"

	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/replica"
)

func keyName(i int) string { return fmt.Sprintf("key-%d", i) }

// allKeys are the keys that clients have worked on, those of now last.
func (r *run) allKeys() []string {
	for i := len(r.keyNames); i < r.first+r.cfg.Keys; i++ {
		r.keyNames = append(r.keyNames, keyName(i))
	}
	return r.keyNames
}

// startRotation lets clients go on to a new key, again and again, and leave the
// oldest. So the history of each key is bounded, however long a run is, and a run
// has many keys from their first write to their end. Nothing is forgotten by the
// oracle: a key that was deleted minutes ago has to stay what it was, until the last
// read of the calm.
func (r *run) startRotation() {
	if r.cfg.Rotate == 0 {
		return
	}
	r.retired = newUndertaker(r)
	var next func()
	next = func() {
		if r.stopped {
			return
		}
		r.retired.take(keyName(r.first))
		r.first++
		for _, c := range r.clients {
			c.work.MoveTo(r.first)
		}
		r.agenda.after(r.cfg.Rotate, next)
	}
	r.agenda.after(r.cfg.Rotate, next)
}

const (
	// buryAfter is when a key that was left is deleted: clients may still have to do
	// with it.
	buryAfter = 2 * time.Second
	// buryAgain is how long after a delete it is looked at again, and buryTries how
	// often it is.
	buryAgain = 3 * time.Second
	buryTries = 8
)

// undertaker is a client that deletes what others have left, one key at a time.
type undertaker struct {
	client *client
	graves []grave
}

type grave struct {
	key   string
	due   time.Duration
	tries int
}

func newUndertaker(r *run) *undertaker {
	u := &undertaker{client: newClient(r, r.cfg.Clients+1)}
	r.agenda.after(buryAfter, u.next)
	return u
}

func (u *undertaker) take(key string) {
	u.graves = append(u.graves, grave{key: key, due: u.client.run.agenda.now + buryAfter})
}

func (u *undertaker) next() {
	r := u.client.run
	if r.stopped {
		return
	}
	if len(u.graves) == 0 || u.graves[0].due > r.agenda.now {
		r.agenda.after(100*time.Millisecond, u.next)
		return
	}
	g := u.graves[0]
	u.graves = u.graves[1:]
	if r.isGone(g.key) || g.tries == buryTries {
		r.agenda.after(0, u.next)
		return
	}
	u.bury(g)
}

// bury deletes a key by its name, whatever is there, and looks at it again later.
func (u *undertaker) bury(g grave) {
	c := u.client
	c.probes++
	c.begin(workload.Intent{
		Kind: history.Delete, Bucket: bucket, Key: g.key, Node: c.rng.IntN(c.run.cfg.Nodes),
		Write: history.WriteID(1<<61 | uint64(c.number+1)<<32 | c.probes),
	}, func(workload.Result) {
		g.tries++
		g.due = c.run.agenda.now + buryAgain
		u.graves = append(u.graves, g)
		c.run.agenda.after(c.pauseBetween(), u.next)
	})
}

// isGone reports whether no home shows anything of a key.
func (r *run) isGone(key string) bool {
	homes := r.everyOwner(r.idOf(key).Partition)
	for _, n := range r.nodes {
		if !homes.has(n) {
			continue
		}
		object, err := replica.Load(n.store, r.idOf(key), bucket, key)
		if err != nil || len(object.Versions) > 0 { // a disk may have spoilt it
			return false
		}
	}
	return true
}
