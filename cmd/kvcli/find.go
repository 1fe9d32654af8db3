package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// clusterEnv holds addresses like --cluster.
const clusterEnv = "KINDRED_CLUSTER"

// lastResort is where a cluster is if nobody says otherwise.
const lastResort = "127.0.0.1:7400"

// place is where to dial, and why there.
type place struct {
	addrs []string
	why   string
	// local says that they are those of the cluster in --dir.
	local bool
}

// lastWhy is why the last resort is tried.
const lastWhy = "nothing else is named"

// find looks for a cluster in the order of the public contract.
func (a *app) find() (place, error) {
	for _, given := range []struct{ list, why string }{
		{a.cluster, "--cluster"},
		{a.getenv(clusterEnv), clusterEnv},
	} {
		if given.list == "" {
			continue
		}
		addrs := splitList(given.list)
		if len(addrs) == 0 {
			return place{}, fmt.Errorf("%s %q holds no address: use host:port,host:port,…", given.why, given.list)
		}
		return place{addrs: addrs, why: given.why}, nil
	}
	addrs, err := a.localAddrs()
	if err != nil {
		return place{}, err
	}
	if len(addrs) > 0 {
		return place{addrs: addrs, why: "the local cluster in " + a.dir, local: true}, nil
	}
	return place{addrs: []string{lastResort}, why: lastWhy}, nil
}

// localAddrs are those of the running nodes of the cluster in --dir.
func (a *app) localAddrs() ([]string, error) {
	c, err := local.Open(a.dir)
	var none *local.NoClusterError
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s, err := c.Status()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for _, n := range s.Nodes {
		if n.State == local.Running {
			addrs = append(addrs, n.Client)
		}
	}
	return addrs, nil
}

func splitList(list string) []string {
	var out []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// withCluster finds and dials a cluster for the time of one command.
func (a *app) withCluster(ctx context.Context, use func(cluster) error) error {
	p, err := a.find()
	if err != nil {
		return err
	}
	opts, err := a.identityOptions(p)
	if err != nil {
		return err
	}
	if a.timeout > 0 {
		opts = append(opts, client.WithTimeout(a.timeout))
	}
	c, err := a.dial(ctx, p.addrs, opts...)
	if err != nil {
		return a.explainDial(ctx, err, p)
	}
	defer c.Close()
	return use(c)
}

// plainExec is why a program cannot be run, without the names of system calls.
func plainExec(err error) error {
	var call *fs.PathError
	var run *exec.Error
	switch {
	case errors.As(err, &call):
		return call.Err
	case errors.As(err, &run):
		return run.Err
	}
	return err
}

// findKVNode finds the server binary: the one that was named, the one beside
// this program, or the one on PATH.
func findKVNode(named string) (string, error) {
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return "", fmt.Errorf("--kvnode %s: %w: name the kvnode program, or leave the flag out if it is beside kvcli", named, plainExec(err))
		}
		return filepath.Abs(path)
	}
	self, err := os.Executable()
	if err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			beside := filepath.Join(filepath.Dir(self), "kvnode")
			if path, err := exec.LookPath(beside); err == nil {
				return path, nil
			}
		}
	}
	path, err := exec.LookPath("kvnode")
	if err != nil {
		return "", fmt.Errorf("no kvnode beside %s and none on PATH: build it with 'make build', or name it with --kvnode", self)
	}
	return filepath.Abs(path)
}
