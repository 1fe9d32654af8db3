package server

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/kindredkv/kindred"
)

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
	// Of a part of multipart/mixed.
	headerDot       = "Kindred-Dot"
	headerNode      = "Kindred-Node"
	headerWrittenAt = "Kindred-Written-At"
	headerCauses    = "Kindred-Causes"
)

// requestHeaders are those of ours that a request may have.
var requestHeaders = [...]string{headerContext, headerRequestID}

// checkHeaders refuses headers that look like ours and are not: a put whose
// context is misspelt would be a blind one.
func checkHeaders(h http.Header) *kindred.Error {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if strings.HasPrefix(name, "Kindred-") && !slices.Contains(requestHeaders[:], name) {
			return kindred.Invalid(clip(name), "%q is not a request header of Kindred: use %s", clip(name), strings.Join(requestHeaders[:], ", "))
		}
	}
	return nil
}

// parseHeaders reads what a write may say in its headers.
func parseHeaders(h http.Header, req *kindred.Request) *kindred.Error {
	if bad := checkConditions(h); bad != nil {
		return bad
	}
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

// checkConditions refuses the conditions of HTTP on a write, and parts of a
// value: no node can keep them, and a write that ignored them would do harm.
func checkConditions(h http.Header) *kindred.Error {
	for _, name := range [...]string{"If-Match", "If-None-Match", "If-Unmodified-Since"} {
		if h.Get(name) != "" {
			return kindred.Invalid(name, "a write cannot depend on %s: it would have to be decided by one node alone; "+
				"pass the Kindred-Context of a read, and concurrent writes become siblings", name)
		}
	}
	if h.Get("Content-Range") != "" {
		return kindred.Invalid("Content-Range", "a value is put whole: leave out Content-Range")
	}
	return nil
}

// codeUnsupported is the code of a body that is encoded, codeNotAcceptable of
// siblings in no form that the client takes. Only HTTP has such failures.
const (
	codeUnsupported   kindred.Code = "unsupported_encoding"
	codeNotAcceptable kindred.Code = "not_acceptable"
)

// checkEncoding refuses a body that is compressed: it would come back without
// the header that says so.
func checkEncoding(h http.Header) *kindred.Error {
	encoding := h.Get("Content-Encoding")
	if encoding == "" || encoding == "identity" {
		return nil
	}
	return &kindred.Error{
		Code: codeUnsupported, Field: "Content-Encoding", Outcome: kindred.NotApplied,
		Message: "Content-Encoding: " + quoted(encoding, "is not kept with a value: put the bytes as they are to be read, and say what they are in Content-Type").Error(),
	}
}
