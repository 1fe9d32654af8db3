package server_test

import (
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

func TestAWriteWaitsForAStage(t *testing.T) {
	h := open(t)
	reached := h.put(t, alice+"?wait=propagated&timeout=2s", "v")
	require.Equal(t, 204, reached.status)
	require.Equal(t, "propagated", reached.header.Get("Kindred-Stage"))
	asked := h.backend.last()
	require.Equal(t, kindred.OpStage, asked.Op)
	require.Equal(t, reached.header.Get("Kindred-Receipt"), asked.Dot)
	require.Less(t, asked.Timeout, 2*time.Second, "the put took its part")
	require.Greater(t, asked.Timeout, time.Second)

	short := h.do(t, "DELETE", alice+"?wait=settled", nil)
	require.Equal(t, 204, short.status, "the write is done all the same")
	require.Equal(t, "propagated", short.header.Get("Kindred-Stage"))
	require.Zero(t, h.backend.last().Timeout, "the node's own")

	h.put(t, alice+"?wait=replicated", "v")
	require.Equal(t, kindred.OpPut, h.backend.last().Op, "that is reached already")

	wrong := h.put(t, alice+"?wait=soon", "v")
	require.Equal(t, 400, wrong.status)
	require.Contains(t, wrong.body, `wait: \"soon\" is not a stage: use accepted, replicated, propagated, settled or audited`)
	require.Equal(t, 400, h.get(t, alice+"?wait=settled").status, "a get has no stage to wait for")
}

func TestAnUnchangedKeyIsNotSentAgain(t *testing.T) {
	h := open(t)
	require.Empty(t, h.get(t, alice).header.Get("ETag"), "nothing has no tag")
	h.put(t, alice, "milk")
	first := h.get(t, alice)
	tag := first.header.Get("ETag")
	require.Regexp(t, `^"[A-Za-z0-9_-]{20}"$`, tag)
	require.Equal(t, "Accept", first.header.Get("Vary"))

	for _, condition := range []string{tag, "W/" + tag, "*", `"x", ` + tag} {
		same := h.do(t, "GET", alice, nil, "If-None-Match", condition)
		require.Equal(t, answer{304, nil, ""}, strip(same), condition)
		require.Equal(t, tag, same.header.Get("ETag"))
		require.Equal(t, first.header.Get("Kindred-Context"), same.header.Get("Kindred-Context"), "enough to write with")
	}
	require.Equal(t, 304, h.do(t, "HEAD", alice, nil, "If-None-Match", tag).status)

	h.put(t, alice, "eggs")
	both := h.do(t, "GET", alice, nil, "If-None-Match", tag)
	require.Equal(t, 300, both.status, "another set of siblings")
	weak := both.header.Get("ETag")
	require.NotEqual(t, "W/"+tag, weak)
	require.Equal(t, 304, h.do(t, "GET", alice, nil, "If-None-Match", weak).status)
	require.Equal(t, 409, h.do(t, "GET", alice+"?one=true", nil, "If-None-Match", weak).status, "still not one")

	h.do(t, "DELETE", alice, nil, "Kindred-Context", both.header.Get("Kindred-Context"))
	require.Equal(t, 404, h.do(t, "GET", alice, nil, "If-None-Match", "*").status, "gone is news")
}

// The context may grow while the siblings stay: another value came and went.
func TestATagNamesTheSiblingsAndNotTheContext(t *testing.T) {
	h := open(t)
	h.put(t, alice, "milk")
	before := h.get(t, alice)
	h.backend.objects["carts\x00alice"].seen = append(h.backend.objects["carts\x00alice"].seen, "n2:7")
	after := h.get(t, alice)
	require.NotEqual(t, before.header.Get("Kindred-Context"), after.header.Get("Kindred-Context"))
	require.Equal(t, before.header.Get("ETag"), after.header.Get("ETag"))
}

func TestSiblingsComeAsParts(t *testing.T) {
	h := open(t)
	h.put(t, alice, "milk\r\n--\r\n", "Content-Type", "text/plain")
	h.put(t, alice+"?ttl=90s", "\x00\xff")
	h.backend.objects["carts\x00alice"].siblings[0].Node = "n\r\n1" // as a hostile peer could
	got := h.do(t, "GET", alice, nil, "Accept", "multipart/mixed")
	require.Equal(t, 300, got.status)
	require.Equal(t, h.get(t, alice).header.Get("Kindred-Context"), got.header.Get("Kindred-Context"))
	kind, params, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/mixed", kind)
	parts := multipart.NewReader(strings.NewReader(got.body), params["boundary"])
	for _, want := range []struct {
		value  string
		header http.Header
	}{
		{"milk\r\n--\r\n", http.Header{"Content-Type": {"text/plain"}, "Content-Length": {"10"}, "Kindred-Dot": {"n1:1"},
			"Kindred-Node": {"n  1"}, "Kindred-Written-At": {"2001-09-09T01:46:40Z"}}},
		{"\x00\xff", http.Header{"Content-Type": {"application/octet-stream"}, "Content-Length": {"2"}, "Kindred-Dot": {"n1:2"},
			"Kindred-Node": {"n1"}, "Kindred-Written-At": {"2001-09-09T01:46:40Z"}, "Kindred-Expires-At": {"2001-09-09T01:48:10Z"}}},
	} {
		part, err := parts.NextPart()
		require.NoError(t, err)
		require.Equal(t, want.header, http.Header(part.Header))
		value, err := io.ReadAll(part)
		require.NoError(t, err)
		require.Equal(t, want.value, string(value))
	}
	_, err = parts.NextPart()
	require.ErrorIs(t, err, io.EOF)
}

func TestTheClientChoosesTheFormOfSiblings(t *testing.T) {
	h := open(t)
	h.put(t, alice, "a")
	one := h.do(t, "GET", alice, nil, "Accept", "image/png")
	require.Equal(t, answer{200, nil, "a"}, strip(one), "one value comes as what it is")
	h.put(t, alice, "b")
	for accept, want := range map[string]string{
		"":                                 "application/json",
		"*/*":                              "application/json",
		"application/*":                    "application/json",
		"text/html, */*;q=0.1":             "application/json",
		"multipart/mixed;q=0.5, */*;q=0.7": "application/json",
		"multipart/*":                      "multipart/mixed",
		"multipart/mixed, */*":             "multipart/mixed",
		"application/json;q=0.5, multipart/mixed": "multipart/mixed",
		"*/*, application/json;q=0":               "multipart/mixed",
	} {
		got := h.do(t, "GET", alice, nil, "Accept", accept)
		require.Equal(t, 300, got.status, accept)
		kind, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
		require.Equal(t, want, kind, accept)
	}
	got := h.do(t, "GET", alice, nil, "Accept", "text/plain")
	require.Equal(t, answer{406, nil, `{"error":{"code":"not_acceptable","message":"the key has 2 siblings, which come as application/json or multipart/mixed: accept one of them",` +
		`"field":"Accept","limit":0,"outcome":"not_applied","dot":""}}` + "\n"}, strip(got))
}

func TestWhatCannotBeKeptIsRefused(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		name, value string
		status      int
		body        string
	}{
		{"Content-Encoding", "gzip", 415, `"code":"unsupported_encoding","message":"Content-Encoding: \"gzip\" is not kept with a value: ` +
			`put the bytes as they are to be read, and say what they are in Content-Type","field":"Content-Encoding","limit":0`},
		{"Content-Range", "bytes 0-1/2", 400, `"code":"invalid","message":"a value is put whole: leave out Content-Range","field":"Content-Range","limit":0`},
		{"If-None-Match", "*", 400, `"code":"invalid","message":"a write cannot depend on If-None-Match: it would have to be decided by one node alone; ` +
			`pass the Kindred-Context of a read, and concurrent writes become siblings","field":"If-None-Match","limit":0`},
		{"If-Match", `"x"`, 400, `"code":"invalid","message":"a write cannot depend on If-Match: it would have to be decided by one node alone; ` +
			`pass the Kindred-Context of a read, and concurrent writes become siblings","field":"If-Match","limit":0`},
		{"Kindred-Contxt", "AAAA", 400, `"code":"invalid","message":"\"Kindred-Contxt\" is not a request header of Kindred: use Kindred-Context, Kindred-Request-Id",` +
			`"field":"Kindred-Contxt","limit":0`},
	} {
		got := h.put(t, alice, "v", c.name, c.value)
		require.Equal(t, answer{c.status, nil, `{"error":{` + c.body + `,"outcome":"not_applied","dot":""}}` + "\n"}, strip(got))
	}
	require.Equal(t, 204, h.put(t, alice, "v", "Content-Encoding", "identity").status)
	require.Len(t, h.backend.requests(), 1)
}

func TestTheReplicasOfAKeyAreShownAndMended(t *testing.T) {
	h := open(t)
	const n1, n2 = `{"node":"n1","error":"","repaired":false,"siblings":[],"context":"",`, `{"node":"n2","error":`
	require.Equal(t, answer{200, nil, `{"replicas":[` + n1 + `"clock":"n1:1"},` + n2 + `"unreachable","repaired":false,"siblings":[],"context":"","clock":""}]}` + "\n"},
		strip(h.get(t, alice+"/replicas?timeout=1s")))
	require.Equal(t, time.Second, h.backend.last().Timeout)
	require.Equal(t, answer{200, nil, `{"replicas":[` + n1 + `"clock":""},` + n2 + `"","repaired":true,"siblings":[],"context":"","clock":""}]}` + "\n"},
		strip(h.do(t, "POST", alice+"/repair", nil)))
	require.Equal(t, kindred.OpRepair, h.backend.last().Op)
	require.Equal(t, "POST", h.get(t, alice+"/repair").header.Get("Allow"))
	require.Equal(t, 400, h.do(t, "POST", alice+"/repair?r=1", nil).status)
	h.put(t, "/v1/buckets/carts/keys/repair", "a key of that name")
	require.Equal(t, "a key of that name", h.get(t, "/v1/buckets/carts/keys/repair").body)
}
