package security

import (
	"crypto/tls"
	"errors"
	"time"
)

// ClientFiles names what a client shows and whom it trusts.
type ClientFiles struct {
	// CA holds the authorities whose nodes are trusted. Without it there is no TLS.
	CA string
	// Cert and Key are the client's own, both or neither.
	Cert, Key string
	// Token is the file of its token.
	Token string
}

// None reports whether nothing is named.
func (f ClientFiles) None() bool { return f == ClientFiles{} }

// Open reads the files: how to dial, nil without TLS, and the token, empty if
// there is none. Errors are *[FileError].
func (f ClientFiles) Open() (config *tls.Config, token string, err error) {
	switch {
	case f.None():
		return nil, "", nil
	case f.CA == "":
		return nil, "", &FileError{"tls-ca", `""`, errors.New("name the file with the certificate of the cluster's authority: without it a client cannot know whom it tells its secrets")}
	case (f.Cert == "") != (f.Key == ""):
		return nil, "", &FileError{"tls-cert", f.Cert, errors.New("--tls-cert and --tls-key are given together")}
	}
	if config, err = f.config(time.Now()); err != nil {
		return nil, "", err
	}
	if f.Token != "" {
		token, err = ReadToken(f.Token)
	}
	return config, token, err
}

func (f ClientFiles) config(now time.Time) (*tls.Config, error) {
	c, err := Files{Cert: f.Cert, Key: f.Key, CA: f.CA}.read()
	if err != nil {
		return nil, err
	}
	roots, err := parseAuthorities(c.ca, now)
	if err != nil {
		return nil, &FileError{"tls-ca", f.CA, err}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, DynamicRecordSizingDisabled: true}
	if f.Cert == "" {
		return config, nil
	}
	pair, err := tls.X509KeyPair(c.cert, c.key)
	if err == nil {
		err = verify(chainOf(&pair), roots, now)
	}
	if err != nil {
		return nil, &FileError{"tls-cert", f.Cert, err}
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
