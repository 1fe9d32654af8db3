package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A home that has lost something is restored by one that is about to leave, while the one
// that comes cannot tell yet and the others are away. The one that comes waits for a clock
// that the damaged home cannot live up to before: nothing would ever go on.
func TestADamagedHomeIsRestoredByOneThatLeaves(t *testing.T) {
	m := newMover(t, 3, 1)
	m.run(2)
	for _, key := range keysOf(m.rig)[:40] {
		require.Nil(t, m.do("n1", strict(put(key, "milk"))).Err)
	}
	m.run(3)
	m.hush = true
	m.commit("n1", false, joins("n4"), leaves("n3"))
	m.spread()
	key, was, is := m.moved("n1")
	leaving, coming := onlyIn(was, is)[0], onlyIn(is, was)[0]
	stay := onlyIn(was, []string{leaving})
	damaged, away := stay[0], stay[1]
	m.clocksFrom(leaving)
	m.cut(away)
	s, id := m.nodes[damaged].shard, m.placeOf(key)
	s.Suspect(id)
	require.True(t, s.IsDamaged(id))
	for range 30 {
		m.pass(time.Second)
	}
	require.False(t, m.complete(coming, key), "it has not heard what %s has", leaving)
	require.False(t, s.IsDamaged(id), "%v", s.Audits()[id])
}
