package sim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// sameSeeds are the first seeds, whose hashes are compared between builds, sameTwice
	// those that are played again in this build, which may be a slow one.
	sameSeeds, sameTwice = 20, 3
)

// firstRuns are the runs of the first seeds, which more than one test has a use for.
var firstRuns = sync.OnceValue(func() []*Result { return play(sameSeeds) })

func play(seeds int) (runs []*Result) {
	for seed := range uint64(seeds) {
		runs = append(runs, Run(seed+1, Options{Events: *eventsFlag}))
	}
	return runs
}

func hashes(runs []*Result) (lines []string) {
	for _, r := range runs {
		lines = append(lines, fmt.Sprintf("seed %d: %016x after %d events\n", r.Seed, r.Hash, r.Events))
	}
	return lines
}

// TestPrintHashes is what TestTheSameSeedIsTheSameRun runs in other processes.
func TestPrintHashes(t *testing.T) {
	file, seeds := os.Getenv("KINDRED_SIM_HASHES"), 0
	if file == "" {
		t.Skip("nobody asks")
	}
	_, err := fmt.Sscan(os.Getenv("KINDRED_SIM_SEEDS"), &seeds)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, fmt.Append(nil, hashes(play(seeds))), 0o644))
}

// C16: a seed gives the same events, twice in one process, in processes with one and
// with two threads, and in a build with and without the race detector.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	want := hashes(firstRuns())
	require.Equal(t, want[:sameTwice], hashes(play(sameTwice)), "twice in this process")
	self, err := os.Executable()
	require.NoError(t, err)
	plain := filepath.Join(t.TempDir(), "plain.test")
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-o", plain, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for i, c := range []struct {
		binary, threads string
		seeds           int
	}{{self, "1", sameTwice}, {plain, "1", sameSeeds}, {plain, "2", sameSeeds}} {
		file := filepath.Join(t.TempDir(), fmt.Sprint(i))
		cmd := exec.Command(c.binary, "-test.run", "^TestPrintHashes$")
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+c.threads, "KINDRED_SIM_HASHES="+file, fmt.Sprint("KINDRED_SIM_SEEDS=", c.seeds))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(want[:c.seeds]), string(got), "%s with GOMAXPROCS=%s", filepath.Base(c.binary), c.threads)
	}
}

// Other seeds are other runs, and a fault that is taken out is out.
func TestSeedsDiffer(t *testing.T) {
	require.NotEqual(t, firstRuns()[0].Hash, firstRuns()[1].Hash)
	cfg := Draw(3)
	cfg.Fault, cfg.Loss, cfg.Net.Loss = Faults{}, Losses{}, 0
	r := Play(3, cfg, Options{})
	require.Nil(t, r.Finding)
	require.Zero(t, r.Hits[CrashLostRows])
}
