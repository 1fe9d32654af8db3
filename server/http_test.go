package server_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/server"
)

// answer is an HTTP response that was read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (h *house) do(t testing.TB, method, path string, body io.Reader, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, h.url+path, body)
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	client := http.DefaultClient
	if h.client != nil {
		client = h.client
	}
	res, err := client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return answer{res.StatusCode, res.Header, string(b)}
}

func (h *house) put(t testing.TB, path, value string, headers ...string) answer {
	t.Helper()
	return h.do(t, "PUT", path, strings.NewReader(value), headers...)
}

func (h *house) get(t testing.TB, path string) answer {
	t.Helper()
	return h.do(t, "GET", path, nil)
}

const alice = "/v1/buckets/carts/keys/alice"

func TestAValueGoesInAndComesOut(t *testing.T) {
	h := open(t)
	absent := h.get(t, alice)
	require.Equal(t, answer{404, absent.header, ""}, absent)
	require.Empty(t, absent.header.Get("Kindred-Context"), "nothing was ever here")

	put := h.put(t, alice, "milk\x00\xff", "Content-Type", "text/x-cart")
	require.Equal(t, 204, put.status)
	require.Empty(t, put.body)
	require.Equal(t, "n1:1", put.header.Get("Kindred-Receipt"))
	require.Equal(t, "replicated", put.header.Get("Kindred-Stage"))
	require.Equal(t, "batch", put.header.Get("Kindred-Durability"))
	require.Equal(t, "n1,n2", put.header.Get("Kindred-Acked"))
	require.NotEmpty(t, put.header.Get("Kindred-Context"))

	got := h.get(t, alice)
	require.Equal(t, 200, got.status)
	require.Equal(t, "milk\x00\xff", got.body)
	require.Equal(t, "text/x-cart", got.header.Get("Content-Type"))
	require.Equal(t, "nosniff", got.header.Get("X-Content-Type-Options"))
	require.Equal(t, put.header.Get("Kindred-Context"), got.header.Get("Kindred-Context"))

	head := h.do(t, "HEAD", alice, nil)
	require.Equal(t, 200, head.status)
	require.Empty(t, head.body)
	require.Equal(t, "6", head.header.Get("Content-Length"))

	del := h.do(t, "DELETE", alice, nil, "Kindred-Context", got.header.Get("Kindred-Context"))
	require.Equal(t, 204, del.status)
	require.Equal(t, "n1:2", del.header.Get("Kindred-Receipt"))

	gone := h.get(t, alice)
	require.Equal(t, 404, gone.status)
	require.NotEmpty(t, gone.header.Get("Kindred-Context"), "it once was here")
}

func TestAnEmptyValueIsAValue(t *testing.T) {
	h := open(t)
	require.Equal(t, 204, h.put(t, alice, "").status)
	got := h.get(t, alice)
	require.Equal(t, 200, got.status)
	require.Equal(t, "application/octet-stream", got.header.Get("Content-Type"))
	h.put(t, alice, "b")
	require.Contains(t, h.get(t, alice).body, `{"value":"","dot":"n1:1"`)
}

func TestSiblingsAreShownTogether(t *testing.T) {
	h := open(t)
	h.put(t, alice, "milk", "Content-Type", "text/plain")
	h.put(t, alice, "<eggs>")
	got := h.get(t, alice)
	require.Equal(t, 300, got.status)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	context := got.header.Get("Kindred-Context")
	siblings := `"context":"` + context + `","siblings":[` +
		`{"value":"bWlsaw==","dot":"n1:1","content_type":"text/plain","written_at":"2001-09-09T01:46:40Z","node":"n1","causes":[],"deleted":false},` +
		`{"value":"PGVnZ3M+","dot":"n1:2","content_type":"","written_at":"2001-09-09T01:46:40Z","node":"n1","causes":[],"deleted":false}]}` + "\n"
	require.Equal(t, "{"+siblings, got.body)

	one := h.get(t, alice+"?one=true")
	require.Equal(t, 409, one.status)
	require.Equal(t, `{"error":{"code":"siblings","message":"one=true, but the key has 2 siblings: choose or merge, `+
		`and put the result with this context","field":"one","limit":0,"outcome":"not_applied","dot":""},`+siblings, one.body)
	require.Equal(t, context, one.header.Get("Kindred-Context"))

	require.Equal(t, 204, h.put(t, alice, "milk and eggs", "Kindred-Context", context).status)
	require.Equal(t, answer{200, nil, "milk and eggs"}, strip(h.get(t, alice+"?one=true&sloppy=false")))
}

func strip(a answer) answer { a.header = nil; return a }

// Lesson: a clock beyond the year 9999 makes encoding/json fail.
func TestABrokenClockDoesNotHideAValue(t *testing.T) {
	h := open(t)
	h.put(t, alice, "a")
	h.put(t, alice, "b")
	for _, o := range h.backend.objects {
		o.siblings[0].WrittenAt = o.siblings[0].WrittenAt.AddDate(20000, 0, 0)
	}
	got := h.get(t, alice)
	require.Equal(t, 300, got.status)
	require.Contains(t, got.body, `"written_at":"22001-09-09T01:46:40Z"`)
}

func TestEveryOptionReachesTheBackend(t *testing.T) {
	h := open(t)
	id := "000102030405060708090a0b0c0d0e0f"
	require.Equal(t, 204, h.put(t, alice+"?w=2&pw=one&durability=sync&timeout=1500ms", "v", "Kindred-Request-Id", id,
		"Content-Type", "a/b").status)
	got := h.backend.last()
	require.Equal(t, &kindred.Request{Op: kindred.OpPut, Bucket: "carts", Key: "alice", Value: []byte("v"),
		ContentType: "a/b", Context: []byte{}, RequestID: kindred.RequestID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
		W: 2, PW: 1, Durability: kindred.Sync, Timeout: 1500e6}, got)

	require.Equal(t, 200, h.get(t, alice+"?r=all&pr=quorum&timeout=1s&w=").status)
	got = h.backend.last()
	require.Equal(t, &kindred.Request{Op: kindred.OpGet, Bucket: "carts", Key: "alice",
		R: kindred.CountAll, PR: kindred.CountQuorum, Timeout: 1e9}, got)
}

// A key is any bytes; the path must neither clean nor cut it.
func TestKeysAreAnyBytes(t *testing.T) {
	for i, key := range []string{"a/b", "/", "//", ".", "..", "../../etc", "a b+c?d#e%", "\xff\xfe\x00", "é", "%2F", "a%2fb", ";&=", "keys/", "\r\n"} {
		h := open(t)
		path := "/v1/buckets/b%2F%C3%BC/keys/" + url.PathEscape(key)
		require.Equal(t, 204, h.put(t, path, key).status, "%d: %q", i, key)
		require.Equal(t, key, h.backend.last().Key)
		require.Equal(t, "b/ü", h.backend.last().Bucket)
		require.Equal(t, key, h.get(t, path).body)
	}
}

func TestDotsInAPathAreNotCleaned(t *testing.T) {
	h := open(t)
	for path, key := range map[string]string{
		"/v1/buckets/b/keys/..":         "..",
		"/v1/buckets/b/keys/.":          ".",
		"/v1/buckets/b/keys/%2e%2e":     "..",
		"/v1/buckets/b/keys/ü%2F|\"<":   "ü/|\"<",
		"/v1/buckets/b/keys/%2E%2F%2f%": "",
	} {
		req, err := http.NewRequestWithContext(within(t), "GET", h.url, nil)
		require.NoError(t, err)
		req.URL.Opaque = path
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		res.Body.Close()
		if key == "" {
			require.Equal(t, 400, res.StatusCode, path)
			continue
		}
		require.Equal(t, 404, res.StatusCode, path)
		require.Equal(t, key, h.backend.last().Key)
	}
}

func TestBadRequestsAreNamedAndNotAsked(t *testing.T) {
	h := open(t)
	long := strings.Repeat("k", 4097)
	const counts = `\" is not a replica count: use a number from 1 to 16, one, quorum or all`
	for _, c := range []struct {
		method, path string
		headers      []string
		status       int
		body         string // of the error document
	}{
		{"PUT", "/v1/buckets/carts/keys/" + long, nil, 413,
			`"code":"too_large","message":"key has 4097 bytes, the limit is 4096: use a shorter key, for instance a hash of the long one","field":"key","limit":4096`},
		{"GET", "/v1/buckets/carts/keys/", nil, 400,
			`"code":"invalid","message":"the key is empty; a key has 1 to 4096 bytes","field":"key","limit":0`},
		{"GET", "/v1/buckets//keys/k", nil, 400,
			`"code":"invalid","message":"the bucket name is empty; it has 1 to 255 bytes","field":"bucket","limit":0`},
		{"GET", "/v1/buckets/%FF/keys/k", nil, 400,
			`"code":"invalid","message":"the bucket name is not valid UTF-8; keys may hold any bytes, bucket names may not","field":"bucket","limit":0`},
		{"GET", "/v1/buckets/" + strings.Repeat("b", 256) + "/keys/k", nil, 413,
			`"code":"too_large","message":"bucket has 256 bytes, the limit is 255: use a shorter bucket name","field":"bucket","limit":255`},
		{"GET", "/v1/buckets/b/keys/a/b", nil, 400,
			`"code":"invalid","message":"the key in the path has a bare slash: write it as %2F","field":"key","limit":0`},
		{"GET", alice + "?r=17", nil, 400, `"code":"invalid","message":"r: \"17` + counts + `","field":"r","limit":0`},
		{"GET", alice + "?pr=most", nil, 400, `"code":"invalid","message":"pr: \"most` + counts + `","field":"pr","limit":0`},
		{"PUT", alice + "?w=-1", nil, 400, `"code":"invalid","message":"w: \"-1` + counts + `","field":"w","limit":0`},
		{"PUT", alice + "?pw=0", nil, 400, `"code":"invalid","message":"pw: \"0` + counts + `","field":"pw","limit":0`},
		{"PUT", alice + "?durability=disk", nil, 400,
			`"code":"invalid","message":"durability: \"disk\" is not a durability: use memory, batch or sync","field":"durability","limit":0`},
		{"PUT", alice + "?timeout=5", nil, 400,
			`"code":"invalid","message":"timeout: \"5\" is not a positive duration: write 500ms, 2s or 1m","field":"timeout","limit":0`},
		{"PUT", alice + "?timeout=-1s", nil, 400,
			`"code":"invalid","message":"timeout: \"-1s\" is not a positive duration: write 500ms, 2s or 1m","field":"timeout","limit":0`},
		{"GET", alice + "?one=1", nil, 400, `"code":"invalid","message":"one: \"1\" is neither true nor false","field":"one","limit":0`},
		{"GET", alice + "?sloppy=maybe", nil, 400, `"code":"invalid","message":"sloppy: \"maybe\" is neither true nor false","field":"sloppy","limit":0`},
		{"GET", alice + "?R=1", nil, 400,
			`"code":"invalid","message":"\"R\" is not a query parameter here: use r, w, pr, pw, durability, timeout, one, ttl, expires_at, sloppy","field":"R","limit":0`},
		{"GET", alice + "?r=1&r=2", nil, 400, `"code":"invalid","message":"r is given 2 times: give it once","field":"r","limit":0`},
		{"GET", alice + "?r=%zz", nil, 400,
			`"code":"invalid","message":"the query is malformed: invalid URL escape \"%zz\"","field":"query","limit":0`},
		{"PUT", alice, []string{"Kindred-Context", "not base64!"}, 400,
			`"code":"bad_context","message":"Kindred-Context: \"not base64!\" is not base64url: pass back the context of a read as it came","field":"context","limit":0`},
		{"PUT", alice, []string{"Kindred-Context", "AAAA", "Kindred-Context", "AAAA"}, 400,
			`"code":"invalid","message":"the header Kindred-Context is given 2 times: give it once","field":"context","limit":0`},
		{"PUT", alice, []string{"Kindred-Request-Id", "abc"}, 400,
			`"code":"invalid","message":"Kindred-Request-Id: request id \"abc\" has 3 characters, want 32 hexadecimal digits","field":"request_id","limit":0`},
		{"PUT", alice, []string{"Content-Type", strings.Repeat("x", 256)}, 413,
			`"code":"too_large","message":"content_type has 256 bytes, the limit is 255: use a shorter content type","field":"content_type","limit":255`},
		{"PUT", alice, []string{"Content-Type", "text/\xff"}, 400,
			`"code":"invalid","message":"the content type is not valid UTF-8","field":"content_type","limit":0`},
		{"PUT", alice, []string{"Kindred-Context", base64.RawURLEncoding.EncodeToString(make([]byte, 1<<20+1))}, 413,
			`"code":"too_large","message":"context has 1048577 bytes, the limit is 1048576: pass back the context of a read as it came","field":"context","limit":1048576`},
		{"GET", "/v1/buckets/b/keys?limit=1001", nil, 400,
			`"code":"invalid","message":"limit: \"1001\" is not a page size: use a number from 1 to 1000, and the cursor for more","field":"limit","limit":0`},
		{"GET", "/v1/buckets/b/keys?conflicts=all", nil, 400,
			`"code":"invalid","message":"conflicts: \"all\" is not possible: use conflicts=only, or leave it out","field":"conflicts","limit":0`},
		{"GET", "/v1/buckets/b/keys?cursor=**", nil, 400, `"code":"invalid","message":"cursor: \"**\" is not base64url","field":"cursor","limit":0`},
		{"GET", "/v1/buckets/b/keys?r=1", nil, 400,
			`"code":"invalid","message":"\"r\" is not a query parameter here: use prefix, cursor, limit, conflicts, timeout","field":"r","limit":0`},
		{"GET", "/v2/x", nil, 404,
			`"code":"invalid","message":"there is nothing at \"/v2/x\": keys are at /v1/buckets/{bucket}/keys/{key}","field":"path","limit":0`},
		{"GET", "/v1/buckets/b/x", nil, 404,
			`"code":"invalid","message":"there is nothing at \"/v1/buckets/b/x\": keys are at /v1/buckets/{bucket}/keys/{key}","field":"path","limit":0`},
		{"POST", alice, nil, 405, `"code":"invalid","message":"\"POST\" is not possible here: use GET, HEAD, PUT, DELETE","field":"method","limit":0`},
		{"PUT", "/v1/buckets/b/keys", nil, 405, `"code":"invalid","message":"\"PUT\" is not possible here: use GET, HEAD","field":"method","limit":0`},
		{"PUT", "/healthz", nil, 405, `"code":"invalid","message":"\"PUT\" is not possible here: use GET, HEAD","field":"method","limit":0`},
	} {
		got := h.do(t, c.method, c.path, nil, c.headers...)
		require.Equal(t, c.status, got.status, "%s %s: %s", c.method, c.path, got.body)
		require.Equal(t, `{"error":{`+c.body+`,"outcome":"not_applied","dot":""}}`+"\n", got.body)
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
		require.Equal(t, c.status == 405, got.header.Get("Allow") != "")
	}
	require.Empty(t, h.backend.requests(), "the backend was asked for what breaks a limit")
}

func TestAForeignContextIsTheClientsFault(t *testing.T) {
	h := open(t)
	context := h.put(t, alice, "v").header.Get("Kindred-Context")
	got := h.put(t, "/v1/buckets/carts/keys/bob", "v", "Kindred-Context", context+"==")
	require.Equal(t, 400, got.status)
	require.Contains(t, got.body, `"code":"bad_context"`)
}

func TestAValueOfEightMebibytesIsTheLargest(t *testing.T) {
	h := open(t)
	largest := strings.Repeat("v", 8<<20)
	require.Equal(t, 204, h.put(t, alice, largest).status)
	require.Len(t, h.get(t, alice).body, 8<<20)

	announced := h.put(t, alice, largest+"v")
	require.Equal(t, 413, announced.status)
	require.Equal(t, `{"error":{"code":"too_large","message":"value has 8388609 bytes, the limit is 8388608: split the value over several keys",`+
		`"field":"value","limit":8388608,"outcome":"not_applied","dot":""}}`+"\n", announced.body)

	chunked := h.do(t, "PUT", alice, io.MultiReader(strings.NewReader(largest), strings.NewReader("v")))
	require.Equal(t, 413, chunked.status)
	require.Equal(t, `{"error":{"code":"too_large","message":"value has more than 8388608 bytes, the limit is 8388608: split the value over several keys",`+
		`"field":"value","limit":8388608,"outcome":"not_applied","dot":""}}`+"\n", chunked.body)
	require.Len(t, h.backend.requests(), 2)
}

// A body may come in chunks, of which nobody knows how many will follow: it is taken
// whole, and ended early if it does not end itself.
func TestABodyInChunksIsTakenAndBounded(t *testing.T) {
	h := open(t)
	conn := h.knock(t, "PUT "+alice+" HTTP/1.1\r\nHost: n1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nmilk\r\n")
	_, err := conn.Write([]byte("5\r\n, tea\r\n0\r\n\r\n"))
	require.NoError(t, err)
	b := make([]byte, 1<<10)
	n, err := conn.Read(b)
	require.NoError(t, err)
	require.Contains(t, string(b[:n]), "204 No Content")
	require.Equal(t, "milk, tea", h.get(t, alice).body)

	conn = h.knock(t, "PUT "+alice+" HTTP/1.1\r\nHost: n1\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := []byte("100000\r\n" + strings.Repeat("v", 1<<20) + "\r\n")
	const enough = 200 // MiB; what is read, and what buffers between the two may hold, is a tenth
	sent := 0
	for ; sent < enough && err == nil; sent++ {
		_, err = conn.Write(chunk)
	}
	require.Error(t, err, "the node did not end it")
	require.Less(t, sent, enough)
	require.Equal(t, "milk, tea", h.get(t, alice).body)
}

func TestEachFailureHasItsStatus(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		code    kindred.Code
		outcome kindred.Outcome
		status  int
	}{
		{kindred.CodeInvalid, kindred.NotApplied, 400},
		{kindred.CodeBadContext, kindred.NotApplied, 400},
		{kindred.CodeTooLarge, kindred.NotApplied, 413},
		{kindred.CodeSiblings, kindred.NotApplied, 409},
		{kindred.CodeUnavailable, kindred.NotApplied, 503},
		{kindred.CodeUnavailable, kindred.Unknown, 504},
		{kindred.CodeTimeout, kindred.NotApplied, 503},
		{kindred.CodeTimeout, kindred.Unknown, 504},
		{kindred.CodeOverloaded, kindred.NotApplied, 503},
		{kindred.CodeWrongRing, kindred.NotApplied, 503},
		{kindred.CodeNoLayout, kindred.NotApplied, 503},
		{kindred.CodeDiskFull, kindred.NotApplied, 503},
		{kindred.CodeStopping, kindred.NotApplied, 503},
		{kindred.CodeInternal, kindred.NotApplied, 500},
		{kindred.CodeInternal, kindred.Unknown, 504},
		{kindred.CodeInternal, kindred.Applied, 504},
	} {
		h.backend.fail = &kindred.Error{Code: c.code, Message: "2 of 3 answered", Outcome: c.outcome, Dot: "n1:7", Field: "w", Limit: 3,
			Failed: []kindred.NodeFailure{{Node: "n2", Reason: "timed out"}, {Node: "n3", Reason: "unreachable"}}}
		outcome := c.outcome.String()
		if c.outcome == kindred.Applied {
			outcome = "unknown" // an error that applied is a contradiction: promise nothing
		}
		for _, got := range []answer{h.put(t, alice, "v"), h.get(t, alice), h.do(t, "DELETE", alice, nil), h.get(t, "/v1/buckets/b/keys")} {
			require.Equal(t, c.status, got.status, string(c.code))
			require.Equal(t, `{"error":{"code":"`+string(c.code)+`","message":"2 of 3 answered (n2 timed out; n3 unreachable)",`+
				`"field":"w","limit":3,"outcome":"`+outcome+`","dot":"n1:7"}}`+"\n", got.body)
			require.Equal(t, c.status == 503, got.header.Get("Retry-After") == "1")
		}
	}
}

func TestKeysAreListedPageByPage(t *testing.T) {
	h := open(t)
	for _, key := range []string{"a", "b/1", "b/2", "b\xff", "<c>"} {
		h.put(t, "/v1/buckets/carts/keys/"+url.PathEscape(key), "v")
	}
	h.put(t, "/v1/buckets/carts/keys/a", "w")

	require.Equal(t, answer{200, nil, `{"keys":[{"key":"<c>","siblings":1},{"key":"a","siblings":2}],"cursor":"YQ"}` + "\n"},
		strip(h.get(t, "/v1/buckets/carts/keys?limit=2")))
	require.Equal(t, answer{200, nil, `{"keys":[{"key":"b/1","siblings":1},{"key":"b/2","siblings":1},{"key_base64":"Yv8=","siblings":1}],"cursor":""}` + "\n"},
		strip(h.get(t, "/v1/buckets/carts/keys?limit=3&cursor=YQ")))
	require.Equal(t, answer{200, nil, `{"keys":[{"key_base64":"Yv8=","siblings":1}],"cursor":""}` + "\n"},
		strip(h.get(t, "/v1/buckets/carts/keys?prefix=b%ff")))
	require.Equal(t, answer{200, nil, `{"keys":[{"key":"a","siblings":2}],"cursor":""}` + "\n"},
		strip(h.get(t, "/v1/buckets/carts/keys?conflicts=only")))
	require.Equal(t, answer{200, nil, `{"keys":[],"cursor":""}` + "\n"}, strip(h.get(t, "/v1/buckets/none/keys")))
}

func TestANodeShowsWhatItKnows(t *testing.T) {
	h := open(t)
	require.Equal(t, answer{200, nil, "ok\n"}, strip(h.get(t, "/healthz")))
	require.Equal(t, answer{200, nil, `{"ready":true,"reason":""}` + "\n"}, strip(h.get(t, "/readyz")))
	require.Equal(t, answer{200, nil, `{"node":"n1","cluster_id":"c","layout":"AQID","layout_version":"1-ab","partitions":64,"replicas":3,` +
		`"members":[{"name":"n1","zone":"z1","capacity":100,"state":"alive","client":"h:1","peer":"h:2","gossip":"h:3","http":"h:4",` +
		`"linked":true,"partitions":64}],"problems":[]}` + "\n"}, strip(h.get(t, "/v1/cluster")))
	require.Equal(t, answer{200, nil, `{"node":"n1","version":"v1","started":"2001-09-09T01:46:40Z","ready":true,"reason":"",` +
		`"partitions":64,"shards":2,"disk_bytes":10,"disk_free_bytes":20,"replication":{"unknown":"","at":"2001-09-09T01:46:40Z",` +
		`"replicas":2,"trusted":1,"catching_up":1,"waits_for":["n2"],"rebuilding":1,"rebuild_left_seconds":3,"damaged":0,` +
		`"behind":1,"behind_since":"2001-09-09T01:46:31Z","lag_dots":4,"unserved_dots":0,"settled":1,"unsettled_dots":2,` +
		`"audited":0,"unaudited_dots":0,"auditing":0,"audits_wanted":0,"audits_incomplete":0,"audit_problem":"","audits_failing_since":"","audit_oldest":"",` +
		`"heard":"","missing_dots":0,"missing_since":"","log_rows":7,` +
		`"hints":{"hints":2,"bytes":64,"hints_max":100,"bytes_max":1000,"debts":[{"target":"n3","hints":2,"bytes":64,"oldest":"2001-09-09T01:46:38Z"}]},` +
		`"repairs":{"pulls":5,"pieces_received":0,"pieces_sent":0,"rebuilds_begun":0,"rebuilds_finished":3,"rebuild_keys":0,` +
		`"hints_kept":0,"hints_delivered":0,"hints_refused":0,"audits":0,"audited_objects":0,"lost_parts":0,"restored":0,` +
		`"differing_parts":0,"diverged":0,"conflicts":0,"keys_repaired":0,"read_repairs":0,"closed_incarnations":0,"touches":0}}}` + "\n"}, strip(h.get(t, "/v1/local")))

	h.backend.setReady(false, "waiting for a layout")
	unready := h.get(t, "/readyz")
	require.Equal(t, answer{503, nil, `{"ready":false,"reason":"waiting for a layout"}` + "\n"}, strip(unready))
	require.Equal(t, "1", unready.header.Get("Retry-After"))
	require.Equal(t, 200, h.get(t, "/healthz").status, "the process is well all the same")
}

func TestMetricsCountBothDoors(t *testing.T) {
	h := open(t)
	h.put(t, alice, "v")
	h.get(t, alice+"?r=99")
	_, err := h.kv(t).Get(within(t), getAlice())
	require.NoError(t, err)
	text := h.get(t, "/metrics").body
	for _, line := range []string{
		`kindred_requests_total{code="ok",op="put"} 1`,
		`kindred_requests_total{code="ok",op="get"} 1`,
		`kindred_requests_total{code="invalid",op="get"} 1`,
		`kindred_request_seconds_count{op="get"} 1`,
		`kindred_requests_in_flight 0`,
		`kindred_streams_in_flight 0`,
	} {
		require.Contains(t, text, line+"\n")
	}
	bare := open(t, func(c *server.Config) { c.Gatherer, c.Registerer = nil, nil })
	require.Equal(t, 404, bare.get(t, "/metrics").status)
}

func TestHTTPErrorsAreAlwaysDocuments(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/", "/v1", "/v1/buckets/b/keysx", "/v1/buckets/b/other/k", "/readyz/x"} {
		got := h.get(t, path)
		require.Equal(t, 404, got.status, path)
		require.True(t, json.Valid([]byte(got.body)), got.body)
	}
}

func TestAValueSaysWhenItExpires(t *testing.T) {
	h := open(t)
	put := h.put(t, alice+"?ttl=90s", "milk")
	require.Equal(t, 204, put.status)
	require.Equal(t, "2001-09-09T01:48:10Z", put.header.Get("Kindred-Expires-At"))
	require.Equal(t, "2001-09-09T01:48:10Z", h.get(t, alice).header.Get("Kindred-Expires-At"))
	h.put(t, alice+"?expires_at=2030-01-31T12:00:00%2B01:00", "eggs")
	got := h.get(t, alice)
	require.Contains(t, got.body, `"expires_at":"2001-09-09T01:48:10Z"`)
	require.Contains(t, got.body, `"expires_at":"2030-01-31T11:00:00Z"`)
	const stays = "/v1/buckets/carts/keys/stays"
	require.Empty(t, h.put(t, stays, "bread").header.Values("Kindred-Expires-At"))
	require.Empty(t, h.get(t, stays).header.Values("Kindred-Expires-At"))
	for query, message := range map[string]string{
		"ttl=0s":                                 `ttl: \"0s\" is not a time to live: write 500ms, 90s or 24h`,
		"ttl=soon":                               `ttl: \"soon\" is not a time to live: write 500ms, 90s or 24h`,
		"expires_at=1234":                        `expires_at: \"1234\" is not a moment: write 2030-01-31T12:00:00Z`,
		"ttl=1s&expires_at=2030-01-31T12:00:00Z": "ttl and expires_at exclude each other: give one of them",
	} {
		got := h.put(t, stays+"?"+query, "x")
		require.Equal(t, 400, got.status, query)
		require.Contains(t, got.body, message)
	}
	require.Equal(t, 400, h.get(t, alice+"?ttl=1s").status, "a get has no expiry")
}
