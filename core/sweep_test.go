package core

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/replica"
)

// A shard that may not write postpones the sweep: with a deadline that stays in
// the past its shell would never sleep. The simulator found it.
func TestAShardThatIsFullDoesNotAskToBeWokenAllTheTime(t *testing.T) {
	s := New(Config{Node: "n1", Limits: DefaultLimits()})
	now := time.Unix(1_790_000_000, 0)
	s.sweeper.remember(now, unstripped{row: "r", replica: replica.New(replica.ID{N: 3}, s.cfg.Start, s.recent)}, 5)
	s.SetFull(&kindred.Error{Code: kindred.CodeDiskFull})
	now = now.Add(time.Minute)
	s.Tick(now)
	at, ok := s.Deadline()
	require.True(t, ok)
	require.True(t, at.After(now), "%v", at.Sub(now))
	require.True(t, s.Effects().Empty())
}
