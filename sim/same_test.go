package sim

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sameSeeds are the seeds whose hashes are compared.
const sameSeeds = 4

func hashes() string {
	text := ""
	for seed := range uint64(sameSeeds) {
		r := Run(seed+1, Options{})
		text += fmt.Sprintf("seed %d: %016x after %d events\n", r.Seed, r.Hash, r.Events)
	}
	return text
}

// TestPrintHashes is what TestTheSameSeedIsTheSameRun runs in other processes.
func TestPrintHashes(t *testing.T) {
	if file := os.Getenv("KINDRED_SIM_HASHES"); file != "" {
		require.NoError(t, os.WriteFile(file, []byte(hashes()), 0o644))
	}
}

// C16: a seed gives the same events, twice in one process, in processes with one
// and with two threads, and in a build with and without the race detector.
func TestTheSameSeedIsTheSameRun(t *testing.T) {
	want := hashes()
	require.Equal(t, want, hashes(), "twice in this process")
	self, err := os.Executable()
	require.NoError(t, err)
	other := filepath.Join(t.TempDir(), "other.test")
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-o", other, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for i, c := range []struct{ binary, threads string }{{self, "1"}, {self, "2"}, {other, "2"}} {
		file := filepath.Join(t.TempDir(), fmt.Sprint(i))
		cmd := exec.Command(c.binary, "-test.run", "^TestPrintHashes$")
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+c.threads, "KINDRED_SIM_HASHES="+file)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%s with GOMAXPROCS=%s", filepath.Base(c.binary), c.threads)
	}
}

// Other seeds are other runs, and a fault that is taken out is out.
func TestSeedsDiffer(t *testing.T) {
	require.NotEqual(t, Run(1, Options{}).Hash, Run(2, Options{}).Hash)
	cfg := Draw(3)
	cfg.Fault, cfg.Loss, cfg.Net.Loss = Faults{}, Losses{}, 0
	r := Play(3, cfg, Options{})
	require.Nil(t, r.Finding)
	require.Zero(t, r.Hits[CrashLostRows])
}
