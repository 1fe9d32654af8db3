package ring

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const mebibyte = 1 << 20

func situation(down ...string) Situation {
	return Situation{Bytes: func(Partition) uint64 { return mebibyte }, Up: upBut(down...)}
}

func kinds(problems []Problem) (all []Kind) {
	for _, p := range problems {
		all = append(all, p.Kind)
	}
	return all
}

func (c *crowd) plan(t require.TestingT, at string, loss bool, now Situation) *Plan {
	course := c.courses[at]
	d, err := course.Propose(c.staged[at], loss)
	require.NoError(t, err)
	return course.Plan(c.staged[at], d, now)
}

func TestAPlanSaysWhatMovesWhereAndHowLongItTakes(t *testing.T) {
	c := newCrowd(t, 64, 2, []Node{{"ant", "", 1}, {"bee", "", 1}, {"cat", "", 1}}, "dog")
	c.staged["ant"] = mustStage(t, Staging{}, "ant", c.courses["ant"].Tip(), Node{"dog", "", 1}, Own)
	p := c.plan(t, "ant", false, situation())
	require.Empty(t, p.Refusals)
	require.Empty(t, p.Waits)
	require.Equal(t, 32, p.Copies, "its fair share")
	require.Equal(t, uint64(32*mebibyte), p.Bytes)
	require.Len(t, p.Nodes, 4)
	dog := p.Nodes[3]
	require.Equal(t, NodePlan{Node: Node{"dog", "", 1}, After: 32, In: 32, BytesIn: 32 * mebibyte}, dog)
	require.Equal(t, 32, p.Nodes[0].Out+p.Nodes[1].Out+p.Nodes[2].Out)
	require.Equal(t, 32*time.Second, p.Duration(Rates{In: mebibyte, Out: mebibyte}), "the newcomer takes longest")
	require.Equal(t, time.Duration(max(p.Nodes[0].Out, p.Nodes[1].Out, p.Nodes[2].Out))*time.Second,
		p.Duration(Rates{In: 1 << 40, Out: mebibyte}))
	require.Zero(t, p.Duration(Rates{}))
}

func TestADeadNodesCopiesComeFromTheOwnersThatAreLeft(t *testing.T) {
	c := newCrowd(t, 64, 2, []Node{{"ant", "", 1}, {"bee", "", 1}, {"cat", "", 1}})
	c.staged["ant"] = mustStage(t, Staging{}, "ant", c.courses["ant"].Tip(), Node{Name: "cat"}, Remove)
	p := c.plan(t, "ant", false, situation("cat"))
	require.Empty(t, p.Refusals)
	require.Empty(t, p.Waits, "nobody waits for who is gone")
	require.Zero(t, p.Nodes[2].Out)
	require.True(t, p.Nodes[2].Gone)
	require.Equal(t, p.Copies, p.Nodes[0].Out+p.Nodes[1].Out)
}

func TestImpossiblePlansAreRefusedWithReasons(t *testing.T) {
	members := []Node{{"ant", "", 1}, {"bee", "", 1}, {"cat", "", 1}, {"dog", "", 1}}
	c := newCrowd(t, 16, 3, members)
	tip := c.courses["ant"].Tip()
	require.Equal(t, []Kind{NothingStaged}, kinds(c.plan(t, "ant", false, situation()).Refusals))

	c.staged["ant"] = mustStage(t, Staging{}, "ant", tip, Node{Name: "eel"}, Leave)
	require.Equal(t, []Kind{NotMember}, kinds(c.plan(t, "ant", false, situation()).Refusals))

	c.staged["ant"] = mustStage(t, Staging{}, "ant", tip, Node{Name: "dog"}, Remove)
	require.Equal(t, []Kind{StillHere}, kinds(c.plan(t, "ant", false, situation()).Refusals))

	p := c.plan(t, "ant", false, situation("dog", "cat"))
	require.Empty(t, p.Refusals)
	require.Equal(t, []string{"cat"}, p.Waits)
	require.Contains(t, kinds(p.Notes), Unheard)

	c.staged["ant"] = mustStage(t, c.staged["ant"], "ant", tip, Node{Name: "cat"}, Remove)
	p = c.plan(t, "ant", false, situation("dog", "cat"))
	require.Equal(t, []Kind{Orphaned}, kinds(p.Refusals))
	require.NotEmpty(t, p.Orphans)
	require.Contains(t, p.Refusals[0].Text, "accept the loss")
	p = c.plan(t, "ant", true, situation("dog", "cat"))
	require.Empty(t, p.Refusals)
	require.Contains(t, kinds(p.Notes), Orphaned, "it is said all the same")
	require.Contains(t, kinds(p.Notes), FewNodes)

	_, err := c.courses["ant"].Propose(mustStage(t, mustStage(t, c.staged["ant"], "ant", tip, Node{Name: "bee"}, Leave), "ant", tip, Node{Name: "ant"}, Leave), false)
	requireTyped(t, err)
}

// A commit waits for a node that is away. To commit the same again would only make a rival
// of it; to stage more takes it in; to take it back is a plan too, which takes its place.
func TestACommitThatWaitsIsNotRepeated(t *testing.T) {
	c := three(t, "dog")
	ant := c.courses["ant"]
	require.NoError(t, c.commit(t, "ant", Node{"dog", "", 1}, Own))
	waits := ant.Holds().Version()
	p := c.plan(t, "ant", false, situation("cat"))
	require.Equal(t, []Kind{NothingStaged}, kinds(p.Refusals))
	require.Contains(t, p.Refusals[0].Text, waits.String())
	require.NotContains(t, kinds(p.Notes), Replaces)

	more := mustStage(t, c.staged["ant"], "ant", ant.Tip(), Node{Name: "cat"}, Remove)
	c.staged["ant"] = more
	p = c.plan(t, "ant", false, situation("cat"))
	require.Empty(t, p.Refusals)
	require.Contains(t, kinds(p.Notes), Replaces)
	require.Len(t, p.Takes, 2, "what waits is taken in")
	require.Equal(t, "cat", p.Takes[0].Name)
	require.Equal(t, "dog", p.Takes[1].Name)

	c.staged["ant"] = more.Clear("ant", ant.Tip())
	p = c.plan(t, "ant", false, situation("cat"))
	require.Empty(t, p.Refusals)
	require.Contains(t, kinds(p.Notes), Replaces)
	require.Empty(t, p.Takes)
	require.Zero(t, p.Copies)
	back, err := ant.Propose(c.staged["ant"], false)
	require.NoError(t, err)
	require.NoError(t, ant.Commit(back))
	c.settle(c.names()...)
	require.Equal(t, back.Version(), c.courses["cat"].Tip().Version())
	require.False(t, c.courses["cat"].Tip().has("dog"), "what was taken back is never used")
}

// R25: a change that can never be complete goes on by a layout that accepts the loss and
// changes nothing else. Where no change goes on, or the loss was accepted, there is nothing
// to commit.
func TestALossIsAcceptedWithoutAnyChange(t *testing.T) {
	c := three(t)
	ant := c.courses["ant"]
	require.Equal(t, []Kind{NothingStaged}, kinds(c.plan(t, "ant", true, situation()).Refusals))
	require.NotContains(t, kinds(c.plan(t, "ant", false, situation()).Notes), Acceptable)

	require.NoError(t, c.commit(t, "ant", Node{Name: "cat"}, Remove))
	require.Contains(t, kinds(c.plan(t, "ant", false, situation("cat")).Notes), Acceptable, "nor is it in use")
	require.NotContains(t, kinds(c.plan(t, "ant", true, situation("cat")).Refusals), NothingStaged)
	bee := c.courses["bee"]
	for range 4 { // nobody is complete
		bee.Hear(ant.Files())
		ant.Hear(bee.Files())
		for ant.Turn() || bee.Turn() {
			continue
		}
	}
	require.Equal(t, Both, ant.Step())
	without := c.plan(t, "ant", false, situation("cat"))
	require.Equal(t, []Kind{NothingStaged}, kinds(without.Refusals))
	require.Contains(t, kinds(without.Notes), Acceptable)
	with := c.plan(t, "ant", true, situation("cat"))
	require.Empty(t, with.Refusals)
	require.Zero(t, with.Copies)

	d, err := ant.Propose(c.staged["ant"], true)
	require.NoError(t, err)
	before := ant.Tip()
	require.NoError(t, ant.Commit(d))
	require.Equal(t, []Kind{NothingStaged}, kinds(c.plan(t, "ant", true, situation("cat")).Refusals), "it waits already")
	c.settle("ant", "bee")
	require.Equal(t, d.Version(), bee.Tip().Version())
	require.True(t, bee.Tip().Loss())
	require.Equal(t, before.Layout().Nodes(), bee.Tip().Layout().Nodes())
	require.Equal(t, []string{"cat"}, bee.Tip().Gone())
}

// Somebody has to own the data, and who plans otherwise is told that in his own words.
func TestNotEverybodyCanLeave(t *testing.T) {
	c := three(t, "dog")
	tip := c.courses["ant"].Tip()
	var s Staging
	for _, name := range []string{"ant", "bee"} {
		s = mustStage(t, s, "ant", tip, Node{Name: name}, Leave)
	}
	s = mustStage(t, s, "ant", tip, Node{Name: "cat"}, Own)
	_, err := c.courses["ant"].Propose(s, false)
	require.EqualError(t, err, "ring: not committed: nobody would be left to own the data: every member leaves, is removed, or gets the capacity 0: "+
		"let one stay, or join another that takes over in the same plan (kvcli cluster join), or take it back (kvcli cluster clear)")
	s = mustStage(t, s, "ant", tip, Node{"dog", "", 1}, Own)
	_, err = c.courses["ant"].Propose(s, false)
	require.NoError(t, err)
}

// Who was removed and returns has what nobody else may have, and nobody can say how much:
// a plan that says nothing moves has to say that.
func TestAPlanSaysThatWhoReturnsHandsOver(t *testing.T) {
	c := three(t, "dog")
	tip := c.courses["ant"].Tip()
	c.staged["ant"] = mustStage(t, Staging{}, "ant", tip, Node{Name: "dog"}, Own)
	p := c.plan(t, "ant", false, situation())
	require.Zero(t, p.Copies)
	require.Contains(t, kinds(p.Notes), HandsOver)
	c.staged["ant"] = mustStage(t, Staging{}, "ant", tip, Node{"dog", "", 1}, Own)
	require.NotContains(t, kinds(c.plan(t, "ant", false, situation()).Notes), HandsOver)
	c.staged["ant"] = mustStage(t, Staging{}, "ant", tip, Node{Name: "cat"}, Own)
	p = c.plan(t, "ant", false, situation())
	require.NotContains(t, kinds(p.Notes), HandsOver, "its copies are counted")
	require.Positive(t, p.Nodes[2].BytesOut)
}

func TestARemovedNodeComesBackWhenItsRemovalIsSettled(t *testing.T) {
	c := newCrowd(t, 16, 2, []Node{{"ant", "", 1}, {"bee", "", 1}, {"cat", "", 1}})
	require.NoError(t, c.commit(t, "ant", Node{Name: "cat"}, Remove))
	for _, name := range []string{"ant", "bee"} {
		c.courses[name].Hear(c.courses["ant"].Files())
		for c.courses[name].Turn() {
			continue
		}
		c.courses["ant"].Hear(c.courses[name].Files())
	}
	for c.courses["ant"].Turn() {
		continue
	}
	c.staged["ant"] = mustStage(t, c.staged["ant"], "ant", c.courses["ant"].Tip(), Node{"cat", "", 1}, Own)
	require.Equal(t, []Kind{StillGoing}, kinds(c.plan(t, "ant", false, situation()).Refusals))
	c.settle("ant", "bee")
	require.Empty(t, c.plan(t, "ant", false, situation()).Refusals)
}

// What nodes are sent is what they own more than before, and what some are sent others
// send.
func TestPlansAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := drawNodes(t, 2, 5)
		c := newCrowd(t, 16, 2, members)
		at := members[0].Name
		tip := c.courses[at].Tip()
		c.staged[at] = mustStage(t, Staging{}, at, tip, drawNode(t, "lynx"), Own)
		if len(members) > 2 {
			c.staged[at] = mustStage(t, c.staged[at], at, tip, Node{Name: members[1].Name}, rapid.SampledFrom([]Intent{Keep, Leave, Remove}).Draw(t, "intent"))
		}
		if tip.owns(members[1].Name) && !tip.owns(members[0].Name) {
			return // nobody who owns may be left
		}
		d, err := c.courses[at].Propose(c.staged[at], true)
		if nobody := new(CommitError); errors.As(err, &nobody) {
			return // the lynx was the only owner, and is not to own any more
		}
		require.NoError(t, err)
		p := c.courses[at].Plan(c.staged[at], d, situation(members[1].Name))
		in, out, bytes := 0, 0, uint64(0)
		for _, n := range p.Nodes {
			in, out, bytes = in+n.In, out+n.Out, bytes+n.BytesIn
			require.LessOrEqual(t, n.After-n.Before, n.In, n.Node.Name)
			require.True(t, n.Out == 0 || !n.Gone, "%s is gone", n.Node.Name)
		}
		require.Equal(t, p.Copies, in)
		require.Equal(t, p.Bytes, bytes)
		require.LessOrEqual(t, out, in, "what only gone nodes had nobody sends")
		if len(p.Orphans) == 0 {
			require.Equal(t, in, out)
		}
	})
}
