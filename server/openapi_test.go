package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/server"
	"github.com/kindredkv/kindred/transport/faults"
)

// description is openapi.yaml, and what was met of it.
type description struct {
	doc     map[string]any
	schemas *jsonschema.Compiler
	met     map[string]bool
}

// describe reads what a server says of itself.
func describe(t *testing.T, h *house) *description {
	d := &description{schemas: jsonschema.NewCompiler(), met: map[string]bool{}}
	text := h.get(t, "/v1/openapi.yaml")
	require.Equal(t, "application/yaml", text.header.Get("Content-Type"))
	require.NoError(t, yaml.Unmarshal([]byte(text.body), &d.doc))
	b, err := json.Marshal(d.doc)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	require.NoError(t, err)
	require.NoError(t, d.schemas.AddResource("kindred:///openapi", doc))
	return d
}

// at follows a path of names, and the references on it.
func (d *description) at(t *testing.T, from map[string]any, names ...string) map[string]any {
	for {
		if ref, ok := from["$ref"].(string); ok {
			from = d.at(t, d.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			continue
		}
		if len(names) == 0 {
			return from
		}
		next, ok := from[names[0]].(map[string]any)
		if !ok {
			return nil
		}
		from, names = next, names[1:]
	}
}

// operations are "METHOD path" of all that is described.
func (d *description) operations() map[string]map[string]any {
	all := map[string]map[string]any{}
	for path, item := range d.doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method != "parameters" {
				all[strings.ToUpper(method)+" "+path] = op.(map[string]any)
			}
		}
	}
	return all
}

// parameters are the names of those of an operation, in one place.
func (d *description) parameters(t *testing.T, op, in string) []string {
	method, path, _ := strings.Cut(op, " ")
	item := d.doc["paths"].(map[string]any)[path].(map[string]any)
	names := []string{}
	for _, holder := range []map[string]any{item, item[strings.ToLower(method)].(map[string]any)} {
		list, _ := holder["parameters"].([]any)
		for _, p := range list {
			if p := d.at(t, p.(map[string]any)); p["in"] == in {
				names = append(names, p["name"].(string))
			}
		}
	}
	slices.Sort(names)
	return names
}

// ours are the headers of an answer that have to be described. X-Request-Id is in
// every one; the introduction describes it.
func ours(h http.Header) []string {
	var names []string
	for name := range h {
		if !slices.Contains([]string{"Date", "Content-Length", "Content-Type", "Allow", "X-Request-Id"}, name) {
			names = append(names, name)
		}
	}
	return names
}

// meet checks an answer against the description, and remembers what it was.
func (d *description) meet(t *testing.T, op string, got answer) {
	t.Helper()
	status := strconv.Itoa(got.status)
	response := d.at(t, d.operations()[op], "responses", status)
	require.NotNil(t, response, "%s answers %s, which is not described: %s", op, status, got.body)
	d.met[op+" "+status] = true
	for _, name := range ours(got.header) {
		header := d.at(t, response, "headers", canonical(name))
		require.NotNil(t, header, "%s %s has the header %s, which is not described", op, status, name)
		d.met[op+" "+status+" "+canonical(name)] = true
		require.NoError(t, d.schema(t, header).Validate(got.header.Get(name)), "%s %s %s", op, status, name)
	}
	content := d.at(t, response, "content")
	if content == nil {
		require.Empty(t, got.body, "%s %s has a body, which is not described", op, status)
		return
	}
	kind, _, err := mime.ParseMediaType(got.header.Get("Content-Type"))
	require.NoError(t, err)
	if content[kind] == nil {
		kind = "*/*"
	}
	require.NotNil(t, content[kind], "%s %s has the type %s, which is not described", op, status, got.header.Get("Content-Type"))
	d.met[op+" "+status+" "+kind] = true
	if kind == "application/json" {
		d.valid(t, content[kind].(map[string]any), got.body)
	}
}

// canonical is the name of a header as it is described.
func canonical(name string) string {
	if name == "Etag" {
		return "ETag"
	}
	if name == "Www-Authenticate" {
		return "WWW-Authenticate"
	}
	return name
}

func (d *description) valid(t *testing.T, media map[string]any, body string) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	require.NoError(t, err, body)
	require.NoError(t, d.schema(t, media).Validate(doc), body)
}

// schema compiles the schema of something that has one.
func (d *description) schema(t *testing.T, holder map[string]any) *jsonschema.Schema {
	t.Helper()
	b, err := json.Marshal(holder["schema"])
	require.NoError(t, err)
	inline := strings.ReplaceAll(string(b), `"#/`, `"kindred:///openapi#/`)
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(inline))
	require.NoError(t, err)
	url := fmt.Sprintf("kindred:///%x", inline)
	_ = d.schemas.AddResource(url, doc) // again the same is no harm
	s, err := d.schemas.Compile(url)
	require.NoError(t, err, inline)
	return s
}

// described is the same for all that is promised.
func (d *description) described(t *testing.T) map[string]bool {
	all := map[string]bool{}
	for op, item := range d.operations() {
		for status := range d.at(t, item, "responses") {
			response := d.at(t, item, "responses", status)
			all[op+" "+status] = true
			for name := range d.at(t, response, "headers") {
				all[op+" "+status+" "+name] = true
			}
			for kind := range d.at(t, response, "content") {
				all[op+" "+status+" "+kind] = true
			}
		}
	}
	return all
}

// TestTheDescriptionHasEveryRoute: paths and methods, query parameters, and
// headers of requests are those that the handlers know, no more and no less.
func TestTheDescriptionHasEveryRoute(t *testing.T) {
	h := open(t, func(c *server.Config) { c.Faults = planned{faults.New()} })
	d := describe(t, h)
	var routes []string
	for path, methods := range h.Routes() {
		require.Equal(t, slices.Contains(methods, "GET"), slices.Contains(methods, "HEAD"), "%s: HEAD goes with GET", path)
		for _, m := range methods {
			if m != "HEAD" {
				routes = append(routes, m+" "+path)
			}
		}
		odd := h.do(t, "BREW", concrete(path), nil)
		require.Equal(t, 405, odd.status, path)
		require.Equal(t, strings.Join(methods, ", "), odd.header.Get("Allow"), path)
	}
	require.ElementsMatch(t, routes, slices.Collect(maps.Keys(d.operations())))

	tolerant := []string{"GET /healthz", "GET /readyz", "GET /metrics"}
	headers := map[string]bool{}
	for op := range d.operations() {
		method, path, _ := strings.Cut(op, " ")
		for _, name := range d.parameters(t, op, "header") {
			headers[name] = true
		}
		if slices.Contains(tolerant, op) {
			require.Empty(t, d.parameters(t, op, "query"), op)
			continue
		}
		got := h.do(t, method, concrete(path)+"?nope=1", nil)
		require.Equal(t, 400, got.status, "%s: %s", op, got.body)
		known := []string{}
		if m := regexp.MustCompile(`here: use ([a-z_, ]+)"`).FindStringSubmatch(got.body); m != nil {
			known = strings.Split(m[1], ", ")
		}
		require.ElementsMatch(t, known, d.parameters(t, op, "query"), op)
	}
	odd := h.do(t, "GET", alice, nil, "Kindred-Nope", "1")
	known := strings.Split(regexp.MustCompile(`Kindred: use ([A-Za-z, -]+)"`).FindStringSubmatch(odd.body)[1], ", ")
	require.ElementsMatch(t, append(known, "If-None-Match"), slices.Collect(maps.Keys(headers)))
}

func concrete(path string) string {
	return strings.NewReplacer("{bucket}", "carts", "{key}", "alice").Replace(path)
}

// TestTheDescriptionHoldsForEveryAnswer walks through all that a server answers.
// Whatever it meets is described, and whatever is described it meets: statuses,
// headers, types, and documents by their schemas.
func TestTheDescriptionHoldsForEveryAnswer(t *testing.T) {
	h := open(t, func(c *server.Config) { c.Faults = planned{faults.New()} })
	d := describe(t, h)
	w := walker{t, d, h}
	w.keys()
	w.failures()
	w.aroundKeys()
	w.buckets()
	w.changes()
	w.node()
	w.strangers()
	w.misled()
	require.ElementsMatch(t, slices.Collect(maps.Keys(d.described(t))), slices.Collect(maps.Keys(d.met)),
		"what is described (first) is not what was met")
}

type walker struct {
	t *testing.T
	*description
	*house
}

func (w walker) say(want int, method, path, query, body string, headers ...string) answer {
	w.t.Helper()
	got := w.do(w.t, method, concrete(path)+query, strings.NewReader(body), headers...)
	require.Equal(w.t, want, got.status, "%s %s%s: %s", method, path, query, got.body)
	w.meet(w.t, method+" "+path, got)
	return got
}

const (
	keys = "/v1/buckets/{bucket}/keys"
	key  = keys + "/{key}"
)

// keys walks through what happens to a key.
func (w walker) keys() {
	w.say(404, "GET", key, "", "")
	w.backend.guests = []string{"n2"} // a home is away: every answer names who stood in
	w.say(204, "PUT", key, "?ttl=90s", "milk", "Content-Type", "text/plain")
	first := w.say(200, "GET", key, "", "")
	w.say(304, "GET", key, "", "", "If-None-Match", first.header.Get("ETag"))
	w.say(204, "PUT", key, "?wait=settled", "eggs\xff")
	both := w.say(300, "GET", key, "", "")
	w.say(300, "GET", key, "", "", "Accept", "multipart/mixed")
	w.say(409, "GET", key, "?one=true", "")
	w.say(406, "GET", key, "", "", "Accept", "text/html")
	w.say(415, "PUT", key, "", "x", "Content-Encoding", "br")
	w.put(w.t, "/v1/buckets/carts/keys/%ff", "v")
	w.say(200, "GET", keys, "", "")
	w.say(204, "DELETE", key, "", "", "Kindred-Context", both.header.Get("Kindred-Context"))
	w.say(404, "GET", key, "", "")
	w.backend.guests = nil
}

// failures makes every operation on data fail in every way.
func (w walker) failures() {
	long := strings.Repeat("k", kindred.KeyBytesMax+1)
	for op := range w.operations() {
		method, path, _ := strings.Cut(op, " ")
		if !strings.HasPrefix(path, keys) {
			continue
		}
		query := ""
		if strings.HasSuffix(path, "/stage") {
			query = "?dot=n1:1"
		}
		w.say(400, method, path, "?nope=1", "")
		if path == keys {
			w.say(413, method, path, "?prefix="+long, "")
		} else {
			w.meet(w.t, op, w.do(w.t, method, strings.Replace(concrete(path), "alice", long, 1)+query, nil))
		}
		for status, fail := range map[int]*kindred.Error{
			500: {Code: kindred.CodeInternal, Message: "m", Outcome: kindred.NotApplied},
			503: {Code: kindred.CodeUnavailable, Message: "m", Outcome: kindred.NotApplied, Field: "w"},
			504: {Code: kindred.CodeTimeout, Message: "m", Outcome: kindred.Unknown, Dot: "n1:7"},
		} {
			w.backend.fail = fail
			w.say(status, method, path, query, "")
		}
		w.backend.fail = nil
	}
	w.backend.fail = &kindred.Error{Code: kindred.CodeSiblings, Message: "m", Outcome: kindred.NotApplied, Limit: 1024}
	w.say(409, "PUT", key, "", "v")
	w.backend.fail = nil
}

func (w walker) aroundKeys() {
	w.say(200, "GET", key+"/stage", "?dot=n1:1&wait=propagated", "")
	w.say(202, "GET", key+"/stage", "?dot=n1:1&wait=settled", "")
	w.say(200, "GET", key+"/replicas", "", "")
	w.say(200, "POST", key+"/repair", "", "")
}

func (w walker) buckets() {
	const all, one = "/v1/buckets", "/v1/buckets/{bucket}"
	h, k := openWithBuckets(w.t)
	w.house = h
	w.say(200, "GET", one, "", "")
	w.say(200, "PUT", one, "", `{"w":2}`, "If-None-Match", "*")
	w.say(200, "GET", all, "", "")
	w.say(413, "PUT", one, "", strings.Repeat(" ", 5000))
	w.meet(w.t, "GET "+one, w.get(w.t, all+"/"+strings.Repeat("b", 256)))
	for _, op := range []string{"GET " + all, "GET " + one, "PUT " + one} {
		method, path, _ := strings.Cut(op, " ")
		w.say(400, method, path, "?nope=1", "")
		k.fail = &kindred.Error{Code: kindred.CodeNoLayout, Message: "m", Outcome: kindred.NotApplied}
		w.say(503, method, path, "", "")
		k.fail = nil
	}
	k.fail = &kindred.Error{Code: kindred.CodeTimeout, Message: "m", Outcome: kindred.Unknown}
	w.say(504, "PUT", one, "", "")
	k.fail = &kindred.Error{Code: kindred.CodeInternal, Message: "m", Outcome: kindred.NotApplied}
	w.say(500, "PUT", one, "", "")
}

func (w walker) changes() {
	const changes, plan, commit = "/v1/cluster/changes", "/v1/cluster/plan", "/v1/cluster/commit"
	h, p := openWithPlanner(w.t)
	w.house = h
	w.say(200, "POST", changes, "", join)
	w.say(413, "POST", changes, "", strings.Repeat(" ", 2<<20))
	w.say(200, "GET", changes, "", "")
	w.say(200, "GET", plan, "", "")
	w.say(409, "POST", commit, "?version=1-0", "")
	w.say(200, "POST", commit, "?version=3-ef", "")
	w.say(200, "DELETE", changes, "", "")
	for _, op := range []string{"GET " + changes, "POST " + changes, "DELETE " + changes, "GET " + plan, "POST " + commit} {
		method, path, _ := strings.Cut(op, " ")
		query := ""
		if path == commit {
			query = "?version=3-ef"
		}
		w.say(400, method, path, "?nope=1", "")
		p.fail = &kindred.Error{Code: kindred.CodeNoLayout, Message: "m", Outcome: kindred.NotApplied}
		w.say(503, method, path, query, join)
		p.fail = &kindred.Error{Code: kindred.CodeTimeout, Message: "m", Outcome: kindred.Unknown}
		if method+path != "GET"+changes {
			w.say(504, method, path, query, join)
		}
		p.fail = nil
	}
}

func (w walker) node() {
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/v1/openapi.yaml", "/v1/cluster", "/v1/local", "/v1/local/replicas"} {
		w.say(200, "GET", path, "", "")
		if strings.HasPrefix(path, "/v1") {
			w.say(400, "GET", path, "?nope=1", "")
		}
	}
	w.backend.setReady(false, "waiting for a layout")
	w.say(503, "GET", "/readyz", "", "")
	w.backend.setReady(true, "")
	w.say(202, "POST", "/v1/local/repair", "", "")
	w.say(400, "POST", "/v1/local/repair", "?partition=99", "")
	const faults = "/v1/local/faults"
	w.say(200, "PUT", faults, "", `{"cuts":[{"peer":"n3","gossip":"127.0.0.1:7422","no_send":true}],"delay":"50ms"}`)
	w.say(200, "GET", faults, "", "")
	w.say(200, "DELETE", faults, "", "")
	bare := walker{w.t, w.description, open(w.t)}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		w.say(400, method, faults, "?nope=1", "")
		bare.say(403, method, faults, "", "")
	}
}

// strangers learn that the node lives, and nothing else.
func (w walker) strangers() {
	f := openFortress(w.t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: f.stranger(w.t)}}
	w.t.Cleanup(client.CloseIdleConnections)
	for op := range w.operations() {
		method, path, _ := strings.Cut(op, " ")
		got := f.with(client).do(w.t, method, concrete(path), nil)
		if path != "/healthz" && path != "/readyz" {
			require.Equal(w.t, 401, got.status, op)
		}
		w.meet(w.t, op, got)
	}
}

// misled callers believe to speak with somebody else.
func (w walker) misled() {
	for op := range w.operations() {
		method, path, _ := strings.Cut(op, " ")
		got := w.with(&http.Client{Transport: namedEvil{}}).do(w.t, method, concrete(path), nil)
		if path != "/healthz" && path != "/readyz" {
			require.Equal(w.t, 403, got.status, op)
		}
		w.meet(w.t, op, got)
	}
}

// namedEvil asks as a browser asks that believes 127.0.0.1 to be evil.example.
type namedEvil struct{}

func (namedEvil) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Host = "evil.example"
	return http.DefaultTransport.RoundTrip(r)
}

// TestTheExamplesAreValid: the description shows what it says.
func TestTheExamplesAreValid(t *testing.T) {
	d := describe(t, open(t))
	examples := 0
	var look func(any)
	look = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if example, ok := node["example"]; ok && node["schema"] != nil {
				b, err := json.Marshal(example)
				require.NoError(t, err)
				d.valid(t, node, string(b))
				examples++
			}
			for _, inner := range node {
				look(inner)
			}
		case []any:
			for _, inner := range node {
				look(inner)
			}
		}
	}
	look(d.doc)
	require.Greater(t, examples, 8)
}

// TestTheDescriptionUsesAllItDefines: what nothing refers to describes nothing.
func TestTheDescriptionUsesAllItDefines(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	require.NoError(t, err)
	copied, err := os.ReadFile("../docs/openapi.yaml")
	require.NoError(t, err)
	require.Equal(t, string(text), string(copied))
	d := describe(t, open(t))
	for group, members := range d.doc["components"].(map[string]any) {
		if group == "securitySchemes" {
			continue
		}
		for name := range members.(map[string]any) {
			require.Contains(t, string(text), "#/components/"+group+"/"+name+"'", name)
		}
	}
}
