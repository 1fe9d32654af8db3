package server_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/server"
	"github.com/kindredkv/kindred/transport/faults"
)

// planned takes every plan that is valid.
type planned struct{ *faults.Network }

func (p planned) Faults() faults.Plan              { return p.Plan() }
func (p planned) SetFaults(plan faults.Plan) error { return p.Set(plan) }

func TestFaultsAreOrderedAndShown(t *testing.T) {
	const path = "/v1/local/faults"
	h := open(t, func(c *server.Config) { c.Faults = planned{faults.New()} })
	require.Equal(t, `{"cuts":[],"delay":"0s","clock":"0s"}`, strings.TrimSpace(h.get(t, path).body))
	order := `{"cuts":[{"peer":"n3","gossip":"127.0.0.1:7422","no_send":true,"no_receive":false}],"delay":"50ms","clock":"-1h0m0s"}`
	for _, a := range []answer{h.put(t, path, order), h.get(t, path)} {
		require.Equal(t, 200, a.status, a.body)
		require.JSONEq(t, order, a.body)
	}
	for wrong, want := range map[string]string{
		`{"delay":"-1s"}`:                 `"field":"delay"`,
		`{"cuts":[{"peer":"n3"}]}`:        `"field":"cuts"`,
		`{"slow":"1s"}`:                   `unknown field`,
		`cut everything`:                  `no plan of faults`,
		strings.Repeat(" ", 1<<20) + `{}`: `more than 1048576 bytes`,
	} {
		a := h.put(t, path, wrong)
		require.Equal(t, 400, a.status)
		require.Contains(t, a.body, want)
	}
	require.JSONEq(t, order, h.get(t, path).body, "a wrong order changes nothing")
	require.Equal(t, 405, h.do(t, "POST", path, nil).status)
	gone := h.do(t, "DELETE", path, nil)
	require.Equal(t, 200, gone.status)
	require.JSONEq(t, `{"cuts":[],"delay":"0s","clock":"0s"}`, gone.body)
}

func TestFaultsAreRefusedUnlessAskedFor(t *testing.T) {
	h := open(t)
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		a := h.do(t, method, "/v1/local/faults", nil)
		require.Equal(t, 403, a.status)
		require.Contains(t, a.body, "--fault-injection")
	}
}
