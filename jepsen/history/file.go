package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"

	kindred "github.com/kindredkv/kindred"
)

const (
	// Version is the version of the file that this package writes.
	Version = 1
	// LineBytesMax bounds one line of a file.
	LineBytesMax = 16 << 20
)

// Header is the first line of a file.
type Header struct {
	// Workload and Seed say how the run was made.
	Workload string
	Seed     uint64
	// Note is for people.
	Note string
}

// FormatError is a file that cannot be read. Lines count from 1.
type FormatError struct {
	Line   int
	Reason string
}

// Error names the line.
func (e *FormatError) Error() string { return fmt.Sprintf("history, line %d: %s", e.Line, e.Reason) }

// headerLine and opLine are the file's own forms, so that renaming a field in
// Go does not change the file.
type headerLine struct {
	Version  *int   `json:"kindred_history"`
	Workload string `json:"workload,omitempty"`
	Seed     uint64 `json:"seed,omitempty"`
	Note     string `json:"note,omitempty"`
}

type opLine struct {
	Process  int           `json:"p"`
	Invoke   int64         `json:"i"` // nanoseconds
	Complete int64         `json:"c"` // nanoseconds
	Kind     string        `json:"k"`
	Bucket   string        `json:"b"`
	Key      string        `json:"key,omitempty"`
	KeyBytes []byte        `json:"key64,omitempty"` // a key that is not UTF-8
	Write    WriteID       `json:"w,omitempty"`
	Seen     []WriteID     `json:"seen,omitempty"`
	Context  []byte        `json:"ctx,omitempty"`
	Outcome  string        `json:"o"`
	Dot      string        `json:"dot,omitempty"`
	Siblings []siblingLine `json:"sib,omitempty"`
	N        int           `json:"n,omitempty"`
	Need     int           `json:"need,omitempty"`
	Sloppy   bool          `json:"sloppy,omitempty"`
	Attempts int           `json:"tries,omitempty"`
	Node     string        `json:"node,omitempty"`
	Final    bool          `json:"final,omitempty"`
	Error    string        `json:"err,omitempty"`
}

type siblingLine struct {
	Write WriteID   `json:"w"`
	Dot   string    `json:"dot,omitempty"`
	Set   []WriteID `json:"set,omitempty"`
}

// Writer writes a file.
type Writer struct {
	w   *bufio.Writer
	enc *json.Encoder
}

// NewWriter writes the header.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	buf := bufio.NewWriter(w)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	version := Version
	err := enc.Encode(headerLine{Version: &version, Workload: h.Workload, Seed: h.Seed, Note: h.Note})
	return &Writer{w: buf, enc: enc}, err
}

// Write adds an op. It refuses one that a Reader would refuse.
func (w *Writer) Write(op Op) error {
	if err := op.Check(); err != nil {
		return err
	}
	return w.enc.Encode(lineOf(op))
}

// Flush hands everything to the underlying writer.
func (w *Writer) Flush() error { return w.w.Flush() }

// Write writes a whole history.
func (h *History) Write(to io.Writer) error {
	w, err := NewWriter(to, h.Header)
	if err != nil {
		return err
	}
	for i := range h.Ops {
		if err := w.Write(h.Ops[i]); err != nil {
			return fmt.Errorf("op %d: %w", i, err)
		}
	}
	return w.Flush()
}

func lineOf(op Op) opLine {
	l := opLine{
		Process: op.Process, Invoke: int64(op.Invoke), Complete: int64(op.Complete), Kind: op.Kind.String(),
		Bucket: op.Bucket, Key: op.Key, Write: op.Write, Seen: op.Seen, Context: op.Context,
		Outcome: op.Outcome.String(), Dot: op.Dot, N: op.N, Need: op.Need, Sloppy: op.Sloppy,
		Attempts: op.Attempts, Node: op.Node, Final: op.Final, Error: op.Error,
	}
	if !utf8.ValidString(op.Key) {
		l.Key, l.KeyBytes = "", []byte(op.Key)
	}
	for _, s := range op.Siblings {
		l.Siblings = append(l.Siblings, siblingLine(s))
	}
	return l
}

func (l opLine) op() (Op, error) {
	op := Op{
		Process: l.Process, Invoke: time.Duration(l.Invoke), Complete: time.Duration(l.Complete),
		Bucket: l.Bucket, Key: l.Key, Write: l.Write, Seen: l.Seen, Context: l.Context,
		Dot: l.Dot, N: l.N, Need: l.Need, Sloppy: l.Sloppy,
		Attempts: l.Attempts, Node: l.Node, Final: l.Final, Error: l.Error,
	}
	kind := slices.Index(kinds[:], l.Kind)
	if kind < 1 {
		return Op{}, fmt.Errorf("%q is not a kind of operation", l.Kind)
	}
	op.Kind = Kind(kind)
	outcome := slices.IndexFunc(outcomes[:], func(o kindred.Outcome) bool { return o.String() == l.Outcome })
	if outcome < 0 {
		return Op{}, fmt.Errorf("%q is not an outcome", l.Outcome)
	}
	op.Outcome = outcomes[outcome]
	if len(l.KeyBytes) > 0 {
		if l.Key != "" {
			return Op{}, errors.New("the op has both key and key64")
		}
		op.Key = string(l.KeyBytes)
	}
	for _, s := range l.Siblings {
		op.Siblings = append(op.Siblings, Sibling(s))
	}
	return op, op.Check()
}

// Reader reads a file, op by op.
type Reader struct {
	r      *bufio.Reader
	line   int
	header Header
}

// NewReader reads the header.
func NewReader(r io.Reader) (*Reader, error) {
	reader := &Reader{r: bufio.NewReader(r)}
	var h headerLine
	if err := reader.next(&h); err == io.EOF {
		return nil, &FormatError{Line: 1, Reason: "the file is empty; its first line should say {\"kindred_history\":1}"}
	} else if err != nil {
		return nil, err
	}
	switch {
	case h.Version == nil:
		return nil, reader.fail("this is not a history: its first line should say {\"kindred_history\":1}")
	case *h.Version != Version:
		return nil, reader.fail(fmt.Sprintf("version %d is not known here, only version %d is: read it with the program that wrote it", *h.Version, Version))
	}
	reader.header = Header{Workload: h.Workload, Seed: h.Seed, Note: h.Note}
	return reader, nil
}

// Header is the first line.
func (r *Reader) Header() Header { return r.header }

// Next reads one op. It returns io.EOF at the end; every other error is a
// *[FormatError] or comes from the underlying reader.
func (r *Reader) Next() (Op, error) {
	var l opLine
	if err := r.next(&l); err != nil {
		return Op{}, err
	}
	op, err := l.op()
	if err != nil {
		return Op{}, r.fail(err.Error())
	}
	return op, nil
}

// Read reads a whole history. With an error it returns what stood before it:
// the end of a file may be torn off with the process that wrote it.
func Read(from io.Reader) (History, error) {
	r, err := NewReader(from)
	if err != nil {
		return History{}, err
	}
	h := History{Header: r.Header()}
	for {
		op, err := r.Next()
		if err == io.EOF {
			return h, nil
		}
		if err != nil {
			return h, err
		}
		h.Ops = append(h.Ops, op)
	}
}

func (r *Reader) fail(reason string) error { return &FormatError{Line: r.line, Reason: reason} }

// next decodes one line into v.
func (r *Reader) next(v any) error {
	line, err := r.readLine()
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return r.fail(err.Error())
	}
	if dec.InputOffset() != int64(len(bytes.TrimRight(line, "\r"))) {
		return r.fail("there is more than one value on the line")
	}
	return nil
}

// readLine returns the next line without its end. A last line without an end
// is a torn one.
func (r *Reader) readLine() ([]byte, error) {
	r.line++
	var line []byte
	for {
		part, err := r.r.ReadSlice('\n')
		if len(line)+len(part) > LineBytesMax {
			return nil, r.fail(fmt.Sprintf("the line is longer than %d bytes", LineBytesMax))
		}
		line = append(line, part...)
		switch {
		case err == bufio.ErrBufferFull:
		case err == io.EOF && len(line) > 0:
			return nil, r.fail("the line does not end: the file was torn off here")
		case err != nil:
			return nil, err
		default:
			return line[:len(line)-1], nil
		}
	}
}
