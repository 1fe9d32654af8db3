package server

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
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

type targetKind uint8

const (
	noTarget targetKind = iota
	bucketTarget
	keyTarget
	stageTarget
)

// rawPath is a path as it was sent. url.URL.EscapedPath is not: given a raw ü it
// encodes the whole path anew, and a %2F beside it becomes a bare slash.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.EscapedPath()
}

// parsePath reads /v1/buckets/{bucket}/keys[/{key}[/stage]] from a path that is
// still percent-encoded.
func parsePath(path string) (target, *kindred.Error) {
	rest, ok := strings.CutPrefix(path, "/v1/buckets/")
	if !ok {
		return target{}, nil
	}
	bucket, rest, _ := strings.Cut(rest, "/")
	t := target{kind: bucketTarget}
	var err error
	if t.bucket, err = url.PathUnescape(bucket); err != nil {
		return target{}, kindred.Invalid("bucket", "the bucket in the path is not percent-encoded: %v", err)
	}
	if rest == "keys" {
		return t, nil
	}
	key, ok := strings.CutPrefix(rest, "keys/")
	t.kind = keyTarget
	if of, asked := strings.CutSuffix(key, "/stage"); asked {
		key, t.kind = of, stageTarget
	}
	switch {
	case !ok:
		return target{}, nil
	case strings.Contains(key, "/"):
		return target{}, kindred.Invalid("key", "the key in the path has a bare slash: write it as %%2F")
	}
	if t.key, err = url.PathUnescape(key); err != nil {
		return target{}, kindred.Invalid("key", "the key in the path is not percent-encoded: %v", err)
	}
	return t, nil
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
}

func (o *options) request(op kindred.Op, t target) *kindred.Request {
	return &kindred.Request{
		Op: op, Bucket: t.bucket, Key: t.key, R: o.r, W: o.w, PR: o.pr, PW: o.pw,
		Durability: o.durability, Timeout: o.timeout, Sloppy: o.sloppy, TTL: o.ttl, ExpiresAt: o.expiresAt,
	}
}

func parseOptions(query string) (options, *kindred.Error) {
	var o options
	bad := parseQuery(query, []parameter{
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
	})
	return o, bad
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
	for name := range values {
		names := make([]string, len(known))
		for i, p := range known {
			names[i] = p.name
		}
		return kindred.Invalid(name, "%q is not a query parameter here: use %s", name, strings.Join(names, ", "))
	}
	return nil
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

// The headers of the contract.
const (
	headerContext    = "Kindred-Context"
	headerRequestID  = "Kindred-Request-Id"
	headerReceipt    = "Kindred-Receipt"
	headerStage      = "Kindred-Stage"
	headerDurability = "Kindred-Durability"
	headerAcked      = "Kindred-Acked"
	// headerQuorum says whether the quorum that was met is strict or sloppy,
	// headerGuests which of the nodes that count are guests.
	headerQuorum    = "Kindred-Quorum"
	headerReplied   = "Kindred-Replied"
	headerGuests    = "Kindred-Guests"
	headerExpiresAt = "Kindred-Expires-At"
)

// parseHeaders reads what a write may say in its headers.
func parseHeaders(h http.Header, req *kindred.Request) *kindred.Error {
	if req.Op == kindred.OpPut {
		req.ContentType = h.Get("Content-Type")
	}
	for _, f := range [...]struct{ header, field string }{{headerContext, "context"}, {headerRequestID, "request_id"}} {
		if n := len(h.Values(f.header)); n > 1 {
			return kindred.Invalid(f.field, "the header %s is given %d times: give it once", f.header, n)
		}
	}
	var err error
	if req.Context, err = parseBase64(h.Get(headerContext)); err != nil {
		bad := kindred.Invalid("context", "%s: %v: pass back the context of a read as it came", headerContext, err)
		bad.Code = kindred.CodeBadContext
		return bad
	}
	if id := h.Get(headerRequestID); id != "" {
		if req.RequestID, err = kindred.ParseRequestID(id); err != nil {
			return kindred.Invalid("request_id", "%s: %v", headerRequestID, clip(err.Error()))
		}
	}
	return nil
}
