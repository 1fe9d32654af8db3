package bulk

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// OperationBytesMax bounds one line of a batch: the largest value in base64 fits.
const OperationBytesMax = 2 * kindred.ValueBytesMax

// OperationLine is a put or a delete as a batch file has it, one JSON object per
// line. An export is written in the same form.
type OperationLine struct {
	// Op is put or del.
	Op     string `json:"op"`
	Bucket string `json:"bucket,omitempty"`
	// Key, or KeyBase64 for one that is not text.
	Key       *string `json:"key,omitempty"`
	KeyBase64 *string `json:"key_base64,omitempty"`
	// Value, or ValueBase64 for one that is not text; of a put.
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
	ContentType string  `json:"content_type,omitempty"`
	TTL         string  `json:"ttl,omitempty"`
	ExpiresAt   string  `json:"expires_at,omitempty"`
	// Blind adds a sibling to what is there; Context replaces what an earlier read
	// saw, which was no value if it is empty. Without either the key is read first.
	Blind     bool    `json:"blind,omitempty"`
	Context   *string `json:"context,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
}

// PutLine is a put that stores a value as it was found.
func PutLine(bucket, key string, s *kindred.Sibling, blind bool) *OperationLine {
	l := &OperationLine{Op: "put", Bucket: bucket, ContentType: s.ContentType, Blind: blind}
	l.Key, l.KeyBase64 = textOr64([]byte(key))
	l.Value, l.ValueBase64 = textOr64(s.Value)
	if !s.ExpiresAt.IsZero() {
		l.ExpiresAt = s.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	return l
}

// textOr64 prefers text, unless its escapes make it longer than base64 would be.
func textOr64(b []byte) (text, base *string) {
	if utf8.Valid(b) {
		s := string(b)
		if quoted, err := jsonText(s); err == nil && len(quoted) <= base64.StdEncoding.EncodedLen(len(b))+len(b)/2+64 {
			return &s, nil
		}
	}
	s := base64.StdEncoding.EncodeToString(b)
	return nil, &s
}

// Operation is a line that was read and found right.
type Operation struct {
	Line        int
	Op          kindred.Op
	Bucket, Key string
	Value       []byte
	Blind       bool
	// Context is nil if the line has none.
	Context *string
	Opts    []client.CallOption
}

// Operations reads a batch.
type Operations struct {
	in     *lines
	bucket string
}

// NewOperations reads operations; those that name no bucket mean the given one.
func NewOperations(r io.Reader, bucket string) *Operations {
	return &Operations{in: newLines(r, OperationBytesMax, "the limit of a line"), bucket: bucket}
}

// Next is the next operation, or io.EOF. A *RowError concerns one line only.
func (o *Operations) Next() (Operation, error) {
	b, err := o.in.next()
	if err != nil {
		return Operation{}, err
	}
	op, err := o.parse(b)
	if err != nil {
		return Operation{}, &RowError{Line: o.in.line, Problem: err.Error()}
	}
	op.Line = o.in.line
	return op, nil
}

func (o *Operations) parse(b []byte) (op Operation, err error) {
	var l OperationLine
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return op, notALine(err)
	}
	if d.More() {
		return op, errors.New("more than one JSON object: write one per line")
	}
	op.Bucket, op.Blind, op.Context = l.Bucket, l.Blind, l.Context
	if op.Bucket == "" {
		op.Bucket = o.bucket
	}
	if op.Bucket == "" {
		return op, errors.New("no bucket: name one in the line, or with --bucket for all lines")
	}
	if op.Op, err = l.operation(); err != nil {
		return op, err
	}
	key, err := bytesOf("key", l.Key, l.KeyBase64)
	if err != nil {
		return op, err
	}
	op.Key = string(key)
	if bad := kindred.CheckName(op.Bucket, op.Key); bad != nil {
		return op, errors.New(bad.Message)
	}
	if op.Op == kindred.OpPut {
		if op.Value, err = bytesOf("value", l.Value, l.ValueBase64); err != nil {
			return op, err
		}
		if bad := kindred.CheckValue(op.Value, l.ContentType); bad != nil {
			return op, errors.New(bad.Message)
		}
	}
	op.Opts, err = l.options()
	return op, err
}

// notALine names a field that nobody knows, and what else is wrong with the JSON.
func notALine(err error) error {
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("there is no field %s: a line has op, bucket, key, value, content_type, ttl, expires_at, blind, context and request_id", field)
	}
	return fmt.Errorf("not a JSON object of an operation: %w", err)
}

// operation checks what belongs to a put alone.
func (l *OperationLine) operation() (kindred.Op, error) {
	switch {
	case l.Op != "put" && l.Op != "del":
		return 0, fmt.Errorf("op is %q: use put or del", l.Op)
	case l.Blind && l.Context != nil:
		return 0, errors.New("blind and context exclude each other: a blind put has seen nothing")
	case l.Op == "put":
		return kindred.OpPut, nil
	case l.Value != nil || l.ValueBase64 != nil || l.ContentType != "" || l.TTL != "" || l.ExpiresAt != "" || l.Blind:
		return 0, errors.New("a del has no value, content_type, ttl, expires_at or blind")
	}
	return kindred.OpDelete, nil
}

func (l *OperationLine) options() (opts []client.CallOption, err error) {
	if l.ContentType != "" {
		opts = append(opts, client.ContentType(l.ContentType))
	}
	switch {
	case l.TTL != "" && l.ExpiresAt != "":
		return nil, errors.New("ttl and expires_at exclude each other: give one of them")
	case l.TTL != "":
		d, err := time.ParseDuration(l.TTL)
		if err != nil || d < time.Millisecond {
			return nil, fmt.Errorf("ttl %q: use at least 1ms, such as 90s or 24h", l.TTL)
		}
		opts = append(opts, client.TTL(d))
	case l.ExpiresAt != "":
		at, err := time.Parse(time.RFC3339, l.ExpiresAt)
		if err != nil {
			return nil, fmt.Errorf("expires_at %q is not a moment: write 2030-01-31T12:00:00Z", l.ExpiresAt)
		}
		opts = append(opts, client.ExpiresAt(at))
	}
	if l.Context != nil {
		if _, err := client.ParseContext(*l.Context); err != nil {
			return nil, err
		}
	}
	if l.RequestID != "" {
		id, err := kindred.ParseRequestID(l.RequestID)
		if err != nil {
			return nil, err
		}
		opts = append(opts, client.RequestID(id))
	}
	return opts, nil
}

// bytesOf reads a field that comes as text or in base64.
func bytesOf(name string, text, base *string) ([]byte, error) {
	switch {
	case text != nil && base != nil:
		return nil, fmt.Errorf("%s and %s_base64 exclude each other: give one of them", name, name)
	case text != nil:
		return []byte(*text), nil
	case base == nil:
		return nil, fmt.Errorf("no %s: give %s or %s_base64", name, name, name)
	}
	b, err := base64.StdEncoding.DecodeString(*base)
	if err != nil {
		return nil, fmt.Errorf("%s_base64 is not base64: %w", name, err)
	}
	return b, nil
}
