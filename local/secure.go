package local

import (
	"crypto/tls"
	"errors"
	"net/http"
	"path/filepath"

	"github.com/kindredkv/kindred/security"
)

const (
	// kitName is the folder of authority, certificates, token and gossip key,
	// within the cluster's.
	kitName = "tls"
	// clientName is whom the cluster's own client is known as.
	clientName = "client"
)

// hosts are how the nodes are reached.
func (st *state) hosts() []string {
	hosts := []string{"127.0.0.1", "::1", "localhost"}
	for _, n := range st.Nodes {
		if n.Place.Host != "" {
			hosts = append(hosts, n.Place.Host)
		}
	}
	return hosts
}

// Identity names the files by which clients and tools get into the cluster, none
// if it has no TLS.
func (c *Cluster) Identity() (security.ClientFiles, error) {
	st, err := readState(c.dir)
	if err != nil || !st.TLS {
		return security.ClientFiles{}, err
	}
	kit, err := c.kit()
	return kit.Client(clientName), err
}

func (c *Cluster) kit() (security.Kit, error) { return security.OpenKit(filepath.Join(c.dir, kitName)) }

// PlainError says that a cluster which runs in plain text was asked to have TLS.
type PlainError struct{ Dir string }

func (e *PlainError) Error() string {
	return "the cluster in " + e.Dir + " runs without TLS, and its nodes cannot change that one by one: stop it with 'kvcli local stop --dir " + e.Dir + "', then start it with --tls"
}

// secure turns TLS on if that is asked for, and makes what is missing for it.
func (c *Cluster) secure(st *state, wanted bool) error {
	if wanted && !st.TLS {
		for _, n := range st.Nodes {
			if n.Process.state() != Stopped {
				return &PlainError{c.dir}
			}
		}
		st.TLS = true
	}
	if !st.TLS {
		return nil
	}
	kit, err := c.kit()
	if err != nil {
		return err
	}
	return kit.Furnish(names(st.Nodes), st.hosts())
}

// tlsFlags are a node's flags for what secure made.
func (c *Cluster) tlsFlags(st *state, node string) ([]string, error) {
	if !st.TLS {
		return nil, nil
	}
	kit, err := c.kit()
	f := kit.Node(node)
	return []string{
		"--tls-cert", f.Cert, "--tls-key", f.Key, "--tls-ca", f.CA,
		"--tokens", f.Tokens, "--gossip-key", f.GossipKeys,
	}, err
}

// door is how the nodes' HTTP addresses are asked.
type door struct {
	scheme string
	tls    *tls.Config
}

func (c *Cluster) door() (door, error) {
	files, err := c.Identity()
	if err != nil {
		return door{}, err
	}
	config, _, err := files.Open()
	switch {
	case err != nil:
		return door{}, errors.Join(errors.New("the keys of the local cluster cannot be used"), err)
	case config == nil:
		return door{scheme: "http"}, nil
	}
	return door{scheme: "https", tls: config}, nil
}

func (d door) transport() *http.Transport {
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: d.tls}
}

func (d door) url(addr, path string) string { return d.scheme + "://" + addr + path }
