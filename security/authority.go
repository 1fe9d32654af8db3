package security

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Pair is a certificate and its private key, in PEM.
type Pair struct{ Cert, Key []byte }

// Authority signs certificates.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pair Pair
}

// backdate forgives clocks that are a little behind.
const backdate = time.Hour

// NewAuthority makes an authority that lives from now for so long.
func NewAuthority(name string, now time.Time, life time.Duration) (*Authority, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	pair, err := sign(template, nil)
	if err != nil {
		return nil, err
	}
	return ReadAuthority(pair)
}

// ReadAuthority takes up an authority that was made before.
func ReadAuthority(p Pair) (*Authority, error) {
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate and key do not make a pair: %w", err)
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("the certificate of %q is not one of an authority", pair.Leaf.Subject.CommonName)
	}
	return &Authority{cert: pair.Leaf, key: key, pair: p}, nil
}

// Pair is the authority's own certificate and key.
func (a *Authority) Pair() Pair { return a.pair }

// Node makes the certificate of a node, for clients that reach it by one of the
// hosts: names or IP addresses.
func (a *Authority) Node(name string, hosts []string, now time.Time, life time.Duration) (Pair, error) {
	template := leaf(name, now, life)
	template.URIs = []*url.URL{NodeURI(name)}
	template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	return sign(template, a)
}

// Client makes the certificate of a client. It can serve nobody and is no node.
func (a *Authority) Client(name string, now time.Time, life time.Duration) (Pair, error) {
	return sign(leaf(name, now, life), a)
}

func leaf(name string, now time.Time, life time.Duration) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// sign makes a key and has it certified, by itself if by is nil.
func sign(template *x509.Certificate, by *Authority) (Pair, error) {
	if template.NotAfter.Before(template.NotBefore) {
		return Pair{}, errors.New("a certificate that ends before it begins")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126)); err != nil {
		return Pair{}, err
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}, nil
}

// secretBytes is the size of tokens and gossip keys.
const secretBytes = 32

// NewToken makes a token that nobody guesses.
func NewToken() string { return base64.RawURLEncoding.EncodeToString(newSecret()) }

// NewGossipKey makes a line of the file of gossip keys.
func NewGossipKey() string { return base64.StdEncoding.EncodeToString(newSecret()) + "\n" }

func newSecret() []byte {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails
	return b
}

// Write puts a pair into dir as NAME.pem and NAME.key, for its owner's eyes.
func (p Pair) Write(dir, name string) error {
	return errors.Join(
		WritePrivate(filepath.Join(dir, name+".key"), p.Key),
		WritePrivate(filepath.Join(dir, name+".pem"), p.Cert))
}

// ReadPair reads what Write wrote.
func ReadPair(dir, name string) (p Pair, err error) {
	if p.Cert, err = os.ReadFile(filepath.Join(dir, name+".pem")); err != nil {
		return p, err
	}
	p.Key, err = os.ReadFile(filepath.Join(dir, name+".key"))
	return p, err
}

// WritePrivate replaces a file as a whole, readable by its owner alone: whoever
// reads meanwhile sees the old one or the new one.
func WritePrivate(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(b); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
