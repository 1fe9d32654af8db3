package client_test

import (
	"context"
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

	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer mute.Close()
	go func() {
		for {
			conn, err := mute.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()

	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone.Close()

	const give = "; give the client address of a node (kvnode --client-addr)"
	for addr, why := range map[string]string{
		gone.Addr().String():                   "connection refused",
		strings.TrimPrefix(web.URL, "http://"): "it speaks HTTP/1.1, as the HTTP address of a node does, and not the protocol of clients" + give,
		l.Addr().String():                      "no client address of a node, perhaps that for its peers" + give,
		mute.Addr().String():                   "it ends the connection: it does not speak the protocol of clients, or only with TLS" + give,
	} {
		_, err := client.Dial(t.Context(), []string{addr}, client.WithTimeout(20*time.Second))
		require.EqualError(t, err, "kindred: no node answers at "+addr+": "+why)
	}
}
