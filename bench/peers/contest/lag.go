package contest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/kindredkv/kindred/local"
)

const (
	// lagMetric is how many writes a node knows of and does not have.
	lagMetric = "kindred_replica_lag_dots"
	// metricsBytesMax bounds what is read of one node's metrics.
	metricsBytesMax = 16 << 20
)

// caughtUp is nil once no node of a cluster lacks a write that it knows of.
func caughtUp(ctx context.Context, cluster *local.Cluster) error {
	status, err := cluster.Status()
	if err != nil {
		return err
	}
	for _, n := range status.Nodes {
		lag, err := lagOf(ctx, n.HTTP)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		if lag > 0 {
			return fmt.Errorf("%s lacks %.0f writes", n.Name, lag)
		}
	}
	return nil
}

func lagOf(ctx context.Context, addr string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return metric(io.LimitReader(resp.Body, metricsBytesMax), lagMetric)
}

// metric finds a number without labels in what Prometheus reads.
func metric(in io.Reader, name string) (float64, error) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if n, value, _ := strings.Cut(lines.Text(), " "); n == name {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("its metrics have no %s", name)
}
