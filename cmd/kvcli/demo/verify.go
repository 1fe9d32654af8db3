package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/local"
)

// item is a key and the one value that it must have, or none if it is gone.
type item struct {
	bucket, key, value string
	gone               bool
}

const (
	readersPerNode = 16
	readTimeout    = 10 * time.Second
	// findingsShown bounds what an error lists; all are counted.
	findingsShown = 3
)

// verify reads every item through one of the nodes, which take turns; two home
// replicas have to answer. It goes through HTTP, one node at a time, because the
// Go client would ask another node if one failed, and so hide what is asked here.
func verify(ctx context.Context, nodes []local.Node, items []item, step func(done, total int64)) (int64, error) {
	v := &verifier{
		client: &http.Client{Timeout: readTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: readersPerNode}},
		step:   step, total: int64(len(items)),
	}
	defer v.client.CloseIdleConnections()
	var wg sync.WaitGroup
	for place, n := range nodes {
		var next atomic.Int64
		for range readersPerNode {
			wg.Go(func() {
				for i := next.Add(1) - 1; i < int64(len(items)) && ctx.Err() == nil; i = next.Add(1) - 1 {
					if int(i)%len(nodes) == place {
						v.check(ctx, n, items[i])
					}
				}
			})
		}
	}
	wg.Wait()
	return v.done.Load(), v.verdict(ctx)
}

type verifier struct {
	client *http.Client
	step   func(done, total int64)
	total  int64
	done   atomic.Int64

	mu       sync.Mutex
	wrong    int64
	findings []string
}

func (v *verifier) check(ctx context.Context, n local.Node, it item) {
	if problem := v.read(ctx, n, it); problem != "" {
		v.mu.Lock()
		v.wrong++
		if len(v.findings) < findingsShown {
			v.findings = append(v.findings, fmt.Sprintf("%s/%s through %s: %s", it.bucket, it.key, n.Name, problem))
		}
		v.mu.Unlock()
	}
	v.step(v.done.Add(1), v.total)
}

// read asks one node for one item and says what is wrong with the answer.
func (v *verifier) read(ctx context.Context, n local.Node, it item) (problem string) {
	at := fmt.Sprintf("http://%s/v1/buckets/%s/keys/%s?r=2&sloppy=false", n.HTTP, url.PathEscape(it.bucket), url.PathEscape(it.key))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, kindred.ValueBytesMax))
	switch {
	case err != nil:
		return err.Error()
	case it.gone && resp.StatusCode == http.StatusNotFound:
		return ""
	case it.gone && resp.StatusCode == http.StatusOK:
		return fmt.Sprintf("the value is %q, and it was deleted", body)
	case resp.StatusCode == http.StatusNotFound:
		return "missing"
	case resp.StatusCode == http.StatusMultipleChoices:
		return "several values, one was written"
	case resp.StatusCode != http.StatusOK:
		return resp.Status + " " + strings.TrimSpace(string(body))
	case string(body) != it.value:
		return fmt.Sprintf("the value is %q, written was %q", body, it.value)
	}
	return ""
}

// verdict fails if anything was wrong, and if not everything was read.
func (v *verifier) verdict(ctx context.Context) error {
	switch {
	case v.wrong > 0:
		return fmt.Errorf("%d of %d reads went wrong, for instance:\n  %s", v.wrong, v.total, strings.Join(v.findings, "\n  "))
	case ctx.Err() != nil:
		return ctx.Err()
	case v.done.Load() != v.total:
		return fmt.Errorf("only %d of %d reads were made", v.done.Load(), v.total)
	}
	return nil
}
