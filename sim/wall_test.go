package sim

import (
	"testing"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/jepsen/workload"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
	"github.com/stretchr/testify/require"
)

// TestExpiryOfWhatNoRowShows plays nodes that stop for longer than their clients
// wait. What they find when they go on is a put that was given up and made elsewhere,
// a read, and the delete of the other one: the read shows the put, with its expiry,
// and the delete ends it before there is a row of it (W8, R19).
func TestExpiryOfWhatNoRowShows(t *testing.T) {
	var hits Hits
	for seed := range uint64(12) {
		cfg := Draw(seed)
		cfg.Replicas = 3
		cfg.Nodes, cfg.Keys, cfg.Clients, cfg.Think, cfg.Storm = 3, 1, 8, 40*time.Millisecond, 8*time.Second
		cfg.Kinds = []workload.Kind{workload.Recreate, workload.Register}
		cfg.R, cfg.W, cfg.Mixed, cfg.Durability, cfg.Strict = 2, 2, false, kindred.Batch, 1
		cfg.Timeout, cfg.Retry = 500*time.Millisecond, 1
		cfg.Disk, cfg.EventsPerRound = Disk{Read: time.Millisecond, Sync: time.Millisecond}, 64
		cfg.Fault = Faults{Pause: time.Second, PauseFor: 2 * time.Second}
		cfg.Loss, cfg.LastWins = Losses{}, false
		cfg.Expire, cfg.TTL = 1, time.Minute
		r := Play(seed, cfg, Options{Events: 40})
		require.Nil(t, r.Finding, "seed %d: %v\n%v", seed, r.Finding, cfg)
		hits = hits.Plus(r.Hits)
	}
	require.NotZero(t, hits[TwinDropped], "puts whose other dot had been superseded")
}

// The judge learns when a put expires from the messages about it, row or no row, and
// finds one that is not what the client asked for.
func TestExpiryIsNotedFromWhatIsSent(t *testing.T) {
	const written, ttl = 1_000_000, time.Minute
	for name, c := range map[string]struct {
		ttl      time.Duration
		sent     wire.Expiry
		lastWins bool
		broken   bool
	}{
		"as asked":                      {ttl: ttl, sent: written + 60_000},
		"never, as asked":               {},
		"never, though it was asked":    {ttl: ttl, broken: true},
		"later than asked":              {ttl: ttl, sent: written + 60_001, broken: true},
		"sooner than asked":             {ttl: ttl, sent: written + 59_999, broken: true},
		"though it was not asked":       {sent: written + 60_000, broken: true},
		"last wins: the clock was late": {ttl: ttl, sent: written + 10_000, lastWins: true},
		"last wins: never":              {ttl: ttl, lastWins: true, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Draw(1)
			cfg.LastWins = c.lastWins
			r := newRun(1, cfg, Options{})
			d := vclock.Dot{Actor: vclock.Actor{Disk: 7}, Counter: 1}
			op := &operation{request: kindred.Request{Op: kindred.OpPut, TTL: c.ttl}}
			w := &write{dot: d, op: op, put: true}
			r.oracle.writes[d] = w
			m := &wire.Write{}
			m.Delta.Dots.Add(d)
			m.Delta.Versions = []vclock.Version[wire.Record]{{Dot: d, Value: wire.Record{WrittenAt: written, ExpiresAt: c.sent}}}
			b := batch{oracle: r.oracle, shell: &shell{node: r.nodes[0]}, out: &core.Effects{Sends: []core.Send{{To: "n2", Msg: m}}}}

			b.noteSent(w)

			require.Equal(t, c.broken, r.oracle.finding != nil, "%v", r.oracle.finding)
			require.Equal(t, c.sent, w.expiry)
		})
	}
}
