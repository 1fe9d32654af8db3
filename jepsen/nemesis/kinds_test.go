package nemesis

import (
	"errors"
	"math/rand/v2"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryKindIsDescribed: 'kvcli jepsen list' has nothing else to go by.
func TestEveryKindIsDescribed(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Kinds() {
		require.Regexp(t, regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`), k.Name)
		require.NotEqual(t, Every, k.Name)
		require.False(t, names[k.Name], "%s is there twice", k.Name)
		names[k.Name] = true
		require.NotEmpty(t, k.Doc, k.Name)
		require.NotEmpty(t, k.Holds, k.Name)
		require.Contains(t, []Touch{Network, Nodes}, k.Touches, k.Name)
		require.Equal(t, k.Needs == "", k.Missing == nil, "%s: what it needs can be missing", k.Name)
		require.NotNil(t, k.New, k.Name)
	}
}

func TestParse(t *testing.T) {
	kinds, left, err := Parse([]string{"kill", "cut", "kill"})
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, []string{"kill", "cut"}, kindNames(kinds))

	kinds, left, err = Parse([]string{"cut", Every})
	require.NoError(t, err)
	require.Equal(t, len(Kinds()), len(kinds)+len(left))
	require.Equal(t, "cut", kinds[0].Name, "named once, there once")

	_, _, err = Parse([]string{"meteor"})
	require.ErrorContains(t, err, `"meteor" is not a nemesis: use cut, one-way, `)
	require.ErrorContains(t, err, " or all")
}

func TestAKindThatIsMissingSaysWhy(t *testing.T) {
	k := Kind{Name: "meteor", Needs: "root", Missing: func() error { return errors.New("it needs root, to mount") }}
	require.EqualError(t, k.missing(), "nemesis meteor: it needs root, to mount")
	k.Missing = func() error { return nil }
	require.Nil(t, k.missing())
}

// TestTheFewAreAMinority of three nodes or more, and together with the others they
// are all.
func TestTheFewAreAMinority(t *testing.T) {
	nodes := []string{"n1", "n2", "n3", "n4", "n5", "n6", "n7"}
	for n := 2; n <= len(nodes); n++ {
		sizes := map[int]bool{}
		for seed := range uint64(50) {
			target := Target{Nodes: nodes[:n], Random: rand.New(rand.NewPCG(seed, 1))}
			few, most := target.Few()
			require.ElementsMatch(t, nodes[:n], append(append([]string{}, few...), most...))
			require.True(t, len(few) < len(most) || n == 2)
			sizes[len(few)] = true
			require.Contains(t, nodes[:n], target.One())
		}
		require.Len(t, sizes, max(1, (n-1)/2), "every size of a minority of %d", n)
	}
}

func kindNames(kinds []Kind) (names []string) {
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}
