package server

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
)

// target is what a path names.
type target struct {
	kind        targetKind
	bucket, key string
}

// targetKind is a path with its variables unnamed, as openapi.yaml writes it.
type targetKind string

const (
	bucketsTarget  targetKind = "/v1/buckets"
	optionsTarget  targetKind = bucketsTarget + "/{bucket}"
	bucketTarget   targetKind = optionsTarget + "/keys"
	keyTarget      targetKind = bucketTarget + "/{key}"
	stageTarget    targetKind = keyTarget + "/stage"
	replicasTarget targetKind = keyTarget + "/replicas"
	repairTarget   targetKind = keyTarget + "/repair"
)

// rawPath is a path as it was sent. url.URL.EscapedPath is not: given a raw ü it
// encodes the whole path anew, and a %2F beside it becomes a bare slash.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// parsePath reads /v1/buckets/{bucket}[/keys[/{key}[/about]]] from a path that is
// still percent-encoded. Any other path stands for itself.
func parsePath(path string) (target, *kindred.Error) {
	rest, ok := strings.CutPrefix(path, "/v1/buckets/")
	bucket, rest, found := strings.Cut(rest, "/")
	key, ofKey := strings.CutPrefix(rest, "keys/")
	if !ok || bucket == "" && !found || found && rest != "keys" && !ofKey {
		return target{kind: targetKind(path)}, nil
	}
	t := target{kind: bucketTarget}
	if !found {
		t.kind = optionsTarget
	}
	var err error
	if t.bucket, err = url.PathUnescape(bucket); err != nil {
		return target{}, kindred.Invalid("bucket", "the bucket in the path is not percent-encoded: %v", err)
	}
	if !ofKey {
		return t, nil
	}
	key, t.kind = cutAbout(key)
	if strings.Contains(key, "/") {
		return target{}, kindred.Invalid("key", "the key in the path has a bare slash: write it as %%2F")
	}
	if t.key, err = url.PathUnescape(key); err != nil {
		return target{}, kindred.Invalid("key", "the key in the path is not percent-encoded: %v", err)
	}
	return t, nil
}

// cutAbout separates a key from what is asked about it. A slash of the key's own
// is written as %2F, so that the two cannot be mistaken.
func cutAbout(path string) (key string, kind targetKind) {
	for _, kind := range [...]targetKind{stageTarget, replicasTarget, repairTarget} {
		if key, ok := strings.CutSuffix(path, string(kind[len(keyTarget):])); ok {
			return key, kind
		}
	}
	return path, keyTarget
}

// options are the query parameters of a key.
type options struct {
	r, w, pr, pw kindred.Count
	durability   kindred.Durability
	timeout      time.Duration
	sloppy       kindred.Sloppiness
	one          bool
	ttl          time.Duration
	expiresAt    time.Time
	// wait is the stage that a write waits for.
	wait kindred.Stage
}

func (o *options) request(op kindred.Op, t target) *kindred.Request {
	return &kindred.Request{
		Op: op, Bucket: t.bucket, Key: t.key, R: o.r, W: o.w, PR: o.pr, PW: o.pw,
		Durability: o.durability, Timeout: o.timeout, Sloppy: o.sloppy, TTL: o.ttl, ExpiresAt: o.expiresAt,
	}
}

// parseOptions reads them for one operation: only a write has a stage to wait
// for.
func parseOptions(query string, op kindred.Op) (options, *kindred.Error) {
	var o options
	known := []parameter{
		{"r", parsed(&o.r, kindred.ParseCount)},
		{"w", parsed(&o.w, kindred.ParseCount)},
		{"pr", parsed(&o.pr, kindred.ParseCount)},
		{"pw", parsed(&o.pw, kindred.ParseCount)},
		{"durability", parsed(&o.durability, kindred.ParseDurability)},
		{"timeout", parsed(&o.timeout, parseTimeout)},
		{"one", parsed(&o.one, parseBool)},
		{"ttl", parsed(&o.ttl, parseTTL)},
		{"expires_at", parsed(&o.expiresAt, parseMoment)},
		{"sloppy", parsed(&o.sloppy, parseSloppy)},
	}
	if op != kindred.OpGet {
		known = append(known, parameter{"wait", parsed(&o.wait, kindred.ParseStage)})
	}
	return o, parseQuery(query, known)
}

// parseScan reads the query parameters of a page of keys.
func parseScan(query, bucket string) (*kindred.Request, *kindred.Error) {
	req := &kindred.Request{Op: kindred.OpScan, Bucket: bucket}
	return req, parseQuery(query, []parameter{
		{"prefix", parsed(&req.Scan.Prefix, func(s string) (string, error) { return s, nil })},
		{"cursor", parsed(&req.Scan.Cursor, parseBase64)},
		{"limit", parsed(&req.Scan.Limit, parseLimit)},
		{"conflicts", parsed(&req.Scan.ConflictsOnly, parseOnly)},
		{"timeout", parsed(&req.Timeout, parseTimeout)},
	})
}

// parameter is one query parameter and where its value goes.
type parameter struct {
	name string
	set  func(string) error
}

func parsed[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*to, err = parse(s)
		return err
	}
}

// parseQuery sets what is known, once each, and refuses the rest by name.
func parseQuery(query string, known []parameter) *kindred.Error {
	if query == "" {
		return nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return kindred.Invalid("query", "the query is malformed: %v", err)
	}
	for _, p := range known {
		given := values[p.name]
		delete(values, p.name)
		if len(given) > 1 {
			return kindred.Invalid(p.name, "%s is given %d times: give it once", p.name, len(given))
		}
		for _, v := range given {
			if err := p.set(v); err != nil {
				return kindred.Invalid(p.name, "%s: %v", p.name, err)
			}
		}
	}
	if len(values) == 0 {
		return nil
	}
	return unknownParameter(slices.Min(slices.Collect(maps.Keys(values))), known)
}

func unknownParameter(name string, known []parameter) *kindred.Error {
	if len(known) == 0 {
		return kindred.Invalid(name, "%q is not a query parameter here: there are none", clip(name))
	}
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = p.name
	}
	return kindred.Invalid(name, "%q is not a query parameter here: use %s", clip(name), strings.Join(names, ", "))
}

func parseTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, quoted(s, "is not a positive duration: write 500ms, 2s or 1m")
	}
	return d, nil
}

func parseTTL(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Millisecond {
		return 0, quoted(s, "is not a time to live: write 500ms, 90s or 24h")
	}
	return d, nil
}

func parseMoment(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, quoted(s, "is not a moment: write 2030-01-31T12:00:00Z")
	}
	return t, nil
}

func parseBool(s string) (bool, error) {
	if s != "true" && s != "false" {
		return false, quoted(s, "is neither true nor false")
	}
	return s == "true", nil
}

func parseSloppy(s string) (kindred.Sloppiness, error) {
	sloppy, err := parseBool(s)
	return kindred.SloppyOr(sloppy), err
}

func parseOnly(s string) (bool, error) {
	if s != "only" {
		return false, quoted(s, "is not possible: use conflicts=only, or leave it out")
	}
	return true, nil
}

func parseLimit(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > kindred.ScanPageMax {
		return 0, quoted(s, "is not a page size: use a number from 1 to "+strconv.Itoa(kindred.ScanPageMax)+", and the cursor for more")
	}
	return n, nil
}

func quoted(s, problem string) error { return errors.New(strconv.Quote(clip(s)) + " " + problem) }

// clip keeps messages readable whatever they quote.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// parseBase64 reads base64url, padded or not.
func parseBase64(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, quoted(s, "is not base64url")
	}
	return b, nil
}

func formatBase64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
