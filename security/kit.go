package security

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Lives of what a Kit makes, unless something else is asked for.
const (
	AuthorityLife   = 10 * 365 * 24 * time.Hour
	CertificateLife = 365 * 24 * time.Hour
)

// Kit is a folder that holds an authority and what was made with it: NAME.pem and
// NAME.key per certificate, tokens and NAME.token, gossip.keys. The folder and its
// files are for their owner's eyes. Whoever holds ca.key can make himself a node of
// the cluster: keep the folder off the nodes.
type Kit struct{ dir string }

const (
	authorityName = "ca"
	tokensName    = "tokens"
	gossipName    = "gossip.keys"
)

// OpenKit makes the folder if there is none, and closes it to others.
func OpenKit(dir string) (Kit, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Kit{}, err
	}
	return Kit{dir}, os.Chmod(dir, 0o700)
}

// ExistsError is a file that would be overwritten.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string {
	return e.Path + " exists: move it away first, or choose another name or folder; whoever uses it goes on with it"
}

// path is that of a file of the kit.
func (k Kit) path(name string) string { return filepath.Join(k.dir, name) }

func (k Kit) has(name string) bool {
	_, err := os.Lstat(k.path(name))
	return err == nil
}

// MakeAuthority makes the authority, once.
func (k Kit) MakeAuthority(name string, life time.Duration) error {
	if k.has(authorityName + ".key") {
		return &ExistsError{k.path(authorityName + ".key")}
	}
	a, err := NewAuthority(name, time.Now(), life)
	if err != nil {
		return err
	}
	return a.Pair().Write(k.dir, authorityName)
}

// MakeNode makes a node's certificate; see [Authority.Node]. It replaces an older
// one, so that a running node takes it up.
func (k Kit) MakeNode(name string, hosts []string, life time.Duration) error {
	return k.make(name, func(a *Authority) (Pair, error) { return a.Node(name, hosts, time.Now(), life) })
}

// MakeClient makes a client's certificate.
func (k Kit) MakeClient(name string, life time.Duration) error {
	return k.make(name, func(a *Authority) (Pair, error) { return a.Client(name, time.Now(), life) })
}

func (k Kit) make(name string, with func(*Authority) (Pair, error)) error {
	if err := checkName(name); err != nil {
		return err
	}
	p, err := ReadPair(k.dir, authorityName)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("no authority in %s: make one with 'kvcli cert ca --out %s'", k.dir, k.dir)
	}
	if err != nil {
		return err
	}
	a, err := ReadAuthority(p)
	if err != nil {
		return err
	}
	pair, err := with(a)
	if err != nil {
		return err
	}
	return pair.Write(k.dir, name)
}

// checkName keeps names inside the folder, and the authority its own.
func checkName(name string) error {
	if name == "" || name == authorityName || strings.HasPrefix(name, ".") || strings.ContainsAny(name, "/\\ \t\r\n") {
		return fmt.Errorf("%q cannot be the name of a certificate: use letters, digits, dots and dashes, and not %q", name, authorityName)
	}
	return nil
}

// MakeToken makes a token: NAME.token for its client, a line of the file tokens
// for the nodes.
func (k Kit) MakeToken(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	if k.has(name + ".token") {
		return &ExistsError{k.path(name + ".token")}
	}
	known, err := os.ReadFile(k.path(tokensName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	secret := NewToken()
	if err := WritePrivate(k.path(name+".token"), []byte(secret+"\n")); err != nil {
		return err
	}
	return WritePrivate(k.path(tokensName), append(known, TokenLine(name, secret)...))
}

// MakeGossipKey makes the file of gossip keys, with one key.
func (k Kit) MakeGossipKey() error {
	if k.has(gossipName) {
		return &ExistsError{k.path(gossipName)}
	}
	return WritePrivate(k.path(gossipName), []byte(NewGossipKey()))
}

// Node names the files for a node. Tokens and gossip keys are named if there are
// any.
func (k Kit) Node(name string) Files {
	f := Files{Cert: k.path(name + ".pem"), Key: k.path(name + ".key"), CA: k.path(authorityName + ".pem")}
	if k.has(tokensName) {
		f.Tokens = k.path(tokensName)
	}
	if k.has(gossipName) {
		f.GossipKeys = k.path(gossipName)
	}
	return f
}

// Client names the files for a client with a certificate.
func (k Kit) Client(name string) ClientFiles {
	return ClientFiles{CA: k.path(authorityName + ".pem"), Cert: k.path(name + ".pem"), Key: k.path(name + ".key")}
}

// TokenClient names the files for a client with a token.
func (k Kit) TokenClient(name string) ClientFiles {
	return ClientFiles{CA: k.path(authorityName + ".pem"), Token: k.path(name + ".token")}
}

// Furnish makes whatever is missing for the nodes of a cluster that clients reach
// by hosts, and for a client of the name "client": an authority, certificates, a
// token and a gossip key.
func (k Kit) Furnish(nodes, hosts []string) error {
	type step struct {
		file string
		make func() error
	}
	steps := []step{
		{authorityName + ".key", func() error { return k.MakeAuthority("Kindred "+filepath.Base(filepath.Dir(k.dir)), AuthorityLife) }},
		{gossipName, k.MakeGossipKey},
		{"client.pem", func() error { return k.MakeClient("client", CertificateLife) }},
		{"client.token", func() error { return k.MakeToken("client") }},
	}
	for _, n := range nodes {
		steps = append(steps, step{n + ".pem", func() error { return k.MakeNode(n, hosts, CertificateLife) }})
	}
	for _, s := range steps {
		if k.has(s.file) {
			continue
		}
		if err := s.make(); err != nil {
			return err
		}
	}
	return nil
}
