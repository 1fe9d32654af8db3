package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kindredkv/kindred"
)

// codeSiblings is the code of a read that asked for one value and found
// several. Only HTTP has such a read.
const codeSiblings kindred.Code = "siblings"

// retryAfter is what a 503 advises, in seconds.
const retryAfter = "1"

// statusOf is the HTTP status of a failure. Beyond what the client did wrong it
// says first what is known of the effect (I10).
func statusOf(err *kindred.Error) int {
	switch err.Code {
	case kindred.CodeInvalid, kindred.CodeBadContext:
		return http.StatusBadRequest
	case kindred.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case kindred.CodeSiblings, kindred.CodeUnsafe:
		return http.StatusConflict
	case codeUnsupported:
		return http.StatusUnsupportedMediaType
	case kindred.CodeUnauthenticated:
		return http.StatusUnauthorized
	}
	switch {
	case err.Outcome != kindred.NotApplied:
		return http.StatusGatewayTimeout
	case err.Code == kindred.CodeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusServiceUnavailable
}

type errorDoc struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field"`
	Limit   int64  `json:"limit"`
	Outcome string `json:"outcome"`
	Dot     string `json:"dot"`
}

func errorOf(err *kindred.Error) *errorDoc {
	outcome := err.Outcome
	if outcome == kindred.Applied { // then it would be no error
		outcome = kindred.Unknown
	}
	return &errorDoc{
		Code: string(err.Code), Message: messageOf(err), Field: err.Field, Limit: err.Limit,
		Outcome: outcome.String(), Dot: err.Dot,
	}
}

// messageOf adds the replicas that failed, for which the document has no field.
func messageOf(err *kindred.Error) string {
	if len(err.Failed) == 0 {
		return err.Message
	}
	failed := make([]string, len(err.Failed))
	for i, f := range err.Failed {
		failed[i] = f.Node + " " + f.Reason
	}
	return err.Message + " (" + strings.Join(failed, "; ") + ")"
}

func writeError(w http.ResponseWriter, status int, err *kindred.Error) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	writeJSON(w, status, struct {
		Error *errorDoc `json:"error"`
	}{errorOf(err)})
}

// rfc3339 never fails, as time.Time's own JSON does for a year beyond 9999,
// which a broken clock may have written.
func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// expiryText is empty for a value that stays.
func expiryText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return rfc3339(t)
}

// writeReceipt is the answer to a put or delete.
func writeReceipt(w http.ResponseWriter, r *kindred.Response) {
	setHeader(w, headerContext, formatBase64(r.Context))
	setHeader(w, headerReceipt, r.Receipt.Dot)
	setHeader(w, headerStage, r.Receipt.Stage.String())
	setHeader(w, headerDurability, r.Receipt.Durability.String())
	setHeader(w, headerExpiresAt, expiryText(r.Receipt.ExpiresAt))
	setQuorum(w, headerAcked, r.Receipt.Acked, r.Receipt.Guests)
	w.WriteHeader(http.StatusNoContent)
}

// setQuorum says who counted, and whether guests did.
func setQuorum(w http.ResponseWriter, header string, nodes, guests []string) {
	setHeader(w, header, strings.Join(nodes, ","))
	setHeader(w, headerQuorum, kindred.SloppyOr(len(guests) > 0).String())
	setHeader(w, headerGuests, strings.Join(guests, ","))
}

func setHeader(w http.ResponseWriter, name, value string) {
	if value != "" {
		w.Header().Set(name, value)
	}
}

type pageDoc struct {
	Keys   []any  `json:"keys"`
	Cursor string `json:"cursor"`
}

type textKeyDoc struct {
	Key       string `json:"key"`
	Siblings  int    `json:"siblings"`
	ExpiresAt string `json:"expires_at,omitempty"`
}

type byteKeyDoc struct {
	Key       []byte `json:"key_base64"`
	Siblings  int    `json:"siblings"`
	ExpiresAt string `json:"expires_at,omitempty"`
}

func pageOf(r *kindred.Response) *pageDoc {
	doc := &pageDoc{Keys: make([]any, len(r.Keys)), Cursor: formatBase64(r.Cursor)}
	for i, k := range r.Keys {
		if utf8.ValidString(k.Key) {
			doc.Keys[i] = textKeyDoc{k.Key, k.Siblings, expiryText(k.ExpiresAt)}
		} else {
			doc.Keys[i] = byteKeyDoc{[]byte(k.Key), k.Siblings, expiryText(k.ExpiresAt)}
		}
	}
	return doc
}

// writeJSON knows the length before it begins, so that half a document never
// looks like a whole one.
func writeJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	writeBody(w, status, encode(doc))
}

// encode is a document as a line of JSON.
func encode(doc any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(doc); err != nil {
		panic("server: a document of ours does not encode: " + err.Error())
	}
	return b.Bytes()
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	writeBody(w, status, []byte(text))
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left needs no answer
}
