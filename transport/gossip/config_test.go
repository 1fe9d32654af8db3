package gossip

import (
	"bytes"
	"log"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigSaysWhatIsWrong(t *testing.T) {
	ok := Config{Name: "n1", BindAddr: "127.0.0.1:7402"}
	tests := []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Name = "" }, "no name"},
		{func(c *Config) { c.BindAddr = "7402" }, `BindAddr "7402" is not host:port`},
		{func(c *Config) { c.BindAddr = "h:99999" }, "the port is not a number from 0 to 65535"},
		{func(c *Config) { c.AdvertiseAddr = "h:x" }, `AdvertiseAddr "h:x"`},
		{func(c *Config) { c.Profile = "moon" }, `unknown profile "moon": use local, lan or wan`},
		{func(c *Config) { c.Meta = make([]byte, MetaBytesMax+1) }, "the meta has 512 bytes, the limit is 511"},
	}
	for _, tt := range tests {
		c := ok
		tt.change(&c)
		_, err := Start(c)
		require.ErrorContains(t, err, tt.want)
	}
}

func TestConfigChoosesForTheNetwork(t *testing.T) {
	m, err := Config{Name: "n1", BindAddr: "127.0.0.1:7402"}.memberlist()
	require.NoError(t, err)
	require.Equal(t, 200*time.Millisecond, m.ProbeTimeout, "loopback: the local profile")
	require.Equal(t, 7402, m.AdvertisePort)

	m, err = Config{Name: "n1", BindAddr: "0.0.0.0:7402", AdvertiseAddr: "localhost:9"}.memberlist()
	require.NoError(t, err)
	require.Equal(t, 500*time.Millisecond, m.ProbeTimeout, "else LAN")
	require.Contains(t, []string{"127.0.0.1", "::1"}, m.AdvertiseAddr, "names are looked up")
	require.Equal(t, 9, m.AdvertisePort)

	m, err = Config{Name: "n1", BindAddr: "0.0.0.0:7402", AdvertiseAddr: "10.0.0.9", Profile: WAN}.memberlist()
	require.NoError(t, err)
	require.Equal(t, 3*time.Second, m.ProbeTimeout)
	require.Equal(t, "10.0.0.9", m.AdvertiseAddr)
	require.Equal(t, 7402, m.AdvertisePort, "the port is that of BindAddr")
}

func TestWhoIsCalledAgain(t *testing.T) {
	c := Config{Name: "n1", BindAddr: "0.0.0.0:7402", Seeds: []string{"s:1", "s:2", "me:1"}}
	c.Known = func() map[string]string {
		return map[string]string{"n1": "old:1", "n2": "a:2", "n3": "a:3", "n4": ""}
	}
	live := []Member{{Name: "n2", Addr: "elsewhere:2"}, {Name: "n9", Addr: "s:2"}}
	require.ElementsMatch(t, []string{"a:3", "s:1"}, c.absent("me:1", live), "not itself, not those that are there")

	pause := time.Duration(0)
	var pauses []time.Duration
	for range 7 {
		pause = nextPause(pause, 10*time.Second, false)
		pauses = append(pauses, pause)
	}
	require.Equal(t, []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second}, pauses)
	require.Equal(t, time.Second, nextPause(pause, 10*time.Second, true), "more often while alone")
}

func TestMemberlistsLogHasLevels(t *testing.T) {
	var buf bytes.Buffer
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	to := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: drop}))
	l := log.New(logWriter{strange: func(string) {}, log: to}, "", 0)
	l.Printf("[DEBUG] memberlist: a")
	l.Printf("[INFO] memberlist: b")
	l.Printf("[ERR] memberlist: c")
	l.Printf("[ERR] memberlist: Conflicting address for n1. Mine: x Theirs: y")
	l.Printf("d")
	require.Equal(t, `level=DEBUG msg="gossip: a"
level=INFO msg="gossip: b"
level=WARN msg="gossip: c"
level=DEBUG msg="gossip: Conflicting address for n1. Mine: x Theirs: y"
level=WARN msg="gossip: d"
`, buf.String())
}

// TestEventsAreLevels: what happens faster than it is reported arrives as the
// latest state.
func TestEventsAreLevels(t *testing.T) {
	r := newRecorder("n1", nil)
	set := func(alive bool, meta string) {
		r.update("n2", func(rec *record) {
			rec.member.Meta, rec.alive, rec.changed = []byte(meta), alive, true
		})
	}
	set(true, "a")
	set(false, "a")
	require.Empty(t, r.events(), "came and went unseen")
	set(true, "a")
	set(true, "b")
	events := r.events()
	require.Len(t, events, 1)
	require.Equal(t, Event{Kind: Joined, Name: "n2", Meta: []byte("b")}, events[0])
	for range 1000 {
		set(true, "c")
	}
	require.Len(t, r.events(), 1)
	set(false, "c")
	require.Equal(t, Died, r.events()[0].Kind)
	require.Empty(t, r.members, "the gone take no room")
}
