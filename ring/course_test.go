package ring

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// crowd is some nodes on their courses, all that they ever told, and what is staged where.
type crowd struct {
	courses map[string]*Course
	staged  map[string]Staging
	told    [][]File
}

func newCrowd(t require.TestingT, partitions, replicas int, members []Node, others ...string) *crowd {
	c := &crowd{courses: map[string]*Course{}, staged: map[string]Staging{}}
	first := First(mustNew(t, partitions, replicas, members))
	for _, n := range members {
		c.courses[n.Name] = NewCourse(n.Name, first)
	}
	for _, name := range others {
		course, err := Enter(name, NewCourse(members[0].Name, first).Files())
		require.NoError(t, err)
		c.courses[name] = course
	}
	return c
}

func (c *crowd) names() []string {
	var names []string
	for _, n := range nodeNames {
		if c.courses[n] != nil {
			names = append(names, n)
		}
	}
	return names
}

// commit lets an operator stage a change and commit all that is staged at a node.
func (c *crowd) commit(t require.TestingT, at string, n Node, intent Intent) error {
	course := c.courses[at]
	c.staged[at] = mustStage(t, c.staged[at], at, course.Tip(), n, intent)
	d, err := course.Propose(c.staged[at], false)
	if err != nil {
		return err
	}
	return course.Commit(d)
}

// settle lets some nodes tell one another everything, do all that they may, and get all
// that they need, until nothing changes.
func (c *crowd) settle(names ...string) {
	for changed := true; changed; {
		changed = false
		for _, to := range names {
			for _, from := range names {
				changed = c.courses[to].Hear(c.courses[from].Files()) || changed
				c.staged[to] = MergeStaging(c.staged[to], c.staged[from])
			}
			course := c.courses[to]
			for course.Turn() {
				changed = true
			}
			changed = c.complete(course) || changed
		}
	}
}

// use lets some nodes tell one another everything and do all that they may, while nobody
// gets what he needs.
func (c *crowd) use(names ...string) {
	for changed := true; changed; {
		changed = false
		for _, to := range names {
			for _, from := range names {
				changed = c.courses[to].Hear(c.courses[from].Files()) || changed
			}
			for c.courses[to].Turn() {
				changed = true
			}
		}
	}
}

// complete has a node say that it is complete, if nobody has heard that yet.
func (c *crowd) complete(of *Course) (changed bool) {
	m := of.files[of.tip].Mark(of.self)
	if changed = of.Step() == Both && !m.Complete; changed {
		of.SetComplete()
	}
	return changed
}

func three(t require.TestingT, others ...string) *crowd {
	return newCrowd(t, 8, 2, []Node{{"ant", "", 1}, {"bee", "", 1}, {"cat", "", 1}}, others...)
}

func TestAChangeIsUsedWhenAllHoldItAndSettlesInThreeSteps(t *testing.T) {
	c := three(t, "dog")
	ant, dog := c.courses["ant"], c.courses["dog"]
	require.True(t, ant.Settled())
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	require.NotNil(t, ant.Holds())
	c.settle("ant", "bee")
	require.Equal(t, uint64(1), ant.Tip().Version().Counter, "cat has not heard of it")
	require.Equal(t, []string{"cat"}, ant.Waits())

	c.settle("ant", "bee", "cat")
	require.Equal(t, uint64(2), ant.Tip().Version().Counter)
	require.Equal(t, uint64(1), ant.Base().Version().Counter)
	require.Equal(t, Both, ant.Step())
	require.Equal(t, []string{"dog"}, ant.Waits())
	require.False(t, ant.Settled())

	c.settle("ant", "bee", "cat", "dog")
	for _, course := range c.courses {
		require.True(t, course.Settled())
		require.Equal(t, Alone, course.Step())
		require.Equal(t, ant.Tip(), course.Tip())
		require.Equal(t, ant.Tip(), course.Base())
		require.Len(t, course.Files(), 1, "what is settled needs nothing older")
	}
	require.NotEmpty(t, dog.Tip().Layout().Owned("dog", 2))
}

// Lesson 26, for what operators commit: each side of a cut waits for the other, and then
// all go by one of the two. The other's change is pending again.
func TestLesson26_TwoOperatorsCommitOnTwoSidesOfACut(t *testing.T) {
	c := three(t, "dog", "eel")
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	require.NoError(t, c.commit(t, "cat", Node{"eel", "", 1}, Own))
	c.settle("ant", "bee", "dog")
	c.settle("cat", "eel")
	for _, course := range c.courses {
		require.Equal(t, uint64(1), course.Tip().Version().Counter, "nobody uses anything")
	}
	c.settle(c.names()...)
	tip := c.courses["ant"].Tip()
	for _, course := range c.courses {
		require.Equal(t, tip, course.Tip())
		require.True(t, course.Settled())
	}
	pending := c.staged["ant"].Pending(tip)
	require.Len(t, pending, 1, "the change of the one that lost waits")
	require.NoError(t, c.commit(t, "bee", Node{"bee", "", 2}, Own))
	c.settle(c.names()...)
	for _, name := range []string{"dog", "eel"} {
		require.True(t, c.courses["ant"].Tip().has(name))
	}
}

// To hold a decision is a promise not to use a smaller one, though all have held that.
func TestWhoHoldsAGreaterDecisionDoesNotUseASmallerOne(t *testing.T) {
	c := newCrowd(t, 8, 2, []Node{{"ant", "", 1}, {"bee", "", 1}, {"cat", "", 1}, {"dog", "", 1}})
	ant, bee, cat, dog := c.courses["ant"], c.courses["bee"], c.courses["cat"], c.courses["dog"]
	hear := func(to, from *Course) {
		to.Hear(from.Files())
		for to.Turn() {
			continue
		}
	}
	require.NoError(t, c.commit(t, "ant", Node{"eel", "", 1}, Own))
	hear(bee, ant)
	hear(cat, ant)
	hear(dog, ant)
	early := dog.Files()
	require.NoError(t, c.commit(t, "cat", Node{"fox", "", 1}, Own))
	hear(ant, cat)
	hear(bee, cat)
	hear(dog, cat)
	for _, from := range []*Course{ant, bee, dog} {
		cat.Hear(from.Files())
	}
	hear(cat, cat)
	require.Equal(t, uint64(3), cat.Tip().Version().Counter, "all hold the greater one")

	bee.Hear(early)
	hear(bee, bee)
	require.Equal(t, uint64(1), bee.Tip().Version().Counter, "bee sees that all have held the smaller one")
	hear(bee, cat)
	require.Equal(t, cat.Tip(), bee.Tip())
}

func TestACommitThatHangsOnADeadNodeIsReplaced(t *testing.T) {
	c := three(t, "dog")
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	c.settle("ant", "bee", "dog") // cat is dead
	require.Equal(t, []string{"cat"}, c.courses["bee"].Waits())
	require.NoError(t, c.commit(t, "bee", Node{Name: "cat"}, Remove))
	c.settle("ant", "bee", "dog")
	for _, name := range []string{"ant", "bee", "dog"} {
		require.True(t, c.courses[name].Settled())
		require.Equal(t, []string{"cat"}, c.courses[name].Tip().Gone())
	}

	c.settle(c.names()...) // it was not dead
	require.NotNil(t, c.courses["cat"].Removed(), "it is told")
	require.False(t, c.courses["cat"].Settled())

	require.NoError(t, c.commit(t, "ant", Node{"cat", "", 1}, Own))
	c.settle(c.names()...)
	require.Nil(t, c.courses["cat"].Removed(), "it may come back")
	require.True(t, c.courses["cat"].Settled())
}

func TestANewOwnerThatDiesOnTheWayIsReplaced(t *testing.T) {
	c := three(t, "dog", "eel")
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	c.settle("ant", "bee", "cat") // dog is dead
	require.Equal(t, Both, c.courses["ant"].Step())
	c.staged["ant"] = mustStage(t, c.staged["ant"], "ant", c.courses["ant"].Tip(), Node{"eel", "", 1}, Own)
	require.NoError(t, c.commit(t, "ant", Node{Name: "dog"}, Remove))
	c.settle("ant", "bee", "cat", "eel")
	for _, name := range []string{"ant", "bee", "cat", "eel"} {
		require.True(t, c.courses[name].Settled(), name)
		require.Equal(t, uint64(3), c.courses[name].Tip().Version().Counter)
	}
}

func TestALeaverThatDiesOnTheWayIsRemoved(t *testing.T) {
	c := three(t)
	require.NoError(t, c.commit(t, "ant", Node{Name: "cat"}, Leave))
	for range 2 { // all hold it, and the others know; then cat dies
		for _, name := range c.names() {
			c.courses[name].Hear(c.courses["ant"].Files())
			for c.courses[name].Turn() {
				continue
			}
			c.courses["ant"].Hear(c.courses[name].Files())
		}
	}
	c.settle("ant", "bee")
	require.Equal(t, Both, c.courses["bee"].Step(), "it may owe something")
	require.Equal(t, []string{"cat"}, c.courses["bee"].Waits())
	c.courses["cat"].SetComplete()
	c.courses["ant"].Hear(c.courses["cat"].Files())
	c.settle("ant", "bee")
	require.Equal(t, Ahead, c.courses["bee"].Step())
	require.Equal(t, []string{"cat"}, c.courses["bee"].Waits())
	require.False(t, c.courses["bee"].Tip().has("cat"))

	c.staged["bee"] = mustStage(t, c.staged["bee"], "bee", c.courses["bee"].Tip(), Node{Name: "cat"}, Remove)
	require.Equal(t, []Kind{StillHere}, kinds(c.plan(t, "bee", false, situation()).Refusals))
	p := c.plan(t, "bee", true, situation("cat"))
	require.Empty(t, p.Refusals)
	require.Empty(t, p.Waits)
	d, err := c.courses["bee"].Propose(c.staged["bee"], true)
	require.NoError(t, err)
	require.NoError(t, c.courses["bee"].Commit(d))
	c.settle("ant", "bee")
	for _, name := range []string{"ant", "bee"} {
		require.True(t, c.courses[name].Settled(), name)
	}
	c.staged["ant"] = mustStage(t, c.staged["ant"], "ant", c.courses["ant"].Tip(), Node{Name: "cat"}, Remove)
	require.Equal(t, []Kind{NotMember}, kinds(c.plan(t, "ant", false, situation("cat")).Refusals), "nobody waits for it any more")
}

func TestANodeThatLostItsDiskEntersWhereItsNameWas(t *testing.T) {
	c := three(t, "dog")
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	c.settle("ant", "bee", "cat")
	bee, err := Enter("bee", c.courses["ant"].Files())
	require.NoError(t, err)
	require.Equal(t, Both, bee.Step())
	c.courses["bee"] = bee
	c.settle(c.names()...)
	require.True(t, bee.Settled())

	_, err = Enter("bee", nil)
	require.Error(t, err)
}

// An old image of a disk has forgotten how far its node was, and what is committed at it
// says so. Once it has learned better its vote is like those of the others.
func TestAnOldImageThatCommitsLearnsHowFarItWas(t *testing.T) {
	c := three(t, "dog")
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	c.settle("ant", "bee", "cat")
	image := c.courses["ant"].AppendTo(nil)
	c.settle(c.names()...)
	require.Equal(t, Alone, c.courses["ant"].Step())

	old, err := DecodeCourse("ant", image)
	require.NoError(t, err)
	require.Equal(t, Both, old.Step())
	c.courses["ant"] = old
	require.NoError(t, c.commit(t, "ant", Node{"bee", "", 2}, Own))
	c.settle(c.names()...)
	for _, course := range c.courses {
		require.Equal(t, uint64(3), course.Tip().Version().Counter)
		require.True(t, course.Settled())
	}
}

// So has one that missed, or has forgotten, more than one decision: the last lets its node
// go, which owns something by the base and has its part in that.
func TestAnOldImageThatMissedMuchLeavesAsIfItHadNot(t *testing.T) {
	for _, missed := range []int{1, 2, 3} {
		c := three(t, "dog")
		var image []byte
		for i, capacity := range []uint32{1, 2, 3} {
			if i == 3-missed {
				image = c.courses["bee"].AppendTo(nil)
			}
			require.NoError(t, c.commit(t, "ant", Node{"dog", "", capacity}, Own))
			c.use(c.names()...)
		}
		require.NoError(t, c.commit(t, "ant", Node{Name: "bee"}, Leave))
		c.use(c.names()...)
		require.Equal(t, uint64(5), c.courses["ant"].Tip().Version().Counter)
		require.Equal(t, uint64(1), c.courses["ant"].Base().Version().Counter)

		old, err := DecodeCourse("bee", image)
		require.NoError(t, err)
		c.courses["bee"] = old
		c.settle(c.names()...)
		for name, course := range c.courses {
			require.Equal(t, uint64(5), course.Tip().Version().Counter, name)
			require.True(t, course.Settled(), "%s waits for %v", name, course.Waits())
			require.Nil(t, course.Removed(), name)
		}
	}
}

func TestCommitsThatCannotBeAreRefused(t *testing.T) {
	c := three(t, "dog")
	ant := c.courses["ant"]
	old, err := ant.Propose(mustStage(t, Staging{}, "ant", ant.Tip(), Node{"dog", "", 1}, Own), false)
	require.NoError(t, err)
	require.ErrorContains(t, c.commit(t, "ant", Node{Name: "ant"}, Remove), "commit at another node")
	c.staged["ant"] = Staging{}
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	require.ErrorContains(t, ant.Commit(old), "committed meanwhile")
	c.settle(c.names()...)
	require.ErrorContains(t, ant.Commit(old), "look at the plan again")
	require.NoError(t, c.commit(t, "ant", Node{Name: "dog"}, Remove))
	c.settle(c.names()...)
	require.ErrorContains(t, c.commit(t, "dog", Node{"eel", "", 1}, Own), "was removed")
}

// A decision that nobody could read is not made: a node that is gone until its removal is
// settled is no member before.
func TestWhoIsBeingRemovedIsNotTakenInAgain(t *testing.T) {
	c := three(t)
	require.NoError(t, c.commit(t, "ant", Node{Name: "cat"}, Remove))
	c.settle("ant", "bee")
	require.True(t, c.courses["ant"].Settled())
	require.NoError(t, c.commit(t, "ant", Node{"cat", "", 1}, Own))

	c = three(t)
	require.NoError(t, c.commit(t, "ant", Node{Name: "cat"}, Remove))
	for range 2 { // in use, and complete nowhere yet
		for _, name := range []string{"ant", "bee"} {
			c.courses[name].Hear(c.courses["ant"].Files())
			c.courses[name].Hear(c.courses["bee"].Files())
			for c.courses[name].Turn() {
				continue
			}
		}
	}
	require.Equal(t, []string{"cat"}, c.courses["ant"].Tip().Gone())
	require.False(t, c.courses["ant"].Settled())
	require.ErrorContains(t, c.commit(t, "ant", Node{"cat", "", 1}, Own), "wait until its removal is settled")
}

// Whatever operators commit wherever, whatever is told in whatever order, late, twice or
// never: no two nodes that both had a say use rivals, nobody is further ahead than the
// others allow, and once all can hear one another all settle on one decision.
func TestCoursesMeetWhateverTheNetworkDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawNodes(t, 2, 4)
		known := map[string]bool{}
		for _, n := range members {
			known[n.Name] = true
		}
		var others []string
		for _, n := range nodeNames[:6] {
			if !known[n] && len(others) < 2 {
				others = append(others, n)
			}
		}
		c := newCrowd(t, 4, 2, members, others...)
		names := c.names()
		draw := func(what string) string { return rapid.SampledFrom(names).Draw(t, what) }
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			at := draw("at")
			course := c.courses[at]
			switch rapid.IntRange(0, 16).Draw(t, "event") {
			case 16: // it restarts
				again, err := DecodeCourse(at, course.AppendTo(nil))
				require.NoError(t, err)
				require.Equal(t, course, again, "what is saved is all that it knows")
				c.courses[at] = again
			case 0:
				intent := rapid.SampledFrom([]Intent{Own, Own, Leave, Remove}).Draw(t, "intent")
				_ = c.commit(t, at, drawNode(t, draw("whom")), intent)
			case 1, 2, 3:
				for course.Turn() && rapid.Bool().Draw(t, "more") {
					c.judge(t)
				}
			case 4:
				course.SetComplete()
			case 5, 6, 7:
				course.Hear(c.courses[draw("from")].Files())
			case 8:
				c.told = append(c.told, course.Files())
			case 10, 11, 12, 13, 14, 15:
				course.Hear(c.courses[draw("from")].Files())
				for course.Turn() {
					c.judge(t)
				}
			case 9:
				if len(c.told) > 0 {
					course.Hear(rapid.SampledFrom(c.told).Draw(t, "old news"))
				}
			}
			c.judge(t)
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps to the end") {
			course := c.courses[draw("who goes on")]
			course.Hear(c.courses[draw("whom it hears")].Files())
			c.complete(course)
			course.Turn()
			c.judge(t)
		}
		c.settle(names...)
		c.judge(t)
		c.judgeRest(t)
	})
}

func (c *crowd) judge(t require.TestingT) {
	for i, m := range c.courses {
		for j, n := range c.courses {
			c.judgePair(t, i, j, m, n)
		}
	}
}

func (c *crowd) judgePair(t require.TestingT, i, j string, m, n *Course) {
	if m.removed != (Version{}) || n.removed != (Version{}) {
		return
	}
	p, q := m.files[m.tip], n.files[n.tip]
	if m.tip == n.tip {
		require.Equal(t, p.Base, q.Base, "%s and %s come from the same base", i, j)
		if m.Step() == Alone && m.files[m.tip].Base != m.tip && slices.Contains(m.counting(p), j) {
			require.GreaterOrEqual(t, p.marks[j].Step, Ahead, "%s is alone, and has not heard that %s is ahead", i, j)
		}
		return
	}
	if q.Decision.parent == m.tip && q.marks[i].Held {
		require.Equal(t, q.Base == m.tip, m.Step() > Both, "%s is %v, and %s takes over from %v", i, m.Step(), j, q.Base)
	}
	if p.Decision.parent == q.Decision.parent && p.Decision.parent != (Version{}) {
		// Both had a say if both are members of the parent, which neither knows any more:
		// then each is gone by the other's decision, or came later.
		both := !q.Decision.isGone(i) && !p.Decision.isGone(j) && p.marks[i].Held && q.marks[j].Held
		require.False(t, both, "%s uses %v, %s uses %v", i, m.tip, j, n.tip)
	}
}

// judgeRest demands that all who have a part are settled on one decision.
func (c *crowd) judgeRest(t require.TestingT) {
	var tip Version
	for _, course := range c.courses {
		if course.removed == (Version{}) && course.tip.Compare(tip) > 0 {
			tip = course.tip
		}
	}
	for name, course := range c.courses {
		if course.removed != (Version{}) {
			continue
		}
		if d := course.Tip(); d.has(name) {
			require.Equal(t, tip, course.tip, "%s waits for %v", name, course.Waits())
			require.True(t, course.Settled(), "%s waits for %v", name, course.Waits())
		}
		if course.Settled() {
			require.Len(t, course.Files(), 1, "what nobody goes by is forgotten")
		}
	}
}

func TestFilesMerge(t *testing.T) {
	d := First(mustNew(t, 8, 2, cluster(3, 1, equal)))
	rapid.Check(t, func(t *rapid.T) {
		draw := func() File {
			f := File{Decision: d}
			if rapid.Bool().Draw(t, "formed") {
				f.Formed, f.Base = true, d.version
			}
			for range rapid.IntRange(0, 4).Draw(t, "marks") {
				f = f.with(rapid.SampledFrom(nodeNames[:3]).Draw(t, "node"), Mark{
					Held: rapid.Bool().Draw(t, "held"), Beyond: rapid.Bool().Draw(t, "beyond"),
					Complete: rapid.Bool().Draw(t, "complete"), Step: Step(rapid.IntRange(0, 3).Draw(t, "step")),
				})
			}
			return f
		}
		a, b, c := draw(), draw(), draw()
		same := func(a, b File, why string) { require.True(t, sameFile(a, b), why) }
		same(a, MergeFiles(a, a), "idempotent")
		same(MergeFiles(a, b), MergeFiles(b, a), "commutative")
		same(MergeFiles(MergeFiles(a, b), c), MergeFiles(a, MergeFiles(b, c)), "associative")
		same(MergeFiles(a, b), MergeFiles(MergeFiles(a, b), a), "never backwards")
	})
}
