package nemesis

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestARingOfMajorities: every node reaches a majority, no two the same one, and who
// does not reach another is not reached by it.
func TestARingOfMajorities(t *testing.T) {
	for n := 4; n <= 12; n++ {
		var nodes []string
		for i := range n {
			nodes = append(nodes, string(rune('a'+i)))
		}
		seen := map[string]bool{}
		for i, node := range nodes {
			across := acrossRing(nodes, i)
			require.NotEmpty(t, across, "of %d", n)
			require.NotContains(t, across, node)
			require.Greater(t, n-len(across), n/2, "a majority of %d", n)
			slices.Sort(across)
			require.False(t, seen[strings.Join(across, "")], "the same as another's")
			seen[strings.Join(across, "")] = true
			for j, other := range nodes {
				require.Equal(t, slices.Contains(across, other), slices.Contains(acrossRing(nodes, j), node))
			}
		}
	}
}

// TestSpoiltFiles have one wrong bit, or lack their end.
func TestSpoiltFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "000001.sst")
	content := bytes.Repeat([]byte("kindred"), 100)
	bits, shorter := 0, 0
	for seed := range uint64(100) {
		r := &rotten{downed{Target: Target{Random: rand.New(rand.NewPCG(seed, 3))}}}
		require.NoError(t, os.WriteFile(path, content, 0o600))
		what, err := r.spoil(dir)
		require.NoError(t, err)
		require.Contains(t, what, "000001.sst")
		now, err := os.ReadFile(path)
		require.NoError(t, err)
		if len(now) < len(content) {
			require.Equal(t, content[:len(now)], now)
			shorter++
			continue
		}
		wrong := 0
		for i := range now {
			for d := now[i] ^ content[i]; d != 0; d &= d - 1 {
				wrong++
			}
		}
		require.Equal(t, 1, wrong)
		bits++
	}
	require.NotZero(t, shorter)
	require.NotZero(t, bits)
	require.NoError(t, os.Rename(path, filepath.Join(dir, "MANIFEST-000001")))
	what, err := (&rotten{downed{Target: Target{Random: rand.New(rand.NewPCG(1, 3))}}}).spoil(dir)
	require.NoError(t, err)
	require.Contains(t, what, "MANIFEST-000001")
	_, err = (&rotten{downed{Target: Target{Random: rand.New(rand.NewPCG(1, 3))}}}).spoil(t.TempDir())
	require.Error(t, err)
}

// TestWhatTakesADiskSaysSo: the storm goes by that (S2, S3).
func TestWhatTakesADiskSaysSo(t *testing.T) {
	disks := []string{"wipe", "image", "rot", "debt"}
	ends := []string{"kill", "power", "disk-full", "disk-error", "audit-cut"}
	for _, k := range Kinds() {
		want := Nothing
		switch {
		case slices.Contains(disks, k.Name):
			want = Disk
		case slices.Contains(ends, k.Name):
			want = Unsynced
		}
		require.Equal(t, want, k.Loses, k.Name)
		require.True(t, k.Touches == Nodes || k.Loses == Nothing, k.Name)
	}
}
