package security

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// uriPrefix begins the URI of a node certificate.
const uriPrefix = "kindred://node/"

// NodeURI is what the certificate of a node carries.
func NodeURI(name string) *url.URL {
	return &url.URL{Scheme: "kindred", Host: "node", Path: "/" + name}
}

// PeerError is a node at the other end of a link that is not who it has to be.
type PeerError struct {
	// Want is the name that the link is for, empty if any node may come in.
	// Claims are the names that the certificate carries, proven or not.
	Want, Claims string
	Reason       string
}

func (e *PeerError) Error() string {
	who := "a certificate without the name of a node"
	if e.Claims != "" {
		who = "a certificate that names " + e.Claims
	}
	if e.Want != "" {
		who += ", where " + e.Want + " was wanted"
	}
	return who + ": " + e.Reason
}

// PeerName is the name that the other end of a link between nodes has proven. The
// connection must come from [Keeper.PeerServer] or [Keeper.PeerDialer].
func PeerName(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	return strings.Join(nodeNames(state.PeerCertificates[0]), ",")
}

// nodeNames are the nodes that a certificate is for.
func nodeNames(c *x509.Certificate) []string {
	var names []string
	for _, u := range c.URIs {
		if u.Scheme == "kindred" && u.Host == "node" && len(u.Path) > 1 {
			names = append(names, u.Path[1:])
		}
	}
	return names
}

// checkPeer is the law of S2: a chain to an authority, valid now, for the node of
// that name, or for one node if want is empty.
func checkPeer(chain []*x509.Certificate, roots *x509.CertPool, want string, now time.Time) error {
	if len(chain) == 0 {
		return &PeerError{Want: want, Reason: "it sent no certificate: links between nodes need one"}
	}
	names := nodeNames(chain[0])
	bad := &PeerError{Want: want, Claims: strings.Join(names, ",")}
	if err := verify(chain, roots, now); err != nil {
		bad.Reason = err.Error()
		return bad
	}
	switch {
	case len(names) == 0:
		bad.Reason = fmt.Sprintf("%q is a client; a node's certificate carries the URI %sNAME", chain[0].Subject.CommonName, uriPrefix)
	case len(names) > 1:
		bad.Reason = "a certificate is for one node"
	case want != "" && names[0] != want:
		bad.Reason = "the certificate belongs to another node"
	default:
		return nil
	}
	return bad
}

// verify looks for a way to an authority and says in words what is wrong.
func verify(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	leaf := chain[0]
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return nil
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate of %q expired at %s: make a new one", leaf.Subject.CommonName, leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate of %q is not valid before %s: compare the clocks", leaf.Subject.CommonName, leaf.NotBefore.UTC().Format(time.RFC3339))
	case errors.As(err, &unknown):
		return fmt.Errorf("it was signed by %q, which is no authority of this cluster", leaf.Issuer.CommonName)
	}
	return err
}
