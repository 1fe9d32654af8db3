package server

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/kindredkv/kindred"
)

// etagOf names a set of siblings: a dot belongs to one value for ever (I2), so
// that equal sets have equal tags, and others have others. The causal context is
// no such name: it may grow while the siblings stay. A tag of one value is a
// strong one; siblings come in two forms, and with a context of the moment.
func etagOf(r *kindred.Response) string {
	names := sha256.New()
	for i := range r.Siblings {
		_, _ = io.WriteString(names, r.Siblings[i].Dot+"\n")
	}
	tag := `"` + formatBase64(names.Sum(nil)[:15]) + `"`
	if len(r.Siblings) > 1 {
		return "W/" + tag
	}
	return tag
}

// matches compares as If-None-Match wants it: weakly.
func matches(h http.Header, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for _, list := range h.Values("If-None-Match") {
		for one := range strings.SplitSeq(list, ",") {
			one = strings.TrimSpace(one)
			if one == "*" || strings.TrimPrefix(one, "W/") == etag {
				return true
			}
		}
	}
	return false
}

// writeObject is the answer to a get.
func writeObject(w http.ResponseWriter, r *http.Request, answer *kindred.Response, one bool) {
	setHeader(w, headerContext, formatBase64(answer.Context))
	setQuorum(w, headerReplied, answer.Replied, answer.Guests)
	w.Header().Set("Vary", "Accept")
	n := len(answer.Siblings)
	if n == 0 {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if n > 1 && one {
		writeSiblings(w, http.StatusConflict, answer, &kindred.Error{
			Code: codeSiblings, Field: "one", Outcome: kindred.NotApplied,
			Message: "one=true, but the key has " + strconv.Itoa(n) +
				" siblings: choose or merge, and put the result with this context",
		})
		return
	}
	etag := etagOf(answer)
	w.Header().Set("ETag", etag)
	if matches(r.Header, etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if n == 1 {
		writeValue(w, &answer.Siblings[0])
		return
	}
	switch formOf(r.Header) {
	case formJSON:
		writeSiblings(w, http.StatusMultipleChoices, answer, nil)
	case formParts:
		writeParts(w, answer)
	default:
		w.Header().Del("ETag")
		writeError(w, http.StatusNotAcceptable, &kindred.Error{
			Code: codeNotAcceptable, Field: "Accept", Outcome: kindred.NotApplied,
			Message: "the key has " + strconv.Itoa(n) + " siblings, which come as application/json or multipart/mixed: accept one of them",
		})
	}
}

// writeValue sends the bytes as they were stored. Their type is the writer's
// word or unknown; browsers must not guess it.
func writeValue(w http.ResponseWriter, s *kindred.Sibling) {
	w.Header().Set("Content-Type", contentTypeOf(s))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	setHeader(w, headerExpiresAt, expiryText(s.ExpiresAt))
	w.Header().Set("Content-Length", strconv.Itoa(len(s.Value)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(s.Value) // a client that left needs no answer
}

func contentTypeOf(s *kindred.Sibling) string {
	if s.ContentType == "" {
		return "application/octet-stream"
	}
	return s.ContentType
}

// siblingDoc is a sibling without its value, which comes first and is written by
// itself.
type siblingDoc struct {
	Dot         string `json:"dot"`
	ContentType string `json:"content_type"`
	WrittenAt   string `json:"written_at"`
	Node        string `json:"node"`
	// Causes are the circumstances of the write, see kindred.Causes.
	Causes []string `json:"causes"`
	// ExpiresAt is left out for a value that stays.
	ExpiresAt string `json:"expires_at,omitempty"`
	// Deleted is always false: a delete leaves no sibling.
	Deleted bool `json:"deleted"`
}

// What stands between the pieces of siblings.
const (
	beforeValue = `{"value":"`
	afterValue  = `",`
	atTheEnd    = "]}\n"
)

// writeSiblings sends a document of siblings, and of an error if there is one. It
// knows the length before it begins, so that half a document never looks like a
// whole one, but holds no second copy of the values.
func writeSiblings(w http.ResponseWriter, status int, r *kindred.Response, err *kindred.Error) {
	head := siblingsHead(r, err)
	tails := make([][]byte, len(r.Siblings))
	length := len(head) + len(atTheEnd)
	for i := range r.Siblings {
		tails[i] = siblingTail(&r.Siblings[i], i == len(r.Siblings)-1)
		length += len(beforeValue) + base64.StdEncoding.EncodedLen(len(r.Siblings[i].Value)) + len(tails[i])
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(status)
	out := bufio.NewWriterSize(w, 32<<10) // errors stick to it: a client that left needs no answer
	_, _ = out.Write(head)
	for i := range r.Siblings {
		_, _ = out.WriteString(beforeValue)
		value := base64.NewEncoder(base64.StdEncoding, out)
		_, _ = value.Write(r.Siblings[i].Value)
		_ = value.Close()
		_, _ = out.Write(tails[i])
	}
	_, _ = out.WriteString(atTheEnd)
	_ = out.Flush()
}

// siblingsHead is the document up to its first sibling.
func siblingsHead(r *kindred.Response, err *kindred.Error) []byte {
	doc := struct {
		Error   *errorDoc `json:"error,omitempty"`
		Context string    `json:"context"`
	}{Context: formatBase64(r.Context)}
	if err != nil {
		doc.Error = errorOf(err)
	}
	b := encode(doc)
	return append(b[:len(b)-len("}\n")], `,"siblings":[`...)
}

// siblingTail is what follows a value.
func siblingTail(s *kindred.Sibling, last bool) []byte {
	b := encode(siblingDoc{
		Dot: s.Dot, ContentType: s.ContentType, WrittenAt: rfc3339(s.WrittenAt), Node: s.Node,
		Causes: append([]string{}, s.Causes.Names()...), ExpiresAt: expiryText(s.ExpiresAt),
	})
	tail := append([]byte(afterValue), b[len("{"):len(b)-len("\n")]...)
	if !last {
		tail = append(tail, ',')
	}
	return tail
}

// writeParts sends siblings as parts with headers of their own. A connection that
// breaks leaves the last boundary out.
func writeParts(w http.ResponseWriter, r *kindred.Response) {
	parts := multipart.NewWriter(w)
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+parts.Boundary())
	w.WriteHeader(http.StatusMultipleChoices)
	for i := range r.Siblings {
		part, err := parts.CreatePart(partHeader(&r.Siblings[i]))
		if err != nil {
			return // a client that left needs no answer
		}
		if _, err := part.Write(r.Siblings[i].Value); err != nil {
			return
		}
	}
	_ = parts.Close()
}

func partHeader(s *kindred.Sibling) textproto.MIMEHeader {
	h := textproto.MIMEHeader{}
	for name, value := range map[string]string{
		"Content-Type":   contentTypeOf(s),
		"Content-Length": strconv.Itoa(len(s.Value)),
		headerDot:        s.Dot,
		headerNode:       s.Node,
		headerWrittenAt:  rfc3339(s.WrittenAt),
		headerCauses:     strings.Join(s.Causes.Names(), ","),
		headerExpiresAt:  expiryText(s.ExpiresAt),
	} {
		if value != "" {
			h.Set(name, oneLine(value))
		}
	}
	return h
}

// oneLine keeps a header within its line, as net/http does with its own; what
// another node stored is not checked here.
func oneLine(value string) string {
	return strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
}
