package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

// turning is how long nodes may take to see what has become of another.
const turning = time.Minute

// doors asks the nodes of a local cluster over HTTP, by number.
type doors struct {
	t    *testing.T
	base int
}

func (d doors) ask(method string, node int, path, body string) (int, string) {
	url := fmt.Sprintf("http://127.0.0.1:%d%s", d.base+10*(node-1)+3, path)
	req, err := http.NewRequestWithContext(d.t.Context(), method, url, strings.NewReader(body))
	require.NoError(d.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(d.t, err)
	return resp.StatusCode, string(b)
}

// state is what one node sees of another.
func (d doors) state(by int, of string) kindred.MemberState {
	_, body := d.ask(http.MethodGet, by, "/v1/cluster", "")
	var doc struct {
		Members []struct {
			Name  string
			State kindred.MemberState
		}
	}
	require.NoError(d.t, json.Unmarshal([]byte(body), &doc))
	for _, m := range doc.Members {
		if m.Name == of {
			return m.State
		}
	}
	return ""
}

// serveUntil polls nodes until something is so: at every poll they are ready and
// take a write.
func (d doors) serveUntil(done func() bool, nodes ...int) {
	deadline := time.Now().Add(turning)
	for polls := 1; ; polls++ {
		for _, n := range nodes {
			code, body := d.ask(http.MethodGet, n, "/readyz", "")
			require.Equal(d.t, http.StatusOK, code, "n%d, poll %d: %s", n, polls, body)
			code, body = d.ask(http.MethodPut, n, fmt.Sprintf("/v1/buckets/b/keys/k%d-%d", n, polls), "v")
			require.Equal(d.t, http.StatusNoContent, code, "n%d, poll %d: %s", n, polls, body)
		}
		if done() {
			return
		}
		require.True(d.t, time.Now().Before(deadline), "it takes too long")
	}
}

// TestANodeIsReadyAsLongAsItServesItsShare: that another is dead or beyond a cut
// takes no node out of service that still can have a quorum.
func TestANodeIsReadyAsLongAsItServesItsShare(t *testing.T) {
	t.Parallel()
	l := live{t, filepath.Join(t.TempDir(), "cluster")}
	d := doors{t, freePorts(t, 3)}
	t.Cleanup(func() { l.run("local", "stop", "--timeout", "5s") })
	l.ok("local", "start", "--nodes", "3", "--base-port", fmt.Sprint(d.base), "--kvnode", program(t, "kvnode"))

	l.ok("local", "kill", "3")
	d.serveUntil(func() bool { return d.state(1, "n3") == kindred.Dead && d.state(2, "n3") == kindred.Dead }, 1, 2)
	l.ok("local", "restart", "3")
	for _, n := range []string{"n1", "n2"} {
		require.Contains(t, []kindred.MemberState{kindred.Alive, kindred.Suspect}, d.state(3, n), "who is ready is linked")
	}
	l.ok("cluster", "wait", "--for", "ready")

	l.ok("local", "cut", "1/2,3")
	alone := func() bool {
		code, body := d.ask(http.MethodGet, 1, "/readyz", "")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "it reaches 0 of 2 others, and a quorum takes 1")
	}
	d.serveUntil(func() bool { return alone() && d.state(2, "n1") == kindred.Dead && d.state(3, "n1") == kindred.Dead }, 2, 3)
	require.True(t, alone(), "as long as the cut lasts")
	l.ok("local", "heal")
	l.ok("cluster", "wait", "--for", "ready")
	d.serveUntil(func() bool { return d.state(2, "n1") == kindred.Alive && d.state(3, "n1") == kindred.Alive }, 1, 2, 3)
}
