package node

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/transport/faults"
)

// order sends a plan of faults to a node's HTTP door.
func order(t *testing.T, n *Node, method, body string) string {
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+n.addrs.http+"/v1/local/faults", strings.NewReader(body))
	require.NoError(t, err)
	return answerTo(t, req)
}

func answerTo(t *testing.T, req *http.Request) string {
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, string(b))
	return string(b)
}

// Two nodes are cut from each other by orders to both, and joined again. Nobody
// can take either of them for healthy meanwhile (I12).
func TestInjectedCutsAreObeyedAndShown(t *testing.T) {
	var nodes []*Node
	for i, name := range []string{"n1", "n2"} {
		cfg := config(t, name)
		cfg.Expect, cfg.Replicas, cfg.FaultInjection = 2, 2, true
		if i > 0 {
			cfg.Join = []string{nodes[0].addrs.gossip}
		}
		nodes = append(nodes, start(t, cfg))
	}
	awaitReady(t, nodes...)
	all := func(key string) kindred.Request {
		r := put(key, "v")
		r.W, r.Timeout = kindred.CountAll, 500*time.Millisecond
		return r
	}
	require.Eventually(t, func() bool { return do(t, nodes[0], all("before")).Err == nil }, patience, 10*time.Millisecond)

	require.Contains(t, order(t, nodes[0], "PUT", `{"cuts":[{"peer":"n2","no_send":true,"no_receive":true}]}`), nodes[1].addrs.gossip)
	order(t, nodes[1], "PUT", `{"cuts":[{"peer":"n1","no_send":true,"no_receive":true}],"delay":"1ms"}`)
	refused := do(t, nodes[0], all("during")).Err
	require.NotNil(t, refused)
	require.Contains(t, strings.Join(nodes[0].Cluster().Problems, "\n"), "n1 is under injected faults: cut from n2;")
	require.Contains(t, strings.Join(nodes[1].Cluster().Problems, "\n"), "cut from n1; sends 1ms late")
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+nodes[1].addrs.http+"/metrics", nil)
	require.NoError(t, err)
	metrics := answerTo(t, req)
	for _, m := range []string{`kindred_injected_cuts{direction="send"} 1`, "kindred_injected_delay_seconds 0.001"} {
		require.Contains(t, metrics, m)
	}

	for _, n := range nodes {
		order(t, n, "DELETE", "")
	}
	require.Eventually(t, func() bool { return do(t, nodes[0], all("after")).Err == nil }, patience, 10*time.Millisecond)
	require.NotContains(t, strings.Join(nodes[0].Cluster().Problems, "\n"), "injected")
}

// A node that starts under a cut never meets those behind it.
func TestFaultsFromTheStart(t *testing.T) {
	first := config(t, "n1")
	first.Expect, first.FaultInjection = 2, true
	second := config(t, "n2")
	second.Expect, second.FaultInjection, second.Join = 2, true, []string{first.GossipAddr}
	second.Faults = faults.Plan{Cuts: []faults.Cut{{Peer: "n1", Gossip: first.GossipAddr, NoSend: true, NoReceive: true}}}
	start(t, first)
	n2 := start(t, second)
	require.Never(t, func() bool { return len(n2.Cluster().Members) > 1 }, 500*time.Millisecond, 10*time.Millisecond)
	require.Eventually(t, func() bool { return n2.faults.Stats().StalledDials > 0 }, patience, 10*time.Millisecond)
	require.NoError(t, n2.SetFaults(faults.Plan{}))
	awaitReady(t, n2)
	var bad *faults.PlanError
	require.ErrorAs(t, n2.SetFaults(faults.Plan{Cuts: []faults.Cut{{Peer: "n9", NoSend: true}}}), &bad)
	require.Equal(t, "gossip", bad.Field)
}

// TestAClockIsMadeWrong from the start or later: a moment in half an hour has passed by
// a clock that is an hour ahead.
func TestAClockIsMadeWrong(t *testing.T) {
	cfg := config(t, "n1")
	cfg.Expect, cfg.Replicas, cfg.FaultInjection = 1, 1, true
	cfg.Faults = faults.Plan{Clock: time.Hour}
	n := start(t, cfg)
	awaitReady(t, n)
	soon := func() string {
		r := put("k", "v")
		r.ExpiresAt = time.Now().Add(30 * time.Minute)
		if err := do(t, n, r).Err; err != nil {
			return err.Error()
		}
		return ""
	}
	require.Contains(t, soon(), "has passed")
	require.Contains(t, strings.Join(n.Cluster().Problems, "\n"), "its clock is 1h0m0s ahead")
	order(t, n, "DELETE", "")
	require.Empty(t, soon())
	order(t, n, "PUT", `{"clock":"31m"}`)
	require.Contains(t, soon(), "has passed")
}
