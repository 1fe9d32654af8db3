package client

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
)

// Sibling is one live value with its provenance.
type Sibling = kindred.Sibling

// Object is what a get found: no value, one, or several that were written
// concurrently.
type Object struct {
	// Siblings are sorted by dot, so two clients that see the same set see the
	// same order.
	Siblings []Sibling
	// Context is what this read saw. Pass it on with [Seen] to replace exactly
	// that. A key that was deleted may still have one.
	Context Context
	// Replied names the nodes that were counted, Guests those of them that are no
	// home replicas. With guests the answer is a sloppy one: it shows what could be
	// reached.
	Replied, Guests []string
}

// Sloppy reports whether guests were counted.
func (o *Object) Sloppy() bool { return len(o.Guests) > 0 }

// Value is the value, if there is exactly one; otherwise [ErrNotFound] or a
// *[SiblingsError].
func (o *Object) Value() ([]byte, error) {
	switch len(o.Siblings) {
	case 0:
		return nil, ErrNotFound
	case 1:
		return o.Siblings[0].Value, nil
	}
	return nil, &SiblingsError{Siblings: o.Siblings, Context: o.Context}
}

// Values are all values, in the order of the siblings.
func (o *Object) Values() [][]byte {
	values := make([][]byte, len(o.Siblings))
	for i, s := range o.Siblings {
		values[i] = s.Value
	}
	return values
}

// Receipt is what a write returns.
type Receipt struct {
	// Dot names the write event.
	Dot string
	// Stage is how far the write had travelled when it was answered; [Receipt.Wait]
	// waits for more.
	Stage kindred.Stage
	// Durability is what "held" means on each of Acked.
	Durability kindred.Durability
	// Acked names the nodes that hold the write as asked, Guests those of them that
	// keep it for a home replica which could not be reached.
	Acked, Guests []string
	// ExpiresAt is when the value expires; zero if it stays.
	ExpiresAt time.Time
	// Context covers this write and what it had seen. A following write with
	// it replaces this one without another read.
	Context Context

	bucket *Bucket
	key    string
}

// Sloppy reports whether guests were counted.
func (r *Receipt) Sloppy() bool { return len(r.Guests) > 0 }

// Context is what a reader or writer has seen of one key. It is opaque, bound
// to its bucket and key, and refused anywhere else. The zero Context has seen
// nothing.
type Context struct{ token string }

// ContextOf wraps the bytes of [Context.Bytes].
func ContextOf(b []byte) Context { return Context{token: string(b)} }

// ParseContext reads the text of [Context.String].
func ParseContext(s string) (Context, error) {
	// Tokens are copied by people and through URLs: both alphabets, padded or
	// not, mean the same.
	s = strings.TrimRight(s, "=")
	encoding := base64.RawURLEncoding
	if strings.ContainsAny(s, "+/") {
		encoding = base64.RawStdEncoding
	}
	b, err := encoding.DecodeString(s)
	if err != nil {
		return Context{}, kindred.Invalid("context", "the context is not base64 (%v): pass it back exactly as it was given", err)
	}
	return ContextOf(b), nil
}

// IsZero reports whether nothing has been seen.
func (c Context) IsZero() bool { return c.token == "" }

// Bytes is the context as the protocols carry it.
func (c Context) Bytes() []byte { return []byte(c.token) }

// String is the context as text, safe in URLs and headers.
func (c Context) String() string { return base64.RawURLEncoding.EncodeToString([]byte(c.token)) }

// MarshalText implements encoding.TextMarshaler.
func (c Context) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Context) UnmarshalText(text []byte) (err error) {
	*c, err = ParseContext(string(text))
	return err
}

// Entry is one key of a scan.
type Entry struct {
	Key string
	// Siblings is the number of concurrent values, as one replica saw it.
	Siblings int
	// ExpiresAt is when the last of them expires; zero if one never does.
	ExpiresAt time.Time
}

// String is the key, with the number of siblings if there are several.
func (e Entry) String() string {
	if e.Siblings > 1 {
		return fmt.Sprintf("%s (%d siblings)", printable(e.Key), e.Siblings)
	}
	return printable(e.Key)
}
