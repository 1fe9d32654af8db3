//go:build !race

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

// others is what programs beside a cluster and this one have used of the processors.
type others struct {
	began time.Time
	used  time.Duration
}

func newOthers(t *testing.T, c *local.Cluster) others {
	return others{time.Now(), machineUsage(t) - usage(t, c)}
}

// cores is how many processors they took since.
func (o others) cores(t *testing.T, c *local.Cluster) float64 {
	used := machineUsage(t) - usage(t, c) - o.used
	return max(0, used.Seconds()) / time.Since(o.began).Seconds()
}

// machineUsage is what all programs together have used, and what other machines on the
// same processor took, from /proc in ticks of 10 ms.
func machineUsage(t *testing.T) time.Duration {
	b, err := os.ReadFile("/proc/stat")
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(b), "\n")
	var ticks int64
	for i, f := range strings.Fields(line)[1:9] {
		if i == 3 || i == 4 { // idle, waiting for disks
			continue
		}
		n, err := strconv.ParseInt(f, 10, 64)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// report writes a section of a report, in the place of the one that begins alike, and
// where it was measured. A new file begins with the head.
func report(t *testing.T, path, head, name, section string) {
	if path == "" {
		return
	}
	old, _ := os.ReadFile(path)
	begin, end := "<!-- "+name+" -->\n", "<!-- end -->\n"
	text := string(old)
	if text == "" {
		text = head
	}
	section = begin + section + "\n" + where() + end
	if before, rest, found := strings.Cut(text, begin); found {
		_, after, _ := strings.Cut(rest, end)
		text = before + section + after
	} else {
		text += "\n" + section
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

// where says on what it was measured.
func where() string {
	read := func(path string) string {
		b, _ := os.ReadFile(path)
		return strings.TrimSpace(string(b))
	}
	model := "unknown"
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, says, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(says)
			break
		}
	}
	commit := "unknown"
	if hash, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output(); err == nil {
		commit = strings.TrimSpace(string(hash))
	}
	return fmt.Sprintf("%d cores, %s, %s %s, load before the end %s; %s; commit %s, %s.\n",
		runtime.NumCPU(), model, read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease"),
		strings.Join(strings.Fields(read("/proc/loadavg"))[:3], ", "), runtime.Version(), commit, time.Now().UTC().Format("2006-01-02"))
}
