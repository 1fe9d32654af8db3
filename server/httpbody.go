package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	if now := d.bodyBytes.Add(held); now > d.cfg.BodyBytesMax {
		return held, &kindred.Error{
			Code: kindred.CodeOverloaded, Limit: d.cfg.BodyBytesMax, Outcome: kindred.NotApplied,
			Message: fmt.Sprintf("the bodies under way would take %d bytes, the limit is %d: try again", now, d.cfg.BodyBytesMax),
		}
	}
	var err error
	req.Value, err = readAll(http.MaxBytesReader(w, r.Body, kindred.ValueBytesMax), held)
	bad = bodyError(err)
	if bad != nil && bad.Code == kindred.CodeTooLarge {
		discard(w, r)
	}
	return held, bad
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

// readAll trusts the announced size for a first piece only.
func readAll(r io.Reader, announced int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(announced, 64<<10)+bytes.MinRead))
	_, err := b.ReadFrom(r)
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
