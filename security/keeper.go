package security

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// LookEvery is how often Watch looks for files that changed.
const LookEvery = 2 * time.Second

// Keeper holds what the files of a node say, as of the last good reading. Its
// methods may be called from any goroutine.
type Keeper struct {
	files Files
	name  string
	now   func() time.Time

	// reading serialises Reload.
	reading sync.Mutex
	// refused are the contents that were refused last: they are reported once.
	refused *contents

	current    atomic.Pointer[material]
	generation atomic.Uint64
	failed     atomic.Uint64
}

// Open reads the files of the node of that name. Errors are *[FileError].
func Open(f Files, name string) (*Keeper, error) { return open(f, name, time.Now) }

func open(f Files, name string, now func() time.Time) (*Keeper, error) {
	k := &Keeper{files: f, name: name, now: now}
	if err := f.Validate(); err != nil {
		return nil, err
	}
	c, err := f.read()
	if err != nil {
		return nil, err
	}
	m, err := c.parse(f, name, now())
	if err != nil {
		return nil, err
	}
	k.current.Store(m)
	return k, nil
}

// TLS reports whether links are encrypted.
func (k *Keeper) TLS() bool { return k.files.TLS() }

// Reload reads the files again. If they are good and differ, they are in force
// when it returns, and changed is true. If they are not, nothing changes (S4).
func (k *Keeper) Reload() (changed bool, err error) {
	k.reading.Lock()
	defer k.reading.Unlock()
	changed, _, err = k.reload()
	return changed, err
}

// reload says besides whether an error is news.
func (k *Keeper) reload() (changed, news bool, err error) {
	c, err := k.files.read()
	if err != nil {
		c = &contents{} // whatever cannot be read
	} else if c.equal(k.current.Load().contents) {
		k.refused = nil
		return false, false, nil
	}
	var m *material
	if err == nil {
		m, err = c.parse(k.files, k.name, k.now())
	}
	if err != nil {
		news = k.refused == nil || !k.refused.equal(c)
		k.refused = c
		if news {
			k.failed.Add(1)
		}
		return false, news, err
	}
	k.refused = nil
	k.current.Store(m)
	k.generation.Add(1)
	return true, false, nil
}

// Watch looks for changed files every so often until ctx ends. Report is called
// with nil after every change that is in force, and with the error of every
// change that was refused, once per change.
func (k *Keeper) Watch(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.reading.Lock()
		changed, news, err := k.reload()
		k.reading.Unlock()
		if changed || news {
			report(err)
		}
	}
}

// Generation moves with every change (S6).
func (k *Keeper) Generation() uint64 { return k.generation.Load() }

// Failed is the number of changes that were refused.
func (k *Keeper) Failed() uint64 { return k.failed.Load() }

// Expiry is when the node's certificate expires, zero if it has none.
func (k *Keeper) Expiry() time.Time {
	if c := k.current.Load().cert; c != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}

// GossipKeys are the keys in force, the first of which encrypts.
func (k *Keeper) GossipKeys() [][]byte { return k.current.Load().gossip }

// certificate is what the node shows of itself.
func (k *Keeper) certificate() (*tls.Certificate, error) { return k.current.Load().cert, nil }

// Server is for listeners that serve clients, which may show a certificate. One
// of a foreign authority is refused; that they showed none or a good one is for
// [Keeper.Caller] to judge. Protos are those of ALPN.
func (k *Keeper) Server(protos ...string) *tls.Config {
	c := k.base(protos)
	c.ClientAuth = tls.RequestClientCert
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return nil
		}
		return verify(s.PeerCertificates, k.current.Load().roots, k.now())
	}
	return c
}

// PeerProtocol is what nodes speak with one another, as ALPN: who means another
// protocol, or another port, is told so by the handshake.
const PeerProtocol = "kindred-peer"

// PeerServer is for the listener that other nodes dial. Use [PeerName] for who
// came in.
func (k *Keeper) PeerServer() *tls.Config {
	c := k.base([]string{PeerProtocol})
	c.ClientAuth = tls.RequestClientCert // that there is none is for checkPeer to say
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return checkPeer(s.PeerCertificates, k.current.Load().roots, "", k.now())
	}
	return c
}

// PeerDialer is for a connection to the node of that name, at whatever address.
func (k *Keeper) PeerDialer(name string) *tls.Config {
	c := k.base([]string{PeerProtocol})
	c.InsecureSkipVerify = true // names of hosts do not matter between nodes; VerifyConnection does it all
	c.VerifyConnection = func(s tls.ConnectionState) error {
		return checkPeer(s.PeerCertificates, k.current.Load().roots, name, k.now())
	}
	return c
}

// base shows the certificate in force whenever a connection begins. Tickets are
// off: whoever comes back proves anew who he is, by the files of that day.
func (k *Keeper) base(protos []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protos, SessionTicketsDisabled: true,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.certificate() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return k.certificate() },
		// Small records help browsers to show the first line; here they cost a
		// cipher call and a system call each.
		DynamicRecordSizingDisabled: true,
	}
}

// Peer verifies once more, by the authorities now in force, who is at the other
// end of a link between nodes, and returns its name. Want is empty on the end that
// was dialled.
func (k *Keeper) Peer(state tls.ConnectionState, want string) (name string, err error) {
	if err := checkPeer(state.PeerCertificates, k.current.Load().roots, want, k.now()); err != nil {
		return "", err
	}
	return PeerName(state), nil
}

// Pass is a check that is made again after every change of the files (S6). It is
// for one goroutine.
type Pass struct {
	keeper *Keeper
	seen   uint64
	judge  func() error
}

// NewPass makes the check once and says what it found.
func (k *Keeper) NewPass(judge func() error) (*Pass, error) {
	p := &Pass{keeper: k, seen: k.Generation(), judge: judge}
	return p, judge()
}

// Valid is nil while the check holds. It costs next to nothing between changes.
func (p *Pass) Valid() error {
	now := p.keeper.Generation()
	if now == p.seen {
		return nil
	}
	p.seen = now
	return p.judge()
}

// ErrNoIdentity is a caller who has shown nothing.
var ErrNoIdentity = errors.New("this node wants to know who calls: use a certificate of the cluster's authority (--tls-cert, --tls-key) or a token (--token-file)")

// ErrUnknownToken is a caller whose token is in no file.
var ErrUnknownToken = errors.New("the token is not known here: compare it with the line of the node's --tokens file, which holds its SHA-256")

// Caller is the name of a client: that of its token, or else of its certificate.
// Authorization is the header of that name. The certificate is verified, by the
// authorities now in force.
func (k *Keeper) Caller(state *tls.ConnectionState, authorization string) (name string, err error) {
	m := k.current.Load()
	if authorization != "" {
		scheme, secret, _ := strings.Cut(authorization, " ")
		name, ok := holder(m.tokens, strings.TrimSpace(secret))
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return "", ErrUnknownToken
		}
		return name, nil
	}
	if state == nil || len(state.PeerCertificates) == 0 {
		return "", ErrNoIdentity
	}
	if err := m.proven.verify(state.PeerCertificates, m.roots, k.now()); err != nil {
		return "", err
	}
	return callerName(state.PeerCertificates[0]), nil
}

func callerName(c *x509.Certificate) string {
	if names := nodeNames(c); len(names) > 0 {
		return "node " + strings.Join(names, ",")
	}
	return c.Subject.CommonName
}
