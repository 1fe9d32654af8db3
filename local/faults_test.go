package local_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/transport/faults"
)

// inForce is the plan that a node itself says it carries out, in words.
func inForce(t *testing.T, c *local.Cluster, name string) string {
	t.Helper()
	res, err := http.Get("http://" + node(t, c, name).HTTP + "/v1/local/faults")
	require.NoError(t, err)
	defer res.Body.Close()
	var p faults.Plan
	require.NoError(t, json.NewDecoder(res.Body).Decode(&p))
	for _, cut := range p.Cuts {
		require.Equal(t, node(t, c, cut.Peer).Gossip, cut.Gossip, "a node that knows nobody yet can obey")
	}
	return p.String()
}

func sides(t *testing.T, text string) local.Sides {
	t.Helper()
	s, err := local.ParseSides(text)
	require.NoError(t, err)
	return s
}

func TestFaultsReachBothSidesAndOutliveRestarts(t *testing.T) {
	c := start(t, options(t, 4))
	unlisted, err := c.Cut(t.Context(), sides(t, "1/n2,3"), false)
	require.NoError(t, err)
	require.Equal(t, []string{"n4"}, unlisted)
	require.NoError(t, c.Slow(t.Context(), "1", 50*time.Millisecond))
	require.Equal(t, "cut from n2, n3; sends 50ms late", inForce(t, c, "n1"))
	require.Equal(t, "cut from n1", inForce(t, c, "n3"))
	require.Empty(t, inForce(t, c, "n4"))
	require.Equal(t, local.NodeFaults{NoSend: []string{"n2", "n3"}, NoReceive: []string{"n2", "n3"}, Delay: "50ms", Clock: "0s"}, node(t, c, "n1").Faults)
	require.False(t, node(t, c, "n4").Faults.Any())

	t.Log("cuts add up, and one may go one way")
	_, err = c.Cut(t.Context(), sides(t, "4/3"), true)
	require.NoError(t, err)
	require.Equal(t, "cannot send to n3", inForce(t, c, "n4"))
	require.Equal(t, "cut from n1; cannot hear n4", inForce(t, c, "n3"))
	for _, n := range []string{"n1", "n2", "n3", "n4"} {
		require.Equal(t, inForce(t, c, n), node(t, c, n).Faults.String())
	}

	t.Log("the cuts of one node may end before the others")
	require.NoError(t, c.Mend(t.Context(), "1"))
	require.Equal(t, "sends 50ms late", inForce(t, c, "n1"))
	require.Empty(t, inForce(t, c, "n2"))
	require.Equal(t, "cannot hear n4", inForce(t, c, "n3"))
	_, err = c.Cut(t.Context(), sides(t, "1/n2,3"), false)
	require.NoError(t, err)

	t.Log("a clock is a fault too")
	require.NoError(t, c.SetClock(t.Context(), "4", -time.Hour))
	require.Equal(t, "cannot send to n3; its clock is 1h0m0s behind", inForce(t, c, "n4"))
	require.Equal(t, inForce(t, c, "n4"), node(t, c, "n4").Faults.String())
	require.Error(t, c.SetClock(t.Context(), "4", 280*365*24*time.Hour))

	t.Log("a restarted node has its faults from the start, a whole cluster too")
	require.NoError(t, c.Restart(t.Context(), "n1", local.RestartOptions{}))
	require.Equal(t, "cut from n2, n3; sends 50ms late", inForce(t, c, "n1"))
	_, err = c.Stop(t.Context(), 10*time.Second)
	require.NoError(t, err)
	require.NoError(t, c.Slow(t.Context(), "n2", time.Second), "a stopped node learns at its start")
	_, _, err = local.Start(t.Context(), local.Options{Dir: c.Dir(), Ready: 20 * time.Second})
	require.NoError(t, err)
	require.Equal(t, "cut from n1; sends 1s late", inForce(t, c, "n2"))

	t.Log("a paused node learns when it is resumed")
	require.NoError(t, c.Pause(t.Context(), "n3"))
	require.NoError(t, c.Heal(t.Context()))
	for _, name := range []string{"n1", "n2", "n4"} {
		require.Empty(t, inForce(t, c, name))
		require.False(t, node(t, c, name).Faults.Pending)
	}
	require.True(t, node(t, c, "n3").Faults.Pending)
	require.NoError(t, c.Resume(t.Context(), "n3"))
	require.False(t, node(t, c, "n3").Faults.Pending)
	require.Empty(t, inForce(t, c, "n3"))
	require.NoError(t, c.Heal(t.Context()), "healing twice changes nothing")
}

func TestAnOrderThatOneNodeDoesNotTakeChangesNothing(t *testing.T) {
	o := options(t, 3)
	o.Args = []string{"--fake-mode", "no-faults-n3"}
	c := start(t, o)
	_, err := c.Cut(t.Context(), sides(t, "1/2,3"), false)
	var refused *local.OrderError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "n3", refused.Node)
	require.ErrorContains(t, err, "'kvcli local restart n3 --dir "+c.Dir()+"'")
	for _, name := range []string{"n1", "n2"} {
		require.Empty(t, inForce(t, c, name))
		require.False(t, node(t, c, name).Faults.Any())
	}
}

func TestFaultsThatCannotBe(t *testing.T) {
	c := start(t, options(t, 3))
	for text, want := range map[string]string{
		"1,2":     `"1,2" has not two sides`,
		"1/2/3":   "has not two sides",
		"/1,2":    "one side is empty",
		"1/":      "one side is empty",
		"1,2/2,3": "n2 is named twice",
		"1,n1/2":  "n1 is named twice",
		"1/9":     "node 9 is not in this cluster, which has n1 to n3: name a node as 1 or n1",
		"1,,2/3":  "is not in this cluster",
	} {
		s, err := local.ParseSides(text)
		if err == nil {
			_, err = c.Cut(t.Context(), s, false)
		}
		require.ErrorContains(t, err, want, text)
	}
	var delay *local.DelayError
	require.ErrorAs(t, c.Slow(t.Context(), "1", -time.Second), &delay)
	require.ErrorAs(t, c.Slow(t.Context(), "1", time.Hour), &delay)
	require.Error(t, c.Slow(t.Context(), "7", time.Second))
	for _, n := range []string{"n1", "n2", "n3"} {
		require.Empty(t, inForce(t, c, n))
	}
}
