package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/kindredkv/kindred/bench/peers/table"
)

// machine is what is known of where this runs.
func machine() []table.Fact {
	return []table.Fact{
		{Name: "cores", Says: fmt.Sprint(runtime.NumCPU())},
		{Name: "CPU", Says: cpuModel(read("/proc/cpuinfo"))},
		{Name: "kernel", Says: strings.TrimSpace(read("/proc/sys/kernel/ostype") + read("/proc/sys/kernel/osrelease"))},
		{Name: "load before the end of the run (1, 5, 15 minutes)", Says: firstFields(read("/proc/loadavg"), 3)},
		{Name: "Go", Says: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH},
		{Name: "commit", Says: commit()},
	}
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b)) + " "
}

// cpuModel finds the name of the processor in what Linux says of it.
func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return "unknown"
}

func firstFields(text string, n int) string {
	fields := strings.Fields(text)
	return strings.Join(fields[:min(n, len(fields))], ", ")
}

// commit is that of the folder in which this runs.
func commit() string {
	hash, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	says := strings.TrimSpace(string(hash))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(changed) > 0 {
		says += ", with changes that are not committed"
	}
	return says
}

// settings is how it was measured.
func (f *field) settings(o *options, began time.Time) []table.Fact {
	facts := []table.Fact{
		{Name: "date", Says: began.UTC().Format("2006-01-02")},
		{Name: "rounds", Says: fmt.Sprintf("%d, of %v for every question, after %v that do not count", o.rounds, o.each, warmup)},
		{Name: "took", Says: time.Since(began).Round(time.Second).String()},
	}
	for _, c := range f.contestants {
		if c.Version != "" {
			facts = append(facts, table.Fact{Name: c.Name, Says: c.Version})
		}
	}
	return facts
}
