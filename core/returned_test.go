package core

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// outlived has a node z that was a home and was cut off, did something to a key of which
// all homes had "old", and was removed: the others have closed what it did as void since.
func outlived(t *testing.T, does func(m *mover, key, x, z string)) (m *mover, key, x, z string) {
	m = newMover(t, 4, 0)
	m.run(2)
	key = keysOf(m.rig)[0]
	homes := m.homesOf(key)
	x, z = homes[0], homes[2]
	require.Nil(t, m.do(x, strict(put(key, "old"))).Err)
	m.run(5)
	actor := m.nodes[z].shard.replicas[m.placeOf(key)].Actor()
	m.cut(z)
	does(m, key, x, z)
	gap := m.nodes[z].shard.Clock(m.placeOf(key)).Base(actor) + 1
	m.deaf[z] = true
	m.commit(x, false, removes(z))
	m.closeAsHeardOf(x, key, vclock.Dot{Actor: actor, Counter: gap})
	return m, key, x, z
}

// closeAsHeardOf has a home hear of one of the events of a removed node, so that the homes
// miss those before, and waits until all of them that nobody has are void.
func (m *mover) closeAsHeardOf(x, key string, d vclock.Dot) {
	for i := 0; !m.nodes[x].shard.phase.Settled(); i++ {
		require.Less(m.t, i, 60)
		m.run(1)
	}
	require.NoError(m.t, m.joinAt(x, m.samePlace(key), wire.Delta{Dots: vclock.NewDotSet(d)}))
	for i := 0; m.nodes[x].shard.Clock(m.placeOf(key)).Base(d.Actor) <= d.Counter; i++ {
		require.Less(m.t, i, 600, "closed")
		m.run(1)
	}
}

// overwrites has z overwrite what it has read, by itself.
func overwrites(m *mover, key, value string, z string) {
	alone := strict(put(key, value))
	if value == "" {
		alone = strict(del(key))
	}
	alone.Context = replica.EncodeContext("b", key, m.nodes[z].shard.Clock(m.placeOf(key)))
	alone.W = 1
	require.Nil(m.t, m.do(z, alone).Err)
}

// comesBack starts z on its old disk, makes it a member again, and lets it give up what it
// may.
func (m *mover) comesBack(z, at string, capacity uint32) {
	m.comesBackTo(z, at, capacity, func(string, string, wire.Message) bool { return false })
	for range 200 {
		m.run(1)
		m.drop(z)
	}
	require.True(m.t, m.nodes[z].shard.phase.Settled())
	require.False(m.t, m.nodes[z].shard.removed())
}

// comesBackTo does so where some messages are lost, and gives nothing up.
func (m *mover) comesBackTo(z, at string, capacity uint32, lost func(from, to string, msg wire.Message) bool) {
	m.restart(z, 77<<32, false, false)
	m.rejoins(z, at, capacity, lost)
}

// rejoins does so in the same life, where some messages are lost.
func (m *mover) rejoins(z, at string, capacity uint32, lost func(from, to string, msg wire.Message) bool) {
	delete(m.deaf, z)
	m.heal()
	m.lose = lost
	m.run(2)
	require.True(m.t, m.nodes[z].shard.removed())
	m.commit(at, false, ring.Staged{Node: ring.Node{Name: z, Zone: z, Capacity: capacity}, Intent: ring.Own})
	m.spread()
}

// homesNow are the homes of a key by the layout that a node works by.
func (m *mover) homesNow(key, at string) []string {
	tip := m.nodes[at].shard.layout
	return tip.Homes(tip.PartitionOf("b", key), 3)
}

// R27: what a removed node had overwritten or deleted by an event that is void by now is
// not gone because of it, and what it alone has comes in all the same.
func TestWhoReturnsTakesNothingAwayByWhatIsVoid(t *testing.T) {
	for name, does := range map[string]func(m *mover, key, x, z string){
		"overwritten":  func(m *mover, key, _, z string) { overwrites(m, key, "void", z) },
		"deleted":      func(m *mover, key, _, z string) { overwrites(m, key, "", z) },
		"both in turn": func(m *mover, key, _, z string) { overwrites(m, key, "void", z); overwrites(m, key, "", z) },
	} {
		for _, capacity := range []uint32{0, 1} {
			t.Run(fmt.Sprintf("%s, capacity %d", name, capacity), func(t *testing.T) {
				var late vclock.DotSet
				m, key, x, z := outlived(t, func(m *mover, key, x, z string) {
					does(m, key, x, z)
					late = m.lateAt(z, key, x)
				})
				m.comesBack(z, x, capacity)
				for _, home := range m.homesNow(key, x) {
					require.True(t, m.nodes[home].shard.Clock(m.placeOf(key)).Covers(late), home)
					require.ElementsMatch(t, []string{"late", "old"}, m.valuesAt(home, key), home)
				}
				require.Equal(t, capacity > 0, slices.Contains(m.homesNow(key, x), z))
				require.Equal(t, capacity > 0, m.nodes[z].shard.Has(m.placeOf(key)))
				require.Positive(t, m.nodes[z].shard.Stats().Retired)
				m.idle()
			})
		}
	}
}

// R27: so it is where no log names that event any more, for then it may be of any key, and
// where the node has learned what is void in an earlier life.
func TestWhoReturnsTakesNothingAwayByWhatNoLogNames(t *testing.T) {
	returns := func(t *testing.T, capacity uint32, again bool) {
		var late vclock.DotSet
		m, key, x, z := outlived(t, func(m *mover, key, x, z string) {
			overwrites(m, key, "", z)
			var rows storage.Batch
			m.nodes[z].shard.replicas[m.placeOf(key)].Prune(m.nodes[z].shard.Clock(m.placeOf(key)), &rows)
			require.NoError(t, m.nodes[z].engine.Apply(&rows))
			late = m.lateAt(z, key, x)
		})
		m.comesBackTo(z, x, capacity, func(_, _ string, msg wire.Message) bool { return again && wire.KindOf(msg) == wire.KindPull })
		m.run(3)
		if again {
			require.Positive(t, m.nodes[z].shard.Stats().Retired)
			m.restart(z, 78<<32, false, false)
			m.heal()
		}
		for range 200 {
			m.run(1)
			m.drop(z)
		}
		for _, home := range m.homesNow(key, x) {
			require.True(t, m.nodes[home].shard.Clock(m.placeOf(key)).Covers(late), home)
			require.ElementsMatch(t, []string{"late", "old"}, m.valuesAt(home, key), home)
		}
		m.idle()
	}
	t.Run("and owns nothing", func(t *testing.T) { returns(t, 0, false) })
	t.Run("and is to be a home", func(t *testing.T) { returns(t, 1, false) })
	t.Run("and starts once more", func(t *testing.T) { returns(t, 1, true) })
}

// A start in the middle of a sweep does not confuse what a copy never had with what it had
// and no log names: who was asked holds nothing of what is void, and would hand on writes
// without what they had seen if it retired.
func TestAStartInTheMiddleOfASweepKnowsWhatWasHeld(t *testing.T) {
	for _, held := range []bool{false, true} {
		m := newMover(t, 3, 0)
		m.run(2)
		key := keysOf(m.rig)[0]
		id, home := m.placeOf(key), m.homesOf(key)[0]
		n := m.nodes[home]
		void := vclock.NewDotSet(vclock.Dot{Actor: vclock.Actor{Disk: 99, Nonce: 1}, Counter: 1})
		if held {
			require.NoError(t, m.joinAt(home, key, wire.Delta{Dots: void}))
			m.settle()
			var rows storage.Batch
			n.shard.replicas[id].Prune(n.shard.Clock(id), &rows)
			require.NoError(t, n.engine.Apply(&rows))
		}
		require.Nil(t, m.do(home, strict(put(key, "something to save"))).Err)
		n.shard.Message(m.now, m.homesOf(key)[1], &wire.CloseTell{Head: wire.Head(id), Records: []wire.CloseRecord{
			{Actor: vclock.Actor{Disk: 99, Nonce: 1}, Round: wire.Round{Number: 1, Proposer: 1}, Void: void},
		}})
		n.shard.Checkpoint()
		require.NoError(t, n.engine.Apply(&n.shard.Effects().Rows))
		m.restart(home, 78<<32, false, false)
		require.False(t, n.shard.closer.place(id).promises.Of(vclock.Actor{Disk: 99, Nonce: 1}).Swept)
		require.Equal(t, held, n.shard.replicas[id].Stained())
		m.heal()
		m.run(120)
		require.False(t, n.shard.replicas[id].Stained(), "swept")
	}
}

// What a copy was retired for it still knows when its log is pruned of that and it starts
// again; one that has begun anew is swept of it.
func TestWhyACopyRetiredOutlivesItsLog(t *testing.T) {
	m, key, x, z := outlived(t, func(m *mover, key, x, z string) { overwrites(m, key, "void", z) })
	n, id, held := m.nodes[z], m.placeOf(key), true
	m.comesBackTo(z, x, 1, func(_, _ string, msg wire.Message) bool { return held && wire.KindOf(msg) == wire.KindPull })
	m.run(3)
	require.Positive(t, n.shard.Stats().Retired)
	var rows storage.Batch
	n.shard.replicas[id].Prune(n.shard.Clock(id), &rows)
	require.NoError(t, n.engine.Apply(&rows))
	m.restart(z, 78<<32, false, false)
	require.True(t, n.shard.replicas[id].Stained())

	held = false
	m.heal()
	for i := 0; !slices.Contains(m.drop(z), id); i++ {
		require.Less(t, i, 200)
		m.run(1)
	}
	m.run(120)
	for _, record := range n.shard.closer.place(id).promises.All() {
		require.False(t, record.Nameless)
	}
	require.False(t, n.shard.replicas[id].Stained())
}

// lateAt gives a node a version of a key that nobody else has, made by a guest that lives.
func (m *mover) lateAt(z, key, guest string) vclock.DotSet {
	late := m.aDot(guest, m.placeOf(key))
	for d := range late.Dots() {
		version := vclock.New(d, wire.Record{Value: []byte("late")}, vclock.DotSet{})
		require.NoError(m.t, m.joinAt(z, key, wire.Delta{Siblings: version, Dots: late}))
	}
	return late
}

// R27: as long as an old copy may not know what is void to others, it gives them nothing,
// and is no home's.
func TestAnOldCopyGivesNothingBeforeItKnowsWhatIsVoid(t *testing.T) {
	for _, capacity := range []uint32{0, 1} {
		var late vclock.DotSet
		m, key, x, z := outlived(t, func(m *mover, key, x, z string) {
			overwrites(m, key, "", z)
			late = m.lateAt(z, key, x)
		})
		refused, unpaged := "", ""
		deaf := func(from, to string, msg wire.Message) bool {
			kind := wire.KindOf(msg)
			if pieces, ok := msg.(*wire.Pieces); ok && from == z {
				refused = pieces.Failed
			}
			if page, ok := msg.(*wire.RebuildPage); ok && from == z {
				unpaged = page.Failed
			}
			return to == z && (kind == wire.KindCloseTell || kind == wire.KindCloseReply)
		}
		m.comesBackTo(z, x, capacity, deaf)
		m.run(100)
		s := m.nodes[z].shard
		require.False(t, s.replicas[m.placeOf(key)].Retired())
		m.deliver(x, Send{To: z, Msg: &wire.Pull{Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}, Dots: late}})
		m.deliver(x, Send{To: z, Msg: &wire.RebuildRead{Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 2}, BytesMax: 1 << 10}})
		m.settle()
		require.Equal(t, unheard, refused)
		require.Equal(t, unheard, unpaged)
		_, complete := s.Complete()
		require.Equal(t, capacity == 0, complete)
		require.NotContains(t, s.Droppable(), m.placeOf(key))
		for _, home := range onlyIn(m.homesOf(key), []string{z}) {
			require.Equal(t, []string{"old"}, m.valuesAt(home, key), home)
		}

		m.heal()
		m.run(200)
		require.Contains(t, m.drop(z), m.placeOf(key))
		m.run(200)
		for _, home := range m.homesNow(key, x) {
			require.ElementsMatch(t, []string{"late", "old"}, m.valuesAt(home, key), home)
		}
	}
}

// R27: a copy that holds what is void is no home's, also where its node is one to be. It
// stays so over a restart, and over whatever time it takes to hand on what it has.
func TestWhoHandsOnIsNoHome(t *testing.T) {
	m, key, x, z := outlived(t, func(m *mover, key, x, z string) {
		overwrites(m, key, "", z)
		m.lateAt(z, key, x)
	})
	id := m.placeOf(key)
	lost := func(from, _ string, msg wire.Message) bool { return from == z && wire.KindOf(msg) == wire.KindPieces }
	m.comesBackTo(z, x, 1, lost)
	m.run(200)
	retired := func() {
		require.True(t, m.nodes[z].shard.replicas[id].Retired())
		require.Equal(t, ring.Both, m.at(z))
		require.Empty(t, m.nodes[z].shard.Droppable())
	}
	retired()

	failed := ""
	m.lose = func(from, to string, msg wire.Message) bool {
		if page, ok := msg.(*wire.RebuildPage); ok && from == z {
			failed = page.Failed
		}
		return lost(from, to, msg)
	}
	m.nodes[z].shard.Message(m.now, x, &wire.RebuildRead{Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 1}})
	m.settle()
	require.Equal(t, isRetired, failed)
	unpulled := ""
	m.lose = func(from, _ string, msg wire.Message) bool {
		if pieces, ok := msg.(*wire.Pieces); ok && from == z {
			unpulled = pieces.Failed
		}
		return lost(from, "", msg)
	}
	for bare, refusal := range map[bool]string{false: isRetired, true: ""} {
		m.nodes[z].shard.Message(m.now, x, &wire.Pull{Head: m.head(key), Op: wire.OpID{Process: 1, Seq: 2}, Dots: m.nodes[z].shard.replicas[id].Logged(), Bare: bare})
		m.settle()
		require.Equal(t, refusal, unpulled)
	}
	require.Equal(t, isRetired, m.nodes[z].shard.cannotSpeak(id))
	require.Equal(t, isRetired, m.nodes[z].shard.cannotTell(id, x))
	for _, at := range []string{x, z} {
		m.do(at, kindred.Request{Op: kindred.OpRepair, Bucket: "b", Key: key})
		require.Equal(t, []string{"old"}, m.valuesAt(x, key))
	}
	before := m.nodes[z].shard.Stats()
	require.Nil(t, m.do(z, strict(put(key, "more"))).Err)
	require.Equal(t, before.Writes, m.nodes[z].shard.Stats().Writes, "another home makes the write")

	m.restart(z, 78<<32, false, false)
	m.run(200)
	retired()
	m.heal()
	m.run(100)
	require.Contains(t, m.drop(z), id)
	m.run(100)
	require.Contains(t, m.homesNow(key, x), z)
	for _, home := range m.homesNow(key, x) {
		require.ElementsMatch(t, []string{"late", "more", "old"}, m.valuesAt(home, key), home)
	}
	m.idle()
}

// A copy takes nothing in any more when it retires, what it had asked for before that
// neither: it would show what is void beside what had seen it.
func TestWhoRetiresWantsNothingMore(t *testing.T) {
	m, key, x, z := outlived(t, func(m *mover, key, x, z string) { overwrites(m, key, "void", z) })
	id := m.placeOf(key)
	require.Nil(t, m.do(x, strict(put(key, "while z was away"))).Err)
	var answers []wire.Message
	told := false
	m.comesBackTo(z, x, 1, func(_, to string, msg wire.Message) bool {
		switch kind := wire.KindOf(msg); {
		case to == z && (kind == wire.KindPieces || kind == wire.KindRebuildPage):
			answers = append(answers, msg)
			return true
		default:
			return kind == wire.KindPieces || to == z && !told && (kind == wire.KindCloseTell || kind == wire.KindCloseReply)
		}
	})
	m.run(3)
	s := m.nodes[z].shard
	require.False(t, s.replicas[id].Retired())
	require.Positive(t, s.exchange.of[id].Pulling())
	s.Rebuild(m.now, id, x)
	m.settle()
	require.Contains(t, s.rebuilds.jobs, id)

	for told = true; !s.replicas[id].Retired(); {
		m.run(1)
	}
	s.Rebuild(m.now, id, x)
	for _, late := range answers {
		s.Message(m.now, x, late)
	}
	m.settle()
	m.run(100)
	require.Zero(t, s.exchange.of[id].Pulling())
	require.NotContains(t, s.rebuilds.jobs, id)
	require.Equal(t, []string{"void"}, m.valuesAt(z, key))

	m.heal()
	m.run(100)
	require.Contains(t, m.drop(z), id)
	m.run(200)
	for _, home := range m.homesNow(key, x) {
		require.ElementsMatch(t, []string{"old", "while z was away"}, m.valuesAt(home, key), home)
	}
	m.idle()
}

// R27: a node that was removed and has not heard of it takes itself for a home. It is not
// told what is void before it works by what the others decided, or it would give up here
// what is void, and with that the mark that its copy has to retire.
func TestWhoHasNotHeardOfItsRemovalIsNotToldWhatIsVoid(t *testing.T) {
	for _, capacity := range []uint32{0, 1} {
		m, key, x, z := outlived(t, func(m *mover, key, x, z string) { overwrites(m, key, "void", z) })
		m.restart(z, 77<<32, false, false)
		m.heal()
		m.run(60)
		s := m.nodes[z].shard
		require.False(t, s.removed())
		require.Empty(t, s.replicas[m.placeOf(key)].Voided())
		require.Equal(t, []string{"void"}, m.valuesAt(z, key))

		m.comesBack(z, x, capacity)
		require.Positive(t, m.nodes[z].shard.Stats().Retired)
		for _, home := range m.homesNow(key, x) {
			require.Equal(t, []string{"old"}, m.valuesAt(home, key), home)
		}
		m.idle()
	}
}

// R27: who returns in the life in which it was removed mints in other incarnations from then
// on, as a home and as a guest: the others have ended those that it had, and it was not asked.
func TestWhoReturnsInTheSameLifeIsAnotherIncarnation(t *testing.T) {
	for _, capacity := range []uint32{0, 1} {
		m, key, x, z := outlived(t, func(m *mover, key, x, z string) { overwrites(m, key, "void", z) })
		s, id := m.nodes[z].shard, m.placeOf(key)
		was := s.Incarnation(id)
		m.rejoins(z, x, capacity, func(string, string, wire.Message) bool { return false })
		require.False(t, s.closer.lives(id, was), "it was closed without %s", z)
		for range 200 {
			m.run(1)
			m.drop(z)
		}
		require.Positive(t, s.Stats().Retired)
		require.True(t, s.phase.Settled())
		require.Equal(t, capacity > 0, s.Has(id), "all homes have what it has and is not void")
		for _, home := range m.homesNow(key, x) {
			require.Equal(t, []string{"old"}, m.valuesAt(home, key), home)
		}
		m.idle()
	}
}

func TestAGuestThatReturnsInTheSameLifeIsAnotherIncarnation(t *testing.T) {
	m := newMover(t, 6, 0)
	m.run(2)
	key := keysOf(m.rig)[0]
	homes, away := m.homesOf(key), m.away(key)
	x, z, s := homes[0], away[0], m.nodes[away[0]].shard
	m.split(homes, away)
	m.lose = also(m.lose, func(_, _ string, msg wire.Message) bool { return wire.KindOf(msg) == wire.KindHint })
	m.ask(z, put(key, "nobody else keeps this"))
	was := s.guestOf(m.head(key)).Actor()
	m.cut(z)
	for _, home := range homes {
		m.link(home, away[1], true)
		m.link(home, away[2], true)
	}
	m.deaf[z] = true
	m.commit(x, false, removes(z))
	m.closeAsHeardOf(x, key, vclock.Dot{Actor: was, Counter: 2})

	m.rejoins(z, x, 1, func(string, string, wire.Message) bool { return false })
	m.run(60)
	homes = m.homesNow(key, x)
	require.NotContains(t, homes, z)
	require.True(t, s.phase.Settled())
	m.split(homes, onlyIn(m.names, homes))
	require.Nil(t, m.do(z, put(key, "guests keep this")).Err)
	m.heal()
	m.payHints()
	for _, home := range homes {
		require.Equal(t, []string{"guests keep this"}, m.valuesAt(home, key), home)
	}
	m.idle()
}
