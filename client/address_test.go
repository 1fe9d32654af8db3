package client_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

func TestAnAddressThatCannotBeIsNamed(t *testing.T) {
	for addr, problem := range map[string]string{
		"":                      "is empty",
		"7400":                  "is a port without a host",
		"127.0.0.1:":            "has no port from 1 to 65535",
		"127.0.0.1:0":           "has no port from 1 to 65535",
		"127.0.0.1:99999":       "has no port from 1 to 65535",
		"127.0.0.1:http":        "has no port from 1 to 65535",
		"http://127.0.0.1:7403": "is a URL or a path",
		"a:b:c":                 "is not host:port",
	} {
		_, err := client.Dial(t.Context(), []string{"127.0.0.1:1", addr})
		require.EqualError(t, err, `invalid: the address "`+addr+`" `+problem+`: give host:port of a node's client address, such as 127.0.0.1:7400`)
		require.True(t, kindred.HasCode(err, kindred.CodeInvalid))
	}
}

// A name alone means the port that nodes have by themselves; gRPC would try 443.
func TestAnAddressWithoutAPortHasTheDefault(t *testing.T) {
	for addr, tried := range map[string]string{"host.invalid": "host.invalid:7400", "[::1]": "[::1]:7400", "::1": "[::1]:7400"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := client.Dial(ctx, []string{addr})
		var failed *client.DialError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, tried, failed.Failed[0].Addr)
	}
}

// Whoever answers at an address that is not a node's for clients is told from one
// who does not answer, in words that are not those of gRPC.
func TestADialSaysWhoIsThere(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()

	other := grpc.NewServer()
	defer other.Stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go other.Serve(l)

	mute := door(t, "")
	peers := door(t, "KINDRED\n and a hello")

	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone.Close()

	const give = "; give the client address of a node (kvnode --client-addr)"
	for addr, why := range map[string]string{
		gone.Addr().String():                   "connection refused",
		strings.TrimPrefix(web.URL, "http://"): "it speaks HTTP, as the HTTP address of a node does, and not the protocol of clients" + give,
		l.Addr().String():                      "it speaks gRPC and is no node" + give,
		peers:                                  "no client address of a node, perhaps that for its peers" + give,
		mute:                                   "it ends the connection: it does not speak the protocol of clients, or only with TLS" + give,
	} {
		_, err := client.Dial(t.Context(), []string{addr}, client.WithTimeout(20*time.Second))
		require.EqualError(t, err, "kindred: no node answers at "+addr+": "+why)
	}
}

// The HTTP address of a node with TLS speaks HTTP/2, as gRPC does.
func TestADialSaysThatAWebServerIsThere(t *testing.T) {
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	trust := web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	addr := web.Listener.Addr().String()
	_, err := client.Dial(t.Context(), []string{addr}, client.WithTLS(&tls.Config{RootCAs: trust, ServerName: "example.com"}), client.WithTimeout(20*time.Second))
	require.EqualError(t, err, "kindred: no node answers at "+addr+": it speaks HTTP, as the HTTP address of a node does, "+
		"and not the protocol of clients; give the client address of a node (kvnode --client-addr)")
}

// door is an address at which something says its words and ends the connection.
func door(t *testing.T, words string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if words != "" {
				_, _ = conn.Write([]byte(words))
				_, _ = io.Copy(io.Discard, conn) // what is closed unread is reset
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// What gRPC says of the way to a node is no text for people; what a node answers is.
func TestTheWayToANodeInShortWords(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	addr := f.nodes[2].addr
	f.nodes[2].kill()
	require.Eventually(t, func() bool {
		_, _, err := c.Describe(t.Context(), "n3")
		return err != nil && err.Error() == "kindred: describe n3 at "+addr+": unreachable: connection refused"
	}, 20*time.Second, 10*time.Millisecond)
	_, err := c.RepairNode(t.Context(), "n3", kindred.AllPartitions)
	require.EqualError(t, err, "kindred: repair n3 at "+addr+": unavailable: unreachable: connection refused; outcome unknown")

	f.stop()
	b := c.Bucket("carts")
	for _, ask := range []func() error{
		func() error {
			_, err := b.Put(t.Context(), "alice", nil, client.Timeout(300*time.Millisecond))
			return err
		},
		func() error { _, err := b.Get(t.Context(), "alice", client.Timeout(300*time.Millisecond)); return err },
		func() error {
			for _, err := range b.Scan(t.Context()) {
				return err
			}
			return nil
		},
		func() error {
			_, err := c.Inspect(t.Context(), "carts", "alice", client.Timeout(300*time.Millisecond))
			return err
		},
	} {
		var last error
		require.Eventually(t, func() bool {
			last = ask()
			return last != nil && strings.Contains(last.Error(), "unreachable: connection refused")
		}, 20*time.Second, time.Millisecond)
		require.NotContains(t, last.Error(), "desc =")
		require.NotContains(t, last.Error(), "rpc error")
	}
}
