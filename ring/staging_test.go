package ring

import (
	"encoding/hex"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func mustStage(t require.TestingT, s Staging, by string, d *Decision, n Node, intent Intent) Staging {
	s, err := s.Stage(by, d, n, intent)
	require.NoError(t, err)
	return s
}

func drawStaging(t *rapid.T, s Staging, d *Decision, label string) Staging {
	for range rapid.IntRange(0, 4).Draw(t, "changes "+label) {
		n := drawNode(t, rapid.SampledFrom(nodeNames[:5]).Draw(t, "node "+label))
		intent := rapid.SampledFrom([]Intent{Keep, Own, Leave, Remove}).Draw(t, "intent")
		s = mustStage(t, s, rapid.SampledFrom(nodeNames[:3]).Draw(t, "by"), d, n, intent)
	}
	return s
}

// Operators stage on several sides of a cut; whoever merges what in which order, all know
// the same in the end, and nothing is dropped but for something later for the same node.
func TestStagingsOfAnyNumberOfSidesMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := First(mustNew(t, 8, 2, drawNodes(t, 1, 4)))
		common := drawStaging(t, Staging{}, d, "before the cut")
		sides := make([]Staging, rapid.IntRange(3, 6).Draw(t, "sides"))
		for i := range sides {
			sides[i] = drawStaging(t, common, d, "of a side")
		}
		a, b, c := sides[0], sides[1], sides[2]
		require.Equal(t, a.All(), MergeStaging(a, a).All(), "idempotent")
		require.Equal(t, MergeStaging(a, b).All(), MergeStaging(b, a).All(), "commutative")
		require.Equal(t, MergeStaging(MergeStaging(a, b), c).All(), MergeStaging(a, MergeStaging(b, c)).All(), "associative")

		var all Staging
		for _, i := range rapid.Permutation(sides).Draw(t, "order") {
			all = MergeStaging(all, i)
		}
		for _, s := range sides {
			require.Equal(t, all.All(), MergeStaging(all, s).All(), "it has that already")
			for _, e := range s.All() {
				at, known := all.find(e.Name)
				require.True(t, known, "%s is lost", e.Name)
				require.LessOrEqual(t, e.compare(all.entries[at]), 0, "%s is lost to something earlier", e.Name)
			}
		}
	})
}

func TestWhatTwoOperatorsStageForOneNodeIsNamed(t *testing.T) {
	d := First(mustNew(t, 8, 2, cluster(3, 1, equal)))
	left := mustStage(t, Staging{}, "n1", d, Node{Name: "n4", Capacity: 1}, Own)
	right := mustStage(t, Staging{}, "n2", d, Node{Name: "n4", Capacity: 2}, Own)
	right = mustStage(t, right, "n2", d, Node{Name: "n3"}, Leave)
	require.Equal(t, []string{"n4"}, Clashes(left, right))
	require.Empty(t, Clashes(left, left))
	require.Equal(t, uint32(2), MergeStaging(left, right).Pending(d)[1].Capacity, "the larger stamp stays")
}

// What was committed is pending no more, also when somebody who was away brings it back;
// what a decision took that lost against its rival is.
func TestCommittedChangesArePendingNoMore(t *testing.T) {
	d := First(mustNew(t, 8, 2, cluster(3, 1, equal)))
	left := mustStage(t, Staging{}, "n1", d, Node{Name: "n4", Capacity: 1}, Own)
	right := mustStage(t, Staging{}, "n2", d, Node{Name: "n3"}, Leave)
	won, err := d.next(left, 2, true, false)
	require.NoError(t, err)
	both := MergeStaging(left, right)
	require.Equal(t, "n3", both.Pending(won)[0].Name, "the other's change waits for the next commit")
	require.Len(t, both.Pending(won), 1)

	trimmed := both.Trim(won)
	require.Len(t, trimmed.All(), 1)
	require.Len(t, MergeStaging(trimmed, left).Pending(won), 1, "an old copy does no harm")

	again := mustStage(t, trimmed, "n1", won, Node{Name: "n4"}, Leave)
	require.Len(t, MergeStaging(again, left).Pending(won), 2)
	require.Empty(t, again.Clear("n3", won).Pending(won))
	require.Empty(t, MergeStaging(again, again.Clear("n3", won)).Pending(won), "what was taken back stays so")
}

// Names come and go for years: neither what is staged nor what decisions remember grows
// without end, what was done once is never done again, and names can be used again.
func TestNamesNeverRunOut(t *testing.T) {
	d := First(mustNew(t, 2, 1, cluster(2, 1, equal)))
	var s, all Staging // all is what a node knows that was away, and heard of no decision
	change := func(n Node, intent Intent) {
		s = mustStage(t, s, "n1", d, n, intent)
		next, err := d.next(s, d.version.Counter+1, true, false)
		require.NoError(t, err)
		all.entries = append(all.entries, s.Pending(d)...)
		if d, s = next, s.Trim(next); len(d.taken)%500 == 0 {
			again, err := DecodeDecision(d.AppendTo(nil))
			require.NoError(t, err)
			require.Equal(t, d.version, again.version)
			require.Equal(t, d.floor, again.floor)
		}
		require.Empty(t, s.All())
	}
	change(Node{Name: "old", Capacity: 1}, Own)
	change(Node{Name: "old"}, Leave)
	change(Node{Name: "stays", Capacity: 1}, Own)
	for i := range StagedMax + 500 {
		change(Node{Name: fmt.Sprint("m", i), Capacity: 1}, Own)
		change(Node{Name: fmt.Sprint("m", i)}, Leave)
		require.LessOrEqual(t, len(d.taken), forgetAt+NodesMax)
	}
	require.Empty(t, all.Pending(d))
	require.Positive(t, d.floor)
	require.True(t, d.Decided("stays"))
	require.False(t, d.Decided("old"), "it is forgotten")
	change(Node{Name: "old", Capacity: 2}, Own)
	n, _ := d.layout.Node("old")
	require.Equal(t, uint32(2), n.Capacity)
}

// What is taken back again and again goes as well.
func TestWhatIsTakenBackIsForgottenWhenItIsMuch(t *testing.T) {
	d := First(mustNew(t, 2, 1, cluster(2, 1, equal)))
	var s Staging
	for i := range forgetAt + 1 {
		s = mustStage(t, s, "n1", d, Node{Name: fmt.Sprint("m", i), Capacity: 1}, Own)
	}
	old := s
	s = s.Clear("n1", d)
	s = mustStage(t, s, "n1", d, Node{Name: "n9", Capacity: 1}, Own)
	d, err := d.next(s, 2, true, false)
	require.NoError(t, err)
	require.Empty(t, s.Trim(d).All())
	require.Empty(t, MergeStaging(s.Trim(d), old).Pending(d), "what was taken back stays so")
}

func TestStagingRefusesWhatNoLayoutHolds(t *testing.T) {
	d := First(mustNew(t, 8, 2, cluster(3, 1, equal)))
	_, err := Staging{}.Stage("n1", d, Node{}, Own)
	requireTyped(t, err)
	full := Staging{entries: make([]Staged, StagedMax)}
	_, err = full.Stage("n1", d, Node{Name: "n4"}, Own)
	requireTyped(t, err)
	require.ErrorContains(t, err, "4096")
}

const (
	goldenStaging  = "testdata/staging-1.hex"
	goldenDecision = "testdata/decision-1.hex"
)

func golden(t *testing.T, file string, b []byte) {
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(hex.Dump(b)), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), hex.Dump(b))
}

func someStaging(t require.TestingT, d *Decision) Staging {
	s := mustStage(t, Staging{}, "ann", d, Node{"eve", "north", 2}, Own)
	s = mustStage(t, s, "bob", d, Node{Name: "cy"}, Remove)
	s = mustStage(t, s, "ann", d, Node{Name: "dee"}, Leave)
	return mustStage(t, s, "cy", d, Node{Name: "dee"}, Keep)
}

// What is on disks and between nodes is to stay readable.
func TestGoldenBytesOfStagingsAndDecisions(t *testing.T) {
	first := First(goldenLayout(t))
	s := someStaging(t, first)
	golden(t, goldenStaging, s.AppendTo(nil))
	read, err := DecodeStaging(s.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, s, read)

	d, err := first.next(s, 9, false, true)
	require.NoError(t, err)
	golden(t, goldenDecision, d.AppendTo(nil))
	for _, d := range []*Decision{first, d} {
		read, err := DecodeDecision(d.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, d, read)
	}
	require.Equal(t, first.layout.version, first.version, "a cluster from before there were decisions goes on")
	require.Equal(t, []string{"cy"}, d.Gone())
}

func TestEveryTruncationOfStagingsAndDecisionsIsRefused(t *testing.T) {
	first := First(goldenLayout(t))
	s := someStaging(t, first)
	d, err := first.next(s, 9, false, true)
	require.NoError(t, err)
	for b := s.AppendTo(nil); len(b) > 0; {
		b = b[:len(b)-1]
		_, err := DecodeStaging(b)
		requireTyped(t, err)
	}
	for b := d.AppendTo(nil); len(b) > 0; {
		b = b[:len(b)-1]
		_, err := DecodeDecision(b)
		requireTyped(t, err)
	}
	_, err = DecodeStaging(append(s.AppendTo(nil), 0))
	requireTyped(t, err)
	_, err = DecodeDecision(append(d.AppendTo(nil), 0))
	requireTyped(t, err)
}

func FuzzDecodeDecision(f *testing.F) {
	first := First(goldenLayout(f))
	d, err := first.next(someStaging(f, first), 9, true, false)
	require.NoError(f, err)
	f.Add(d.AppendTo(nil))
	f.Add(someStaging(f, first).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := DecodeDecision(b); err == nil {
			require.Equal(t, b, d.AppendTo(nil))
		} else {
			requireTyped(t, err)
		}
		if s, err := DecodeStaging(b); err == nil {
			require.Equal(t, b, s.AppendTo(nil))
		} else {
			requireTyped(t, err)
		}
	})
}

// To let a node leave and to say that it is gone may make the same layout. They are two
// decisions.
func TestDecisionsDifferThoughTheirLayoutsDoNot(t *testing.T) {
	first := First(mustNew(t, 8, 2, cluster(3, 1, equal)))
	leave := mustStage(t, Staging{}, "n1", first, Node{Name: "n3"}, Leave)
	remove := mustStage(t, Staging{}, "n1", first, Node{Name: "n3"}, Remove)
	a, err := first.next(leave, 2, true, false)
	require.NoError(t, err)
	b, err := first.next(remove, 2, true, false)
	require.NoError(t, err)
	require.Equal(t, a.layout.version, b.layout.version)
	require.True(t, a.Version().Rivals(b.Version()))
}
