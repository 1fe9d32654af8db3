package nemesis

import (
	"bytes"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRotBites: that a process is gone, which TestEveryNemesisBites sees, says nothing of
// its files. Of one of those that an engine reads a bit is wrong or the end is gone, the
// others are as they were, and what the nemesis says is what it did.
func TestRotBites(t *testing.T) {
	files := map[string][]byte{"000001.sst": bytes.Repeat([]byte("table"), 40), "000002.log": []byte("log"), "000003.log": nil, "MANIFEST-000004": []byte("manifest"), "OPTIONS-000005": []byte("options")}
	hit := map[string]bool{}
	for seed := range uint64(300) {
		dir := t.TempDir()
		for name, content := range files {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		}
		r := rotten{downed: downed{Target: Target{Random: rand.New(rand.NewPCG(seed, 0))}}}
		what, err := r.spoil(dir)
		require.NoError(t, err)
		var spoilt []string
		for name, was := range files {
			is, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			if bytes.Equal(was, is) {
				continue
			}
			spoilt = append(spoilt, name)
			require.Contains(t, what, name)
			if strings.Contains(what, "cut short") {
				require.Equal(t, was[:len(is)], is)
				require.Contains(t, what, fmt.Sprintf("after %d of %d bytes", len(is), len(was)))
				hit[name+", cut"] = true
				continue
			}
			require.Len(t, is, len(was))
			wrong := 0
			for i := range is {
				wrong += bits.OnesCount8(is[i] ^ was[i])
			}
			require.Equal(t, 1, wrong, what)
			hit[name+", bit"] = true
		}
		require.Len(t, spoilt, 1, what)
	}
	require.Len(t, hit, 6, "tables, logs and manifests, either way: %v", hit)
	_, err := (&rotten{downed: downed{Target: Target{Random: rand.New(rand.NewPCG(1, 0))}}}).spoil(t.TempDir())
	require.ErrorContains(t, err, "has no file to spoil")
}
