package lobby_test

import (
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport/lobby"
)

func open(limits lobby.Limits) *lobby.Lobby {
	return lobby.New(limits, "peer", slog.New(slog.DiscardHandler))
}

// enter brings in somebody, and returns both ends.
func enter(t *testing.T, l *lobby.Lobby) (inside *lobby.Conn, outside net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	return l.Enter(a), b
}

// gone reports whether the other end of a connection has closed it.
func gone(outside net.Conn) bool {
	_ = outside.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err := outside.Read(make([]byte, 1))
	return err == io.EOF
}

func TestL1_TheOldestGoes(t *testing.T) {
	l := open(lobby.Limits{Max: 2, Patience: time.Hour, BytesMax: 1})
	first, outFirst := enter(t, l)
	_, outSecond := enter(t, l)
	third, outThird := enter(t, l)
	require.True(t, gone(outFirst))
	require.False(t, gone(outSecond) || gone(outThird))
	require.Equal(t, 2, l.Waiting())
	require.EqualValues(t, 1, l.PutOut())
	require.False(t, first.Introduce(), "too late")

	require.NoError(t, third.Close())
	require.NoError(t, first.Close())
	require.Equal(t, 1, l.Waiting(), "who goes by himself gives his place back")
	require.EqualValues(t, 1, l.PutOut())
}

func TestL2_PatienceAndBytesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(lobby.Limits{Max: 9, Patience: 3 * time.Second, BytesMax: 4})
		known, outKnown := enter(t, l)
		require.True(t, known.Introduce())
		_, outSilent := enter(t, l)
		loud, outLoud := enter(t, l)
		go func() { _, _ = outLoud.Write([]byte("12345")) }()
		buf := make([]byte, 8)
		_, err := io.ReadAtLeast(loud, buf, 5)
		require.ErrorIs(t, err, net.ErrClosed)
		require.True(t, gone(outLoud))
		require.False(t, gone(outSilent))
		time.Sleep(3 * time.Second) // of the bubble
		require.True(t, gone(outSilent))

		t.Log("L3: not for those who were introduced")
		require.False(t, gone(outKnown))
		go func() { _, _ = outKnown.Write([]byte("12345")) }()
		_, err = io.ReadFull(known, buf[:5])
		require.NoError(t, err)
		require.Zero(t, l.Waiting())
		require.EqualValues(t, 2, l.PutOut())
	})
}
