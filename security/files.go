package security

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Limits on what files may hold.
const (
	// FileBytesMax is the largest file that is read.
	FileBytesMax = 1 << 20
	// TokensMax is the number of tokens that a node knows. Every one of them is
	// compared with what a caller sends.
	TokensMax = 1000
	// GossipKeysMax is the number of gossip keys: each is tried on every packet.
	GossipKeysMax = 8
)

// Files names what a node is secured with. Empty names mean that there is none
// of it; certificate, key and authorities are given together.
type Files struct {
	// Cert and Key are the node's certificate, with what lies between it and its
	// authority, and its private key, in PEM.
	Cert, Key string
	// CA holds the certificates of the authorities that are trusted, in PEM.
	CA string
	// Tokens lists the tokens of clients: per line a name and the SHA-256 of the
	// token in hexadecimal digits.
	Tokens string
	// GossipKeys lists keys of 16, 24 or 32 bytes in base64, one per line.
	GossipKeys string
}

// TLS reports whether links are encrypted.
func (f Files) TLS() bool { return f.Cert != "" }

// None reports whether nothing is secured.
func (f Files) None() bool { return f == Files{} }

// Validate reports names that do not make sense together.
func (f Files) Validate() error {
	all := f.Cert != "" && f.Key != "" && f.CA != ""
	switch {
	case f.Cert+f.Key+f.CA != "" && !all:
		for _, missing := range []struct{ setting, path string }{{"tls-cert", f.Cert}, {"tls-key", f.Key}, {"tls-ca", f.CA}} {
			if missing.path == "" {
				return &FileError{missing.setting, `""`, errors.New("--tls-cert, --tls-key and --tls-ca are given together")}
			}
		}
	case f.Tokens != "" && !all:
		return &FileError{"tokens", f.Tokens, errors.New("needs --tls-cert, --tls-key and --tls-ca: a token in plain text is everybody's")}
	}
	return nil
}

// FileError is a file that cannot be used.
type FileError struct {
	// Setting is the setting that names it, Path the file.
	Setting, Path string
	Err           error
}

func (e *FileError) Error() string { return fmt.Sprintf("--%s %s: %v", e.Setting, e.Path, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// contents are the bytes of the files: what is compared to notice a change.
type contents struct{ cert, key, ca, tokens, gossip []byte }

// file is one file of several, and where its bytes go.
type file struct {
	setting, path string
	into          *[]byte
}

func (c *contents) files(f Files) []file {
	return []file{
		{"tls-cert", f.Cert, &c.cert}, {"tls-key", f.Key, &c.key}, {"tls-ca", f.CA, &c.ca},
		{"tokens", f.Tokens, &c.tokens}, {"gossip-key", f.GossipKeys, &c.gossip},
	}
}

func (f Files) read() (*contents, error) {
	c := &contents{}
	for _, file := range c.files(f) {
		if file.path == "" {
			continue
		}
		b, err := readFile(file.path)
		if err != nil {
			return nil, &FileError{file.setting, file.path, err}
		}
		*file.into = b
	}
	return c, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errors.Unwrap(err) // the path is named already
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, FileBytesMax+1))
	if err == nil && len(b) > FileBytesMax {
		err = fmt.Errorf("it has more than %d bytes, the limit: is it the right file?", FileBytesMax)
	}
	return b, err
}

func (c *contents) equal(o *contents) bool {
	return bytes.Equal(c.cert, o.cert) && bytes.Equal(c.key, o.key) && bytes.Equal(c.ca, o.ca) &&
		bytes.Equal(c.tokens, o.tokens) && bytes.Equal(c.gossip, o.gossip)
}

// material is what the files say, checked.
type material struct {
	contents *contents
	cert     *tls.Certificate
	roots    *x509.CertPool
	tokens   []token
	gossip   [][]byte
	// proven are the leaves that were verified, by their hashes: a client that
	// asks often is not verified at every question.
	proven provenLeaves
}

// parse checks everything, so that what is taken over works. Name is the node's,
// which its certificate must carry.
func (c *contents) parse(f Files, name string, now time.Time) (*material, error) {
	m := &material{contents: c}
	for _, part := range []struct {
		setting, path string
		parse         func() error
	}{
		{"tls-ca", f.CA, func() (err error) { m.roots, err = parseAuthorities(c.ca, now); return err }},
		{"tls-cert", f.Cert, func() (err error) { m.cert, err = parseNode(c.cert, c.key, m.roots, name, now); return err }},
		{"tokens", f.Tokens, func() (err error) { m.tokens, err = parseTokens(c.tokens); return err }},
		{"gossip-key", f.GossipKeys, func() (err error) { m.gossip, err = ParseGossipKeys(c.gossip); return err }},
	} {
		if part.path == "" {
			continue
		}
		if err := part.parse(); err != nil {
			return nil, &FileError{part.setting, part.path, err}
		}
	}
	return m, nil
}

// parseAuthorities wants at least one authority that has not expired; an expired
// one is of no use and may stay in the file.
func parseAuthorities(text []byte, now time.Time) (*x509.CertPool, error) {
	certs, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	pool, expired := x509.NewCertPool(), time.Time{}
	good := 0
	for _, c := range certs {
		switch {
		case !c.IsCA:
			return nil, fmt.Errorf("the certificate of %q is not one of an authority: name the file of the CA", c.Subject.CommonName)
		case now.After(c.NotAfter):
			expired = c.NotAfter
			continue
		}
		good++
		pool.AddCert(c)
	}
	if good == 0 {
		return nil, fmt.Errorf("the authority's certificate expired at %s: make a new one", expired.UTC().Format(time.RFC3339))
	}
	return pool, nil
}

func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the file is damaged: %w", len(certs)+1, err)
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
	}
	return certs, nil
}

// parseNode wants a pair that fits together, names this node, and that the other
// nodes would accept.
func parseNode(cert, key []byte, roots *x509.CertPool, name string, now time.Time) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("it and the file of --tls-key do not make a pair: %w", err)
	}
	if err := checkPeer(chainOf(&pair), roots, name, now); err != nil {
		return nil, err
	}
	return &pair, nil
}

// chainOf is the leaf and what follows it.
func chainOf(pair *tls.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{pair.Leaf}
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, c)
		}
	}
	return chain
}
