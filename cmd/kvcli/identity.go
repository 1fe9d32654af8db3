package main

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/security"
)

// identityFlags are how a cluster with TLS is told who calls.
func (a *app) identityFlags(f *pflag.FlagSet) {
	f.StringVar(&a.identity.CA, "tls-ca", "", "file of the authority that signed the nodes' certificates (KINDRED_TLS_CA)")
	f.StringVar(&a.identity.Cert, "tls-cert", "", "file of your certificate (KINDRED_TLS_CERT)")
	f.StringVar(&a.identity.Key, "tls-key", "", "file of its private key (KINDRED_TLS_KEY)")
	f.StringVar(&a.identity.Token, "token-file", "", "file of your token, instead of a certificate (KINDRED_TOKEN_FILE)")
}

// shown is what to show: flags, then the environment, then what belongs to the
// local cluster, if that is where the addresses are.
func (a *app) shown(p place) (security.ClientFiles, error) {
	if !a.identity.None() {
		return a.identity, nil
	}
	env := security.ClientFiles{
		CA: a.getenv("KINDRED_TLS_CA"), Cert: a.getenv("KINDRED_TLS_CERT"),
		Key: a.getenv("KINDRED_TLS_KEY"), Token: a.getenv("KINDRED_TOKEN_FILE"),
	}
	if !env.None() {
		return env, nil
	}
	c, err := local.Open(a.dir)
	if err != nil {
		return security.ClientFiles{}, nil // no local cluster, no keys of one
	}
	s, err := c.Status()
	if err != nil {
		return security.ClientFiles{}, err
	}
	ours := slices.ContainsFunc(s.Nodes, func(n local.Node) bool { return slices.Contains(p.addrs, n.Client) })
	if !ours {
		return security.ClientFiles{}, nil
	}
	return c.Identity()
}

// identityOptions make the client show it.
func (a *app) identityOptions(p place) ([]client.Option, error) {
	files, err := a.shown(p)
	if err != nil {
		return nil, err
	}
	config, token, err := files.Open()
	if err != nil || config == nil {
		return nil, err
	}
	opts := []client.Option{client.WithTLS(config)}
	if token != "" {
		opts = append(opts, client.WithToken(token))
	}
	return opts, nil
}
