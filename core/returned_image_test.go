package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// R27, R13: a home on an old image of its disk lacks a write that the others have and no log
// of theirs names any more. A copy that has retired could name it, and not say what it did: it
// had superseded that by an event that is void. The home takes pages instead: bare, the write
// would be one that it has and does not show, which is gone for everybody who reads there.
func TestWhatTheOthersHaveIsTakenFromTheirPagesAndNotBare(t *testing.T) {
	all := func(batches int) int { return batches }
	for _, does := range []string{"void", ""} {
		m, key, x, z := outlived(t, func(m *mover, key, x, z string) {
			m.lateAt(z, key, x)
			overwrites(m, key, does, z)
		})
		h := onlyIn(m.homesNow(key, x), []string{x})[0]
		m.run(100)
		n := m.nodes[h]
		image := n.engine.Crash(all)
		n.engine = image.Crash(all)
		late := m.lateAt(x, key, x)
		m.run(200)
		for _, home := range m.homesNow(key, x) {
			require.True(t, m.nodes[home].shard.replicas[m.placeOf(key)].Floor().Covers(late), "no log of %s names it", home)
		}
		m.comesBackTo(z, x, 0, func(string, string, wire.Message) bool { return false })
		m.run(5)
		require.True(t, m.nodes[z].shard.replicas[m.placeOf(key)].Logged().Covers(late))
		require.True(t, m.nodes[z].shard.replicas[m.placeOf(key)].Retired())

		n.engine = image.Crash(all)
		bare := vclock.DotSet{}
		m.heard = func(msg wire.Message) {
			if pull, ok := msg.(*wire.Pull); ok && pull.Bare {
				bare.Union(pull.Dots.Intersect(late))
			}
		}
		m.restart(h, 99<<32, false, false)
		m.run(60)
		require.True(t, bare.IsEmpty())
		for _, at := range m.homesNow(key, x) {
			require.ElementsMatch(t, []string{"late", "old"}, values(m.hedged(at, get(key))))
		}
		for _, home := range m.homesNow(key, x) {
			require.ElementsMatch(t, []string{"late", "old"}, m.valuesAt(home, key), home)
		}
		m.idle()
	}
}
