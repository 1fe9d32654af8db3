package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/kindredkv/kindred/security"
)

// secure reports whether links are encrypted and peers prove their names.
func (t *Transport) secure() bool { return t.cfg.Security != nil && t.cfg.Security.TLS() }

func (t *Transport) serverCredentials() credentials.TransportCredentials {
	if !t.secure() {
		return insecure.NewCredentials()
	}
	return doorkeeper{credentials.NewTLS(t.cfg.Security.PeerServer()), t}
}

// dialCredentials are for links to one peer. What gRPC makes of a failed
// handshake is a text; refused hears the error itself.
func (t *Transport) dialCredentials(peer string, refused func(*security.PeerError)) credentials.TransportCredentials {
	if !t.secure() {
		return insecure.NewCredentials()
	}
	return caller{credentials.NewTLS(t.cfg.Security.PeerDialer(peer)), refused}
}

// caller shakes hands with a node that was dialled.
type caller struct {
	credentials.TransportCredentials
	refused func(*security.PeerError)
}

// ClientHandshake implements credentials.TransportCredentials.
func (c caller) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if bad := (*security.PeerError)(nil); errors.As(err, &bad) {
		c.refused(bad)
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (c caller) Clone() credentials.TransportCredentials {
	return caller{c.TransportCredentials.Clone(), c.refused}
}

// doorkeeper shakes hands with those who dial this node.
type doorkeeper struct {
	credentials.TransportCredentials
	t *Transport
}

// ServerHandshake implements credentials.TransportCredentials.
func (d doorkeeper) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := d.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		d.t.turnAway(raw.RemoteAddr(), err)
	}
	return conn, info, err
}

// Clone implements credentials.TransportCredentials.
func (d doorkeeper) Clone() credentials.TransportCredentials {
	return doorkeeper{d.TransportCredentials.Clone(), d.t}
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

// connectionState is the TLS state of the connection under a stream.
func connectionState(ctx context.Context) (tls.ConnectionState, bool) {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return tls.ConnectionState{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return info.State, ok
}

// proof is the standing proof that the other end of a stream is the node of that
// name: nil in plain text, where nothing can be proven.
type proof struct{ pass *security.Pass }

func (t *Transport) prove(ctx context.Context, name string) (proof, error) {
	if !t.secure() {
		return proof{}, nil
	}
	state, ok := connectionState(ctx)
	if !ok {
		return proof{}, &security.PeerError{Want: name, Reason: "the link is not encrypted"}
	}
	pass, err := t.cfg.Security.NewPass(func() error {
		_, err := t.cfg.Security.Peer(state, name)
		return err
	})
	return proof{pass}, err
}

// holds asks again once certificates or authorities have changed.
func (p proof) holds() error {
	if p.pass == nil {
		return nil
	}
	return p.pass.Valid()
}
