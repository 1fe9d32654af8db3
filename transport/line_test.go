package transport

import (
	"bytes"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// known is a hello that n1 likes.
func known(name string) []byte {
	return append([]byte(preface), helloFrame(hello{VersionMin: frameVersion, VersionMax: frameVersion, Name: name, To: "n1"})...)
}

// call opens a connection to a transport by hand.
func call(t *testing.T, to *Transport, says ...[]byte) *line {
	t.Helper()
	conn, err := net.Dial("tcp", to.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	for _, s := range says {
		_, err := conn.Write(s)
		require.NoError(t, err)
	}
	return newLine(conn, answersBuffer)
}

// answering is n1, which takes nothing.
func answering(t *testing.T, options ...func(*Config)) *Transport {
	t.Helper()
	cfg := Config{
		Name: "n1", Addr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler),
		Receive: func(string, Batch) { t.Error("a bad frame was delivered") },
	}
	for _, o := range options {
		o(&cfg)
	}
	tr, err := Listen(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { tr.Close() })
	return tr
}

// Who calls at the wrong door is told so in words.
func TestOthersThanNodesAreToldSo(t *testing.T) {
	tr := answering(t)
	for said, reason := range map[string]string{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "it begins as HTTP does",
		"GET / HTTP/1.1\r\n\r\n":           "clients call at another",
		"\x16\x03\x01\x00\xff":             "this node has no certificates",
		"EHLO there\r\n":                   "does not begin as a node does",
		"KIND OF\n":                        "does not begin as a node does",
	} {
		_, err := call(t, tr, []byte(said)).greeting()
		require.ErrorContains(t, err, reason, "%q", said)
	}
	require.EqualValues(t, 5, tr.Stats()[0].CorruptIn)
}

// And a node that dials the wrong door says in its own log what is there.
func TestTheWrongDoorIsNamed(t *testing.T) {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer door.Close()
	var doors sync.WaitGroup
	defer doors.Wait()
	doors.Go(func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(conn, make([]byte, len(preface))) // it may be gone already
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			conn.Close()
		}
	})
	said := make(chan string, 100)
	tr := answering(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(lines(said), nil)) })
	tr.SetPeers(map[string]string{"n2": door.Addr().String()})
	defer door.Close()
	for {
		select {
		case text := <-said:
			if strings.Contains(text, "it begins as HTTP does") {
				return
			}
		case <-time.After(20 * time.Second):
			require.Fail(t, "it is not named")
		}
	}
}

// lines hands on what is written, and drops what nobody takes.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}

// The reason of an end reaches the other end, in part if it is long, and whatever is
// still on its way to the end that gives it.
func TestTheReasonOfAnEndTravels(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	long := strings.Repeat("x", 2*endBytesMax)
	go func() { _ = newLine(here, answersBuffer).sayEnd(long) }()
	_, err := newLine(there, answersBuffer).greeting()
	require.EqualError(t, err, "the peer ended the link: "+long[:endBytesMax])

	tr := answering(t)
	bad := append(known("n2"), make([]byte, 30_000)...) // a bad frame, and what follows it
	line := call(t, tr, bad)
	require.NoError(t, line.Conn.(*net.TCPConn).CloseWrite())
	_, err = line.greeting()
	require.NoError(t, err)
	raw, err := line.readFrame(helloBytesMax)
	require.NoError(t, err)
	_, _, body, err := openFrame(raw)
	require.NoError(t, err)
	require.ErrorContains(t, endOf(body), "0 bytes, want 14")
	_, err = line.readFrame(helloBytesMax)
	require.ErrorIs(t, err, io.EOF, "and no reset, which could overtake the reason")
}

// TestGoldenOpening holds to the bytes with which a link begins and ends.
func TestGoldenOpening(t *testing.T) {
	var out bytes.Buffer
	l := &line{Conn: into{&out}}
	require.NoError(t, l.greet(hello{VersionMin: 1, VersionMax: 2, Name: "n1", To: "n2"}))
	require.NoError(t, l.sayEnd("why"))
	require.Equal(t, hex.EncodeToString([]byte(preface))+
		"27000000"+"0201"+"6efc7aee"+"00000000"+"010200"+strings.Repeat("00", 16)+"026e31"+"026e32"+
		"11000000"+"0205"+"b8aeff3c"+"00000000"+"776879", hex.EncodeToString(out.Bytes()))
}

// into is a connection that is written to.
type into struct{ io.Writer }

func (into) Read([]byte) (int, error)         { return 0, io.EOF }
func (into) Close() error                     { return nil }
func (into) LocalAddr() net.Addr              { return nil }
func (into) RemoteAddr() net.Addr             { return nil }
func (into) SetDeadline(time.Time) error      { return nil }
func (into) SetReadDeadline(time.Time) error  { return nil }
func (into) SetWriteDeadline(time.Time) error { return nil }
