package sim

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/workload"
)

var historiesFlag = flag.String("histories", "", "folder for the history of TestSeed, in EDN for the checkers of Jepsen: jepsen/history/README.md")

// keepHistory writes the history of a run, of one with a finding too.
func keepHistory(r *Result, folder string) error {
	files, err := r.History.Exports(fmt.Sprintf("seed-%d", r.Seed))
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, name), text, 0o644)
		}
	}
	return err
}

// A run of sets is also written as sets, a key each; one with deletes is not.
func TestHistoriesOfSeedsAreWritten(t *testing.T) {
	cfg := Draw(1)
	cfg.Kinds, cfg.Keys, cfg.Storm, cfg.Expire, cfg.LastWins, cfg.Flood = []workload.Kind{workload.Set}, 2, cfg.Storm/4, 0, false, 0.05
	r := Play(1, cfg, Options{})
	require.Nil(t, r.Finding)
	folder := t.TempDir()
	require.NoError(t, keepHistory(r, folder))
	require.Equal(t, []string{"seed-1.edn", "seed-1.key-0.set.edn", "seed-1.key-1.set.edn", "seed-1.register.edn"}, names(t, folder))

	cfg.Kinds = []workload.Kind{workload.Set, workload.Recreate}
	folder = t.TempDir()
	require.NoError(t, keepHistory(Play(1, cfg, Options{}), folder))
	require.Equal(t, []string{"seed-1.edn"}, names(t, folder))

	// What a put writes is what its form says: the elements of final reads were read,
	// those of all others come from what writes had seen.
	elements := map[history.WriteID][]history.WriteID{}
	for _, op := range r.History.Ops {
		if op.Kind == history.Put {
			elements[op.Write] = op.Elements(elements)
		}
		for _, s := range op.Siblings {
			if op.Final {
				require.Equal(t, s.Set, elements[s.Write])
			}
		}
	}
}

func names(t *testing.T, folder string) (names []string) {
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
