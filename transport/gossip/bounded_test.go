package gossip

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// silent opens streams to a node and says nothing.
func silent(t *testing.T, addr string, n int) []net.Conn {
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		conns[i] = conn
	}
	return conns
}

// ended waits until the other end has closed a connection.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(15*time.Second)))
	_, err := io.Copy(io.Discard, conn)
	if late, ok := err.(net.Error); ok { // a reset is an end too
		require.False(t, late.Timeout(), "it is still open")
	}
}

// G8: those who open streams and sit on them take StreamsMax places, and nobody's
// turn.
func TestStrangersShutNoMemberOut(t *testing.T) {
	const most = 4
	var log journal
	one, err := Start(Config{
		Name: "n1", BindAddr: "127.0.0.1:0", StreamsMax: most, Profile: LAN, // which waits 10 s for each
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { one.Close() })
	strangers := silent(t, one.Addr(), 5*most)
	for _, c := range strangers[:4*most] {
		ended(t, c)
	}
	open, putOut := one.Streams()
	require.LessOrEqual(t, open, most)
	require.GreaterOrEqual(t, putOut, uint64(4*most))
	require.Equal(t, 1, log.count("closed the connection of a stranger"), "one line for many")

	two, _ := join(t, "n2", "", one.Addr())
	eventually(t, func() bool { return len(one.Members()) == 1 && len(two.Members()) == 1 })
}

func TestAStreamThatBringsTooMuchIsClosed(t *testing.T) {
	var log journal
	one, err := Start(Config{
		Name: "n1", BindAddr: "127.0.0.1:0", Profile: LAN, // which has time enough for what follows
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.NoError(t, err)
	t.Cleanup(func() { one.Close() })
	conn := silent(t, one.Addr(), 1)[0]
	// The head of a push-pull that announces 16 MiB, which memberlist would take.
	_, err = conn.Write([]byte("\x06\x83\xa5Nodes\x00\xacUserStateLen\xce\x01\x00\x00\x00\xa4Join\xc2"))
	require.NoError(t, err)
	for range 2 * StreamBytesMax / 4096 {
		if _, err = conn.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	ended(t, conn)
	require.Equal(t, 1, log.count("it sent more than 2097152 bytes"))
}
