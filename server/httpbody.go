package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred"
)

// readBody reads the value of a put. It reports the bytes it took from the
// budget of bodies, which the caller gives back when the put is answered.
func (d *httpDoor) readBody(w http.ResponseWriter, r *http.Request, req *kindred.Request) (held int64, bad *kindred.Error) {
	if r.ContentLength > kindred.ValueBytesMax {
		discard(w, r)
		return 0, kindred.TooLarge("value", kindred.ValueBytesMax, int(r.ContentLength), "split the value over several keys")
	}
	held = r.ContentLength
	if held < 0 { // chunked: it may become the largest
		held = kindred.ValueBytesMax
	}
	if bad = hold(&d.bodyBytes, held, d.cfg.BodyBytesMax, "bodies"); bad != nil {
		return held, bad
	}
	var err error
	req.Value, err = readAll(http.MaxBytesReader(w, r.Body, kindred.ValueBytesMax), held)
	bad = bodyError(err)
	if bad != nil && bad.Code == kindred.CodeTooLarge {
		discard(w, r)
	}
	return held, bad
}

// smallAnswerBytes is the size up to which an answer is sent in any case: clients
// that stop reading large ones must not keep others from small ones. Connections
// bound how many there are.
const smallAnswerBytes = 16 << 10

// holdAnswer takes the bytes of an answer from the budget of those that are being
// sent; the caller gives them back, whether it was let or not.
func (d *httpDoor) holdAnswer(bytes int64) (held int64, bad *kindred.Error) {
	if bytes <= smallAnswerBytes {
		return 0, nil
	}
	return bytes, hold(&d.answerBytes, bytes, d.cfg.AnswerBytesMax, "answers")
}

// hold counts bytes, and says so if they are too many. They are counted in any
// case.
func hold(budget *atomic.Int64, bytes, max int64, what string) *kindred.Error {
	now := budget.Add(bytes)
	if now <= max {
		return nil
	}
	return tooMuch(what, now, max)
}

func tooMuch(what string, bytes, max int64) *kindred.Error {
	return &kindred.Error{
		Code: kindred.CodeOverloaded, Limit: max, Outcome: kindred.NotApplied,
		Message: fmt.Sprintf("the %s under way would take %d bytes, the limit is %d: try again", what, bytes, max),
	}
}

func valueBytes(r *kindred.Response) int64 {
	n := 0
	for i := range r.Siblings {
		n += len(r.Siblings[i].Value)
	}
	return int64(n)
}

// pageBytes is about what a page of keys takes: the keys themselves, and the
// document.
func pageBytes(r *kindred.Response) int64 {
	n := 0
	for i := range r.Keys {
		n += 2*len(r.Keys[i].Key) + answerBytes
	}
	return int64(n)
}

// allowBody bounds the reading of a body, by us or, of what we leave unread, by
// net/http, which lifts the deadline at the body's end. A connection that cannot
// have deadlines is a test's.
func (d *httpDoor) allowBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(d.cfg.BodyTimeout))
	}
}

// discardTimeout bounds the courtesy of discard.
const discardTimeout = 2 * time.Second

// discard reads some more of a body that is too large, so that a client which
// sends first and listens later gets our answer instead of a broken connection.
// A client that asked before sending gets it anyway.
func discard(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Expect") == "" {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardTimeout))
		_, _ = io.CopyN(io.Discard, r.Body, kindred.ValueBytesMax)
	}
}

// pieceBytes is how much of a body has to arrive before its announced size is
// believed.
const pieceBytes = 64 << 10

// readAll trusts the announced size for a first piece only; when that is there,
// the rest gets its place at once and is not copied again.
func readAll(r io.Reader, announced int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(announced, pieceBytes)+bytes.MinRead))
	_, err := io.CopyN(b, r, pieceBytes)
	if err == io.EOF {
		return b.Bytes(), nil
	}
	if err != nil {
		return nil, err
	}
	b.Grow(int(max(announced-pieceBytes, 0)) + bytes.MinRead)
	_, err = b.ReadFrom(r)
	return b.Bytes(), err
}

func bodyError(err error) *kindred.Error {
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooLarge):
		return &kindred.Error{
			Code: kindred.CodeTooLarge, Field: "value", Limit: tooLarge.Limit, Outcome: kindred.NotApplied,
			Message: fmt.Sprintf("value has more than %d bytes, the limit is %d: split the value over several keys", tooLarge.Limit, tooLarge.Limit),
		}
	}
	return kindred.Invalid("value", "the value did not arrive whole: %v", err)
}
