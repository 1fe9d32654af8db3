package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// say sends a request as a browser would for a page; no client of ours says such
// headers.
func (h *house) say(t *testing.T, method, path, host string, headers ...string) (int, string) {
	req, err := http.NewRequestWithContext(within(t), method, h.url+path, strings.NewReader("stolen"))
	require.NoError(t, err)
	if host != "" {
		req.Host = host
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	return resp.StatusCode, resp.Header.Get("Access-Control-Allow-Origin")
}

// TestPagesOfOtherOriginsChangeNothing: a page that somebody looks at makes his
// browser post to 127.0.0.1, which needs no leave of ours if the post is simple.
func TestPagesOfOtherOriginsChangeNothing(t *testing.T) {
	h := open(t)
	for _, order := range []struct{ method, path string }{
		{"POST", "/v1/local/repair"}, {"POST", "/v1/buckets/b/keys/k/repair"},
		{"PUT", "/v1/buckets/b/keys/k"}, {"DELETE", "/v1/buckets/b/keys/k"},
		{"PUT", "/v1/local/faults"}, {"PUT", "/v1/buckets/b/options"},
	} {
		for _, headers := range [][]string{
			{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"},
			{"Origin", "http://127.0.0.1:1"}, {"Sec-Fetch-Site", "same-site"},
		} {
			status, cors := h.say(t, order.method, order.path, "", headers...)
			require.Equal(t, 403, status, "%s %s %v", order.method, order.path, headers)
			require.Empty(t, cors)
		}
	}
	require.Empty(t, h.backend.requests(), "nothing of it came to the node")
	status, _ := h.say(t, "PUT", "/v1/buckets/b/keys/k", "", "Origin", h.url, "Sec-Fetch-Site", "same-origin")
	require.Equal(t, 204, status, "a page of the node's own origin may")
}

// TestNamesThatOthersOwnDoNotLeadIn: a page of evil.example, whose name leads to
// 127.0.0.1 since a moment ago, asks its own origin.
func TestNamesThatOthersOwnDoNotLeadIn(t *testing.T) {
	h := open(t)
	for host, want := range map[string]int{
		"evil.example": 403, "evil.example:7403": 403, "EVIL.example.": 403, "127.0.0.1.evil.example": 403,
		"localhost.evil.example:80": 403,
		"127.0.0.1:7403":            204, "[::1]:7403": 204, "[::1]": 204, "localhost": 204, "localhost:7403": 204,
		"kindred.localhost:7403": 204, "n1": 204, "LOCALHOST.": 204,
	} {
		status, _ := h.say(t, "PUT", "/v1/buckets/b/keys/k", host, "Origin", "http://"+host, "Sec-Fetch-Site", "same-origin")
		require.Equal(t, want, status, host)
		if want == 403 {
			status, _ = h.say(t, "GET", "/v1/buckets/b", host)
			require.Equal(t, 403, status, "reading, as %s", host)
		}
	}
	status, _ := h.say(t, "GET", "/healthz", "balancer.example")
	require.Equal(t, 200, status, "health is for everybody")
}
