package core

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/wire"
)

// An inspection shows what guests keep, beside what the homes hold. Who keeps nothing
// is not shown, and who cannot be asked is.
func TestAnInspectionShowsWhatGuestsKeep(t *testing.T) {
	r := newRig(t, 5, DefaultLimits())
	const key = "cart"
	homes, away := r.homesOf(key), r.away(key)
	inspect := func(node string) (home, guest []kindred.ReplicaView) {
		for _, v := range r.do(node, kindred.Request{Op: kindred.OpInspect, Bucket: "b", Key: key}).Replicas {
			if v.Guest {
				guest = append(guest, v)
			} else {
				home = append(home, v)
			}
		}
		return home, guest
	}
	first := r.do(homes[0], put(key, "before"))
	require.Nil(t, first.Err)
	home, guest := inspect(homes[0])
	require.Len(t, home, 3)
	require.Empty(t, guest, "nobody keeps anything")

	r.split(homes, away)
	require.Nil(t, r.do(away[0], put(key, "beyond the cut")).Err)
	home, guest = inspect(homes[0])
	require.Len(t, home, 3)
	require.Len(t, guest, 2)
	for _, v := range guest {
		require.Contains(t, away, v.Node)
		require.Equal(t, "unreachable", v.Err)
	}

	r.lose = func(_, _ string, m wire.Message) bool { return wire.KindOf(m) == wire.KindHint } // they cannot pay yet
	for _, a := range r.names {
		for _, b := range r.names {
			if a != b {
				r.nodes[a].shard.SetLink(r.now, b, true)
			}
		}
	}
	home, guest = inspect(homes[1])
	require.Len(t, home, 3)
	require.NotEmpty(t, guest)
	for _, v := range guest {
		require.Empty(t, v.Err)
		require.Len(t, v.Siblings, 1)
		require.Equal(t, len("beyond the cut"), v.Siblings[0].Bytes)
	}

	r.heal()
	r.payHints()
	home, guest = inspect(away[0])
	require.Empty(t, guest, "all is delivered")
	for _, v := range home {
		require.Len(t, v.Siblings, 2)
	}
	r.idle()
}
