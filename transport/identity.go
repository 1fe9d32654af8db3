package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"github.com/kindredkv/kindred/security"
)

// secure reports whether links are encrypted and peers prove their names.
func (t *Transport) secure() bool { return t.cfg.Security != nil && t.cfg.Security.TLS() }

// shakeOut shakes hands with a node that was dialled.
func (t *Transport) shakeOut(ctx context.Context, raw net.Conn, peer string) (net.Conn, error) {
	if !t.secure() {
		return raw, nil
	}
	conn := tls.Client(raw, t.cfg.Security.PeerDialer(peer))
	return conn, conn.HandshakeContext(ctx)
}

// shakeIn shakes hands with somebody who has dialled this node. The lobby sees to
// it that it ends.
func (t *Transport) shakeIn(raw net.Conn) (net.Conn, error) {
	if !t.secure() {
		return raw, nil
	}
	conn := tls.Server(raw, t.cfg.Security.PeerServer())
	return conn, conn.Handshake()
}

// turnAway counts a handshake that failed, under the name of nobody, and logs why.
// One that hangs up is not worth a line.
func (t *Transport) turnAway(addr net.Addr, err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
		return
	}
	t.inboundOf("").refused.Add(1)
	if t.strangers.Met(time.Now(), err.Error()) {
		t.log.Warn("refused a link: the handshake failed", "from", addr.String(), "reason", err.Error())
	}
}

// proof is the standing proof that the other end of a connection is the node of that
// name: nil in plain text, where nothing can be proven.
type proof struct{ pass *security.Pass }

func (t *Transport) prove(conn net.Conn, name string) (proof, error) {
	if !t.secure() {
		return proof{}, nil
	}
	encrypted, ok := conn.(*tls.Conn)
	if !ok {
		return proof{}, &security.PeerError{Want: name, Reason: "the link is not encrypted"}
	}
	state := encrypted.ConnectionState()
	pass, err := t.cfg.Security.NewPass(func() error {
		_, err := t.cfg.Security.Peer(state, name)
		return err
	})
	return proof{pass}, err
}

// proven is the name that the other end has proven, empty in plain text.
func proven(conn net.Conn) string {
	if encrypted, ok := conn.(*tls.Conn); ok {
		return security.PeerName(encrypted.ConnectionState())
	}
	return ""
}

// holds asks again once certificates or authorities have changed.
func (p proof) holds() error {
	if p.pass == nil {
		return nil
	}
	return p.pass.Valid()
}
