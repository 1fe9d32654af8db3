package security

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const year = 365 * 24 * time.Hour

// house is a cluster's authority and a folder for what it makes.
type house struct {
	t         *testing.T
	authority *Authority
	dir       string
}

func newHouse(t *testing.T, name string) *house {
	a, err := NewAuthority(name, time.Now(), year)
	require.NoError(t, err)
	h := &house{t: t, authority: a, dir: t.TempDir()}
	h.write("ca.pem", string(a.Pair().Cert))
	return h
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

func (h *house) write(name, text string) string {
	require.NoError(h.t, WritePrivate(h.path(name), []byte(text)))
	return h.path(name)
}

// node writes a fresh certificate for a node and names the files.
func (h *house) node(name string) Files {
	pair, err := h.authority.Node(name, []string{"127.0.0.1", "localhost"}, time.Now(), year)
	require.NoError(h.t, err)
	return h.keep(name, pair)
}

func (h *house) keep(name string, pair Pair) Files {
	require.NoError(h.t, pair.Write(h.dir, name))
	return Files{Cert: h.path(name + ".pem"), Key: h.path(name + ".key"), CA: h.path("ca.pem")}
}

func (h *house) client(name string) ClientFiles {
	pair, err := h.authority.Client(name, time.Now(), year)
	require.NoError(h.t, err)
	f := h.keep(name, pair)
	return ClientFiles{CA: f.CA, Cert: f.Cert, Key: f.Key}
}

func (h *house) open(f Files, name string) *Keeper {
	k, err := Open(f, name)
	require.NoError(h.t, err)
	return k
}

// meet shakes hands over a real connection and returns what each end says. A
// dialler learns whether it was let in from the first byte that it reads.
func meet(t *testing.T, server, client *tls.Config) (seen tls.ConnectionState, atServer, atClient error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	served := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		if err = conn.Handshake(); err == nil {
			seen = conn.ConnectionState()
			_, err = conn.Write([]byte("!"))
		}
		served <- err
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer raw.Close()
	client = client.Clone()
	if client.ServerName == "" && !client.InsecureSkipVerify {
		client.ServerName = "127.0.0.1"
	}
	conn := tls.Client(raw, client)
	if atClient = conn.Handshake(); atClient == nil {
		_, atClient = conn.Read(make([]byte, 1))
	}
	raw.Close()
	atServer = <-served // then seen is known
	return seen, atServer, atClient
}

func remove(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }
