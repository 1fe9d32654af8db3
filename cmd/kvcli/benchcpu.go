package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/bench/driver"
	"github.com/kindredkv/kindred/local"
)

// benchProcesses are those whose processor time is measured: this one, and every
// node; one of the local cluster by its process id, another one by its metrics. It
// also says whether the cluster is asked through TLS.
func (a *app) benchProcesses(ctx context.Context, cl cluster) (all []driver.Process, encrypted bool, err error) {
	asking, cancel := context.WithTimeout(ctx, nodePatience)
	defer cancel()
	info, err := cl.Cluster(asking)
	if err != nil {
		return nil, false, err
	}
	p, err := a.find()
	if err != nil {
		return nil, false, err
	}
	files, err := a.shown(p)
	if err != nil {
		return nil, false, err
	}
	config, token, err := files.Open()
	if err != nil {
		return nil, false, err
	}
	scheme, web := "http", &http.Client{}
	if config != nil {
		scheme, web.Transport = "https", &http.Transport{TLSClientConfig: config}
	}
	if token != "" {
		web.Transport = withToken{web.Transport, token}
	}
	pids := a.localPIDs()
	all = []driver.Process{driver.Own("kvcli")}
	for _, m := range info.Members {
		switch pid := pids[m.ClientAddr]; {
		case m.State == kindred.Left:
		case pid > 0:
			all = append(all, driver.ByPID(m.Name, pid))
		default:
			all = append(all, driver.ByMetrics(m.Name, fmt.Sprintf("%s://%s/metrics", scheme, m.HTTPAddr), web))
		}
	}
	return all, config != nil, nil
}

// localPIDs are the processes of the local cluster by the address of the node: a
// name alone could be that of a node elsewhere.
func (a *app) localPIDs() map[string]int {
	pids := map[string]int{}
	c, err := local.Open(a.dir)
	if err != nil {
		return pids // there is none: nodes are asked for their metrics
	}
	s, err := c.Status()
	if err != nil {
		return pids
	}
	for _, n := range s.Nodes {
		if n.State != local.Stopped {
			pids[n.Client] = n.PID
		}
	}
	return pids
}

// withToken shows a token with every question.
type withToken struct {
	http.RoundTripper
	token string
}

// RoundTrip implements http.RoundTripper.
func (t withToken) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+t.token)
	return t.RoundTripper.RoundTrip(req)
}
