package driver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kindredkv/kindred/bench/load"
)

// metricsPatience is how long a node may take to show its metrics, and
// metricsBytesMax how many it may show.
const (
	metricsPatience = 3 * time.Second
	metricsBytesMax = 16 << 20
)

// cpuMetric is what every program with a Prometheus client shows.
const cpuMetric = "process_cpu_seconds_total"

// Process is one whose processor time is watched.
type Process struct {
	Name, Source string
	// read says how many seconds it has used so far, and which process that is.
	read func(ctx context.Context) (seconds float64, identity string, err error)
}

// Own is this program.
func Own(name string) Process {
	return Process{name, "own", func(context.Context) (float64, string, error) {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return 0, "", err
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds(), "", nil
	}}
}

// ByPID is a process of this machine.
func ByPID(name string, pid int) Process {
	return Process{name, "/proc", func(context.Context) (float64, string, error) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, "", fmt.Errorf("it does not run any more: %w", err)
		}
		return parseStat(string(b))
	}}
}

// ticksPerSecond is the unit of /proc: Linux shows it to programs as 100 on every
// machine.
const ticksPerSecond = 100

// parseStat reads /proc/PID/stat: the time used in the mode of users and in that of
// the system, and when the process started, which tells it from a later one with
// the same number.
func parseStat(text string) (seconds float64, started string, err error) {
	const user, system, start = 11, 12, 19 // counted after the name, which may hold anything
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) <= start {
		return 0, "", fmt.Errorf("/proc has %d fields where %d were expected", len(fields), start+1)
	}
	for _, i := range []int{user, system} {
		ticks, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return 0, "", fmt.Errorf("/proc: %w", err)
		}
		seconds += float64(ticks) / ticksPerSecond
	}
	return seconds, fields[start], nil
}

// ByMetrics is a process that shows its metrics under a URL.
func ByMetrics(name, url string, c *http.Client) Process {
	return Process{name, "metrics", func(ctx context.Context) (float64, string, error) {
		ctx, cancel := context.WithTimeout(ctx, metricsPatience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, "", err
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return 0, "", fmt.Errorf("%s answered %s", url, resp.Status)
		}
		return parseMetrics(resp.Body)
	}}
}

// parseMetrics finds the time used and the start of the process.
func parseMetrics(in io.Reader) (seconds float64, started string, err error) {
	lines, found := bufio.NewScanner(io.LimitReader(in, metricsBytesMax)), false
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case cpuMetric:
			if seconds, err = strconv.ParseFloat(value, 64); err != nil {
				return 0, "", err
			}
			found = true
		case "process_start_time_seconds":
			started = value
		}
	}
	if err := lines.Err(); err != nil {
		return 0, "", err
	}
	if !found {
		return 0, "", fmt.Errorf("its metrics have no %s", cpuMetric)
	}
	return seconds, started, nil
}

// readings are what processes had used at one moment.
type readings []reading

type reading struct {
	seconds  float64
	identity string
	err      error
}

func sampleAll(ctx context.Context, all []Process) readings {
	out := make(readings, len(all))
	var asked sync.WaitGroup
	for i, p := range all {
		asked.Go(func() { out[i].seconds, out[i].identity, out[i].err = p.read(ctx) })
	}
	asked.Wait()
	return out
}

// since says what they have used from then to now.
func (before readings) since(ctx context.Context, all []Process) []load.ProcessCPU {
	now, out := sampleAll(ctx, all), make([]load.ProcessCPU, len(all))
	for i, p := range all {
		a, b := before[i], now[i]
		out[i] = load.ProcessCPU{Name: p.Name, Source: p.Source}
		switch {
		case a.err != nil:
			out[i].Unknown = a.err.Error()
		case b.err != nil:
			out[i].Unknown = b.err.Error()
		case a.identity != b.identity:
			out[i].Unknown = "it was started anew meanwhile"
		default:
			out[i].Seconds = b.seconds - a.seconds
		}
	}
	return out
}
