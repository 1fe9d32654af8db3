package native

import (
	"encoding/binary"
	"math"

	"github.com/kindredkv/kindred"
)

// Result is the answer to the call of that number.
type Result struct {
	ID       uint64
	Response *kindred.Response
}

// ResultsMax is the number of results in one frame: an answer becomes many times as
// large as the least that a frame says of it.
const ResultsMax = 4096

// resultBytesMin is less than any result takes.
const resultBytesMin = 3

// What a result holds.
const (
	resultError byte = iota
	resultGet
	resultWrite
)

// AddResult adds the answer to a get, put or delete to a frame of results, with the
// fields that kindred.v1 has for it. Values of the answer must not change before
// the frame has been sent.
func (b *Batch) AddResult(id uint64, op kindred.Op, p *kindred.Response) {
	b.count++
	b.buf = binary.AppendUvarint(b.buf, id)
	switch {
	case p.Err != nil:
		b.buf = appendError(append(b.buf, resultError), p.Err)
	case op == kindred.OpGet:
		b.buf = append(b.buf, resultGet)
		b.addGet(p)
	default:
		b.buf = appendWrite(append(b.buf, resultWrite), p)
	}
}

func (b *Batch) addGet(p *kindred.Response) {
	b.buf = binary.AppendUvarint(b.buf, uint64(len(p.Siblings)))
	for i := range p.Siblings {
		s := &p.Siblings[i]
		q := appendText(appendText(b.buf, s.Dot), s.ContentType)
		q = appendText(appendTime(q, s.WrittenAt), s.Node)
		b.buf = appendTime(binary.AppendUvarint(q, uint64(s.Causes)), s.ExpiresAt)
		b.bytesApart(s.Value)
	}
	b.buf = appendTexts(appendTexts(appendBytes(b.buf, p.Context), p.Replied), p.Guests)
}

func appendWrite(b []byte, p *kindred.Response) []byte {
	r := &p.Receipt
	b = appendText(appendBytes(b, p.Context), r.Dot)
	b = append(b, byte(r.Stage), byte(r.Durability))
	return appendTime(appendTexts(appendTexts(b, r.Acked), r.Guests), r.ExpiresAt)
}

func appendError(b []byte, e *kindred.Error) []byte {
	b = appendText(appendText(appendText(b, string(e.Code)), e.Message), e.Field)
	b = appendText(append(binary.AppendVarint(b, e.Limit), byte(e.Outcome)), e.Dot)
	b = binary.AppendVarint(binary.AppendVarint(b, narrow(e.Need)), narrow(e.Got))
	b = binary.AppendUvarint(b, uint64(len(e.Failed)))
	for _, f := range e.Failed {
		b = appendText(appendText(b, f.Node), f.Reason)
	}
	return b
}

func narrow(n int) int64 { return int64(max(math.MinInt32, min(n, math.MaxInt32))) }

// decodeResults appends the answers in a frame to into.
func decodeResults(f frame, into []Result) ([]Result, error) {
	if f.count > ResultsMax {
		return into, malformed("a frame of %d results, the limit is %d", f.count, ResultsMax)
	}
	if int64(f.count)*resultBytesMin > int64(len(f.body)) {
		return into, malformed("%d results announced, %d bytes left", f.count, len(f.body))
	}
	r := newReader(f)
	for range f.count {
		into = append(into, Result{ID: r.uvarint("id"), Response: r.response()})
		if r.err != nil {
			return into, r.err
		}
	}
	return into, r.end()
}

func (r *reader) response() *kindred.Response {
	p := &kindred.Response{}
	switch holds := r.byte("result"); holds {
	case resultError:
		p.Err = r.error()
	case resultGet:
		r.get(p)
	case resultWrite:
		r.write(p)
	default:
		r.fail("result", "kind %d", holds)
	}
	return p
}

// siblingBytesMin is less than any sibling takes.
const siblingBytesMin = 7

func (r *reader) get(p *kindred.Response) {
	if n := r.count("siblings", siblingBytesMin); n > 0 {
		p.Siblings = make([]kindred.Sibling, 0, min(n, 64))
		for range n {
			p.Siblings = append(p.Siblings, kindred.Sibling{
				Dot: r.string("dot"), ContentType: r.string("content type"), WrittenAt: r.time("written at"),
				Node: r.string("node"), Causes: kindred.Causes(r.uvarint("causes")), ExpiresAt: r.time("expiry"),
				Value: r.bytes("value"),
			})
			if r.err != nil {
				return
			}
		}
	}
	p.Context, p.Replied, p.Guests = r.bytes("context"), r.strings("replied"), r.strings("guests")
}

func (r *reader) write(p *kindred.Response) {
	t := &p.Receipt
	p.Context, t.Dot = r.bytes("context"), r.string("dot")
	// A word that this build does not know is none.
	if s := kindred.Stage(r.byte("stage")); s <= kindred.Audited {
		t.Stage = s
	}
	if d := kindred.Durability(r.byte("durability")); d <= kindred.Sync {
		t.Durability = d
	}
	t.Acked, t.Guests, t.ExpiresAt = r.strings("acked"), r.strings("guests"), r.time("expiry")
}

func (r *reader) error() *kindred.Error {
	e := &kindred.Error{
		Code: kindred.Code(r.string("code")), Message: r.string("message"), Field: r.string("field"),
		Limit: r.varint("limit"), Outcome: kindred.Outcome(r.byte("outcome")), Dot: r.string("dot"),
		Need: int(r.small("need")), Got: int(r.small("got")),
	}
	if e.Outcome != kindred.Applied && e.Outcome != kindred.NotApplied {
		e.Outcome = kindred.Unknown
	}
	for range r.names("failed nodes", 2) {
		f := kindred.NodeFailure{Node: r.string("node"), Reason: r.string("reason")}
		if r.err != nil {
			break
		}
		e.Failed = append(e.Failed, f)
	}
	return e
}
