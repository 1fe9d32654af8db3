package transport_test

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/transport"
)

// few lets few strangers in.
const few = 4

func forFew(c *transport.Config) { c.StrangersMax = few }

// intrude opens connections to a port, says something on each, and no more.
func intrude(t *testing.T, addr, words string, n int) []net.Conn {
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, _ = conn.Write([]byte(words)) // it may be closed already
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

func waiting(t *transport.Transport) int {
	n, _ := t.Strangers()
	return n
}

// halfAHello is the preface and the size of what does not come.
const halfAHello = "KINDRED\n\x00\x01\x00\x00"

// Strangers who open connections and sit on them take StrangersMax places, and
// none of a peer's.
func TestStrangersShutNoPeerOut(t *testing.T) {
	kit, _ := kitOf(t)
	_, asN1 := as(t, kit, "n1")
	_, asN2 := as(t, kit, "n2")
	patient := func(c *transport.Config) { c.DialTimeout = time.Minute }
	for name, secured := range map[string][2]func(*transport.Config){
		"in plain text": {plain, plain}, "with certificates": {asN1, asN2},
	} {
		for said, words := range map[string]string{"nothing": "", "half a hello": halfAHello, "half a record": "\x16\x03"} {
			t.Run(name+" they say "+said, func(t *testing.T) {
				var log journal
				one := listen(t, "n1", ignore, forFew, patient, secured[0], log.into)
				two := listen(t, "n2", ignore, hasty, secured[1])
				crowd := intrude(t, one.Addr(), words, 5*few)
				for _, c := range crowd[:4*few] {
					ended(t, c)
				}
				require.LessOrEqual(t, waiting(one), few)
				meet(t, one, two)
				require.LessOrEqual(t, waiting(one), few)

				t.Log("nor do they end the links that there are")
				eventually(t, func() bool { return statsOf(one, "n2").ConnectsIn >= 2 }) // counted after the answer, one for each lane
				connects := statsOf(one, "n2").ConnectsIn
				for _, c := range intrude(t, one.Addr(), words, 5*few)[:4*few] {
					ended(t, c)
				}
				require.True(t, linked(one, "n2") && linked(two, "n1"))
				require.Equal(t, connects, statsOf(one, "n2").ConnectsIn)
				require.LessOrEqual(t, log.count("closed the connection of a stranger"), 15, "a line a second at most")
			})
		}
	}
}

// A stranger has as long as a peer has to dial; half a hello changes nothing of that.
func TestStrangersGoInTime(t *testing.T) {
	one := listen(t, "n1", ignore, func(c *transport.Config) { c.DialTimeout = 100 * time.Millisecond })
	for _, words := range []string{"", halfAHello} {
		ended(t, intrude(t, one.Addr(), words, 1)[0])
	}
	eventually(t, func() bool { return waiting(one) == 0 })
	_, putOut := one.Strangers()
	require.Positive(t, putOut)
}

// Nor may a stranger send much, whether it was told to stop or not.
func TestStrangersSendLittle(t *testing.T) {
	kit, _ := kitOf(t)
	_, asN1 := as(t, kit, "n1")
	for name, secured := range map[string]func(*transport.Config){
		"in plain text": plain, "with certificates": asN1,
	} {
		t.Run(name, func(t *testing.T) {
			one := listen(t, "n1", ignore, secured, func(c *transport.Config) { c.DialTimeout = time.Minute })
			conn := intrude(t, one.Addr(), halfAHello, 1)[0]
			for sent := 0; sent < 256<<10; sent += 1 << 10 {
				if _, err := conn.Write(make([]byte, 1<<10)); err != nil {
					break
				}
			}
			ended(t, conn)
			eventually(t, func() bool { return waiting(one) == 0 })
		})
	}
}

// Who proves a name and then ends his link is a stranger again.
func TestAnEndedLinkTakesNoPlace(t *testing.T) {
	one := listen(t, "n1", ignore, hasty)
	two := listen(t, "n2", ignore, hasty)
	meet(t, one, two)
	require.Zero(t, waiting(one))
	require.NoError(t, two.Close())
	eventually(t, func() bool { return !statsOf(one, "n2").Linked && waiting(one) == 0 })
}

// A handshake that takes for ever ends too.
func TestAHandshakeThatStopsIsCutOff(t *testing.T) {
	kit, _ := kitOf(t)
	_, asN1 := as(t, kit, "n1")
	one := listen(t, "n1", ignore, asN1, func(c *transport.Config) { c.DialTimeout = 100 * time.Millisecond })
	conn := intrude(t, one.Addr(), "", 1)[0]
	silent := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	_ = silent.Handshake() // the node wants a certificate and gets none
	ended(t, conn)
}
