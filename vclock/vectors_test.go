package vclock

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// vectorKey is a key as plain version vectors keep it: per actor only the
// highest counter. It is here to lose a write.
type vectorKey struct {
	versions []Version[string]
	vector   map[Actor]uint64
}

// merge is the textbook rule: a version stays if both sides have it, or if its
// counter is above the other side's entry for its actor.
func (k *vectorKey) merge(write Delta[string]) {
	theirs := map[Actor]uint64{}
	for _, known := range []DotSet{write.Context, write.Dots} {
		for a := range known.Spans() {
			theirs[a] = max(theirs[a], known.Max(a))
		}
	}
	var stay []Version[string]
	for _, v := range k.versions {
		if write.Has(v.Dot) || v.Dot.Counter > theirs[v.Dot.Actor] {
			stay = append(stay, v)
		}
	}
	for _, v := range write.Versions {
		if v.Dot.Counter > k.vector[v.Dot.Actor] {
			stay = append(stay, v)
		}
	}
	k.versions = stay
	for a, counter := range theirs {
		k.vector[a] = max(k.vector[a], counter)
	}
}

func (k *vectorKey) values() []string { return Siblings[string]{Versions: k.versions}.Values() }

// lostWriteStory is counter-example C1: it returns what both ways of keeping
// time show at home replica A, step by step, and what they show in the end.
func lostWriteStory() (transcript string, byVectors, byDots []string) {
	f := Actor{Disk: 0xF, Nonce: 1}
	milk := write(Dot{f, 1}, "milk", DotSet{})
	eggs := write(Dot{f, 2}, "eggs", DotSet{})

	vector := vectorKey{vector: map[Actor]uint64{}}
	var clock DotSet
	var dotted Siblings[string]

	var b strings.Builder
	row := func(step, left, right string) { fmt.Fprintf(&b, "%-34s| %-24s| %s\n", step, left, right) }
	show := func(step string) {
		knows := strings.ReplaceAll(clock.String(), f.String(), "f")
		row(step, fmt.Sprintf("%v knows f up to %d", vector.values(), vector.vector[f]), fmt.Sprintf("%v knows %s", dotted.Values(), knows))
	}
	row("at home replica A", "vectors of maxima", "sets of dots")
	row(strings.Repeat("-", 34), strings.Repeat("-", 24), strings.Repeat("-", 25))
	show("f took milk as f:1, eggs as f:2")
	vector.merge(eggs)
	dotted.Merge(&clock, eggs)
	show("f:2 arrives: eggs")
	vector.merge(milk)
	dotted.Merge(&clock, milk)
	show("f:1 arrives, late: milk")
	return b.String(), vector.values(), dotted.Values()
}

func TestC1_VectorsOfMaximaLoseAWriteAndDotSetsDoNot(t *testing.T) {
	_, byVectors, byDots := lostWriteStory()
	require.Equal(t, []string{"eggs"}, byVectors, "milk was acknowledged, and is gone")
	require.Equal(t, []string{"milk", "eggs"}, byDots)
}

func TestReadmeShowsWhatHappens(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	transcript, _, _ := lostWriteStory()
	_, after, found := strings.Cut(string(readme), "```text\n")
	require.True(t, found)
	block, _, found := strings.Cut(after, "```")
	require.True(t, found)
	require.Equal(t, transcript, block)
}
