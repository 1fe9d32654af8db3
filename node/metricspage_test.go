package node

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// family is what /metrics, or the page, says of one metric.
type family struct{ kind, labels, help string }

// TestThePageShowsEveryMetric scrapes a node in a state in which it has something
// to say of everything (TLS, injected faults, hints for a node that is gone), and
// holds docs/metrics.md to it in both directions.
func TestThePageShowsEveryMetric(t *testing.T) {
	s := fortify(t, 0)
	require.NoError(t, s.kit.Furnish(names(3), []string{"127.0.0.1"}))
	var seeds []string
	for _, name := range names(3) {
		cfg, book := s.config(name, seeds)
		cfg.Expect, cfg.Replicas, cfg.FaultInjection = 3, 2, true
		seeds = append(seeds, cfg.GossipAddr)
		s.nodes, s.books = append(s.nodes, start(t, cfg)), append(s.books, book)
	}
	awaitReady(t, s.nodes...)
	require.NoError(t, s.nodes[2].Stop(context.Background()))

	var scraped map[string]family
	owed := func() bool {
		for i := range 20 {
			do(t, s.nodes[0], kindred.Request{Op: kindred.OpPut, Key: fmt.Sprint("k", i), Value: []byte("v")})
		}
		scraped = families(t, s.scrape(s.nodes[0]))
		_, ok := scraped["kindred_hints_owed"]
		return ok
	}
	require.Eventually(t, owed, patience, 100*time.Millisecond, "no hint for a node that is gone")

	page := metricsPage(t)
	var missing []string
	for name, got := range scraped {
		shown, ok := page[name]
		if !ok {
			missing = append(missing, fmt.Sprintf("%s: %+v", name, got))
			continue
		}
		require.Equal(t, shown, got, name)
	}
	require.Empty(t, missing, "docs/metrics.md lacks these: what do they mean, and what is to be done when they move?")
	for name := range page {
		require.Contains(t, scraped, name, "docs/metrics.md shows what no node has")
	}
}

// scrape reads /metrics as Prometheus would, with a client's certificate.
func (s *stronghold) scrape(n *Node) string {
	config, _, err := s.kit.Client("client").Open()
	require.NoError(s.t, err)
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + n.addrs.http + "/metrics")
	require.NoError(s.t, err)
	defer resp.Body.Close()
	require.Equal(s.t, http.StatusOK, resp.StatusCode)
	b, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return string(b)
}

// families reads the text format as far as we write it, and leaves out what the
// Go runtime and the process say of themselves.
func families(t *testing.T, text string) map[string]family {
	out, labels := map[string]family{}, map[string][]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if m := regexp.MustCompile(`^# (HELP|TYPE) (kindred_\w+) (.*)$`).FindStringSubmatch(line); m != nil {
			f := out[m[2]]
			if m[1] == "HELP" {
				f.help = m[3]
			} else {
				f.kind = m[3]
			}
			out[m[2]] = f
			continue
		}
		m := regexp.MustCompile(`^(kindred_\w+)\{(.*)\} `).FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(m[1], "")
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" && !slices.Contains(labels[name], l[1]) {
				labels[name] = append(labels[name], l[1])
			}
		}
	}
	for name, l := range labels {
		f, ok := out[name]
		require.True(t, ok, "%s has samples and no help", name)
		slices.Sort(l)
		f.labels = strings.Join(l, ", ")
		out[name] = f
	}
	return out
}

// metricsPage reads the tables: name, type, unit, labels, meaning, what to do.
func metricsPage(t *testing.T) map[string]family {
	b, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	out := map[string]family{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(kindred_\\w+)` \\|(.*)\\|$").FindAllStringSubmatch(string(b), -1) {
		cells := strings.Split(m[2], "|")
		require.Len(t, cells, 5, m[1])
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		require.NotContains(t, out, m[1], "twice on the page")
		require.NotEmpty(t, cells[4], "what to do when %s moves", m[1])
		unit := cells[1]
		require.NotEmpty(t, unit, m[1])
		for _, base := range []string{"seconds", "bytes"} {
			require.Equal(t, strings.HasSuffix(strings.TrimSuffix(m[1], "_total"), "_"+base), unit == base, "%s has the unit %s", m[1], unit)
		}
		out[m[1]] = family{cells[0], strings.ReplaceAll(cells[2], "`", ""), cells[3]}
	}
	return out
}

// TestAlertsNameMetrics: the suggested alerts ask for metrics that exist.
func TestAlertsNameMetrics(t *testing.T) {
	page := metricsPage(t)
	b, err := os.ReadFile("../deploy/alerts.yaml")
	require.NoError(t, err)
	named := regexp.MustCompile(`kindred_\w+`).FindAllString(string(b), -1)
	require.NotEmpty(t, named)
	for _, name := range named {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if _, ok := page[name]; !ok {
			require.Contains(t, page, base)
		}
	}
}
