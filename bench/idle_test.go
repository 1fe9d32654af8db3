//go:build !race

package bench

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
)

var idle = flag.Int("idle", 1000, "how many idle connections of each kind to hold; a process here and one there need as many files")

// IdleBytesMax is the limit for an idle connection in the resident memory of a node:
// 400 MiB for 10,000. With fewer and TLS, which keeps certificates and keys for each,
// what a rush leaves behind weighs more.
const (
	IdleBytesMax       = 400 << 20 / 10_000
	IdleTLSFewBytesMax = 480 << 20 / 10_000
	idleMany           = 9_500
)

// IdleSettledWithin is how long a node may keep what the greetings have left behind:
// it looks for such memory every 15 s.
const IdleSettledWithin = 45 * time.Second

// TestIdleConnectionsCostLittle holds connections that have asked once and are
// silent now, as those of a pool are.
func TestIdleConnectionsCostLittle(t *testing.T) {
	for _, kind := range []struct {
		name   string
		locked bool
		grpc   bool
		limit  int
	}{
		{"gRPC", false, true, IdleBytesMax},
		{"HTTP", false, false, IdleBytesMax},
		{"gRPC with TLS", true, true, IdleTLSFewBytesMax},
		{"HTTP with TLS", true, false, IdleTLSFewBytesMax},
	} {
		t.Run(kind.name, func(t *testing.T) {
			if *idle >= idleMany {
				kind.limit = IdleBytesMax
			}
			node, dial := idleNode(t, kind.locked, kind.grpc)
			addr, greet := node.HTTP, greetHTTP
			if kind.grpc {
				addr, greet = node.Client, greetGRPC
			}
			before := residentBytes(t, node.PID)
			conns := hold(t, *idle, func() (net.Conn, error) { return dial(addr) }, greet)
			each, began := (residentBytes(t, node.PID)-before) / *idle, time.Now()
			t.Logf("%d idle connections, %d bytes each, %d MiB for 10,000", *idle, each, each*10_000>>20)
			for each > kind.limit && time.Since(began) < IdleSettledWithin {
				<-time.After(time.Second) // the node's time passes
				each = (residentBytes(t, node.PID) - before) / *idle
			}
			t.Logf("after %v %d bytes each, %d MiB for 10,000", time.Since(began).Round(time.Second), each, each*10_000>>20)
			require.LessOrEqual(t, each, kind.limit)
			for _, c := range conns {
				require.NoError(t, greet(c, 3), "an idle connection is a live one")
				require.NoError(t, c.Close())
			}
		})
	}
}

// idleNode starts a node, and says how it is called.
func idleNode(t *testing.T, locked, grpc bool) (local.Node, func(addr string) (net.Conn, error)) {
	if !locked {
		return onlyNode(t, startCluster(t, 1)), func(addr string) (net.Conn, error) { return net.Dial("tcp", addr) }
	}
	cluster := startLocked(t, 1)
	files, err := cluster.Identity()
	require.NoError(t, err)
	config, _, err := files.Open()
	require.NoError(t, err)
	config = config.Clone()
	config.NextProtos = []string{"http/1.1"}
	if grpc {
		config.NextProtos = []string{"h2"}
	}
	return onlyNode(t, cluster), func(addr string) (net.Conn, error) { return tls.Dial("tcp", addr, config) }
}

// onlyNode is the node of a cluster of one.
func onlyNode(t *testing.T, c *local.Cluster) local.Node {
	status, err := c.Status()
	require.NoError(t, err)
	require.Len(t, status.Nodes, 1)
	return status.Nodes[0]
}

// hold opens connections, a few at a time.
func hold(t *testing.T, n int, dial func() (net.Conn, error), greet func(net.Conn, uint32) error) []net.Conn {
	conns, errs := make([]net.Conn, n), make([]error, n)
	slots := make(chan struct{}, callers)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if conns[i], errs[i] = dial(); errs[i] != nil {
				return
			}
			_ = conns[i].SetDeadline(time.Now().Add(10 * time.Minute))
			errs[i] = greet(conns[i], 1)
		})
	}
	wg.Wait()
	for _, c := range conns {
		if c != nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	for _, err := range errs {
		require.NoError(t, err, "does `ulimit -n` allow twice as many files?")
	}
	return conns
}

func greetHTTP(c net.Conn, _ uint32) error {
	if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: n1\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

// greetGRPC asks for the health of a node in HTTP/2 by hand: a whole client for
// each of thousands of connections would cost more than the node.
func greetGRPC(c net.Conn, stream uint32) error {
	var b bytes.Buffer
	if stream == 1 {
		b.WriteString("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		frame(&b, 4, 0, 0, nil) // SETTINGS
	}
	frame(&b, 1, 4, stream, healthHead(c.RemoteAddr().String()))
	frame(&b, 0, 1, stream, make([]byte, 5)) // an empty message ends the stream
	if _, err := c.Write(b.Bytes()); err != nil {
		return err
	}
	return untilEnd(c, stream)
}

// frame writes a frame of HTTP/2.
func frame(b *bytes.Buffer, kind, flags byte, stream uint32, payload []byte) {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:]
	b.Write(binary.BigEndian.AppendUint32(append(head, kind, flags), stream))
	b.Write(payload)
}

// healthHead is a head in HPACK without compression.
func healthHead(authority string) []byte {
	head := []byte{0x83, 0x86} // :method POST, :scheme http
	for _, f := range []struct {
		name  []byte
		value string
	}{
		{[]byte{0x04}, "/grpc.health.v1.Health/Check"},
		{[]byte{0x01}, authority},
		{[]byte{0x0f, 0x10}, "application/grpc"},
		{[]byte("\x00\x02te"), "trailers"},
	} {
		head = append(append(append(head, f.name...), byte(len(f.value))), f.value...)
	}
	return head
}

// untilEnd reads frames up to the end of a stream.
func untilEnd(c net.Conn, wanted uint32) error {
	var head [9]byte
	for {
		if _, err := io.ReadFull(c, head[:]); err != nil {
			return err
		}
		length := binary.BigEndian.Uint32(append([]byte{0}, head[:3]...))
		if _, err := io.CopyN(io.Discard, c, int64(length)); err != nil {
			return err
		}
		switch kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:]); {
		case kind == 7:
			return fmt.Errorf("the server says goodbye")
		case stream == wanted && kind == 3:
			return fmt.Errorf("the server resets the stream")
		case stream == wanted && flags&1 != 0:
			return nil
		}
	}
}
