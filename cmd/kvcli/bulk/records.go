// Package bulk reads files of records and stores them with bounded
// concurrency.
//
// A record is one row of a CSV file with a header line, or one JSON object per
// line. It is stored as a JSON object under the text of its key column.
package bulk

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kindredkv/kindred"
)

// Record is one row, ready to be stored.
type Record struct {
	// Line is where it begins, from 1.
	Line  int
	Key   string
	Value []byte
}

// RowError is a row that cannot be stored. Reading goes on after it.
type RowError struct {
	Line    int
	Problem string
}

func (e *RowError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Problem) }

// Source yields records until io.EOF. A *RowError concerns one row only; any
// other error ends the source.
type Source interface {
	Next() (Record, error)
}

// FormatOf tells the format from a file's name.
func FormatOf(path string) (string, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return "csv", nil
	case ".jsonl", ".ndjson":
		return "jsonl", nil
	}
	return "", fmt.Errorf("%s does not say what it holds: give --format csv or --format jsonl", path)
}

// NewSource reads records of the format "csv" or "jsonl".
func NewSource(r io.Reader, format, keyColumn string) (Source, error) {
	switch format {
	case "csv":
		return newCSV(r, keyColumn)
	case "jsonl":
		return &jsonSource{in: newLines(r, kindred.ValueBytesMax, "the limit of a value"), key: keyColumn}, nil
	}
	return nil, fmt.Errorf("the format %q is unknown: use csv or jsonl", format)
}

type csvSource struct {
	in     *csv.Reader
	header []string
	names  [][]byte // the header as JSON
	key    int
}

// byteOrderMark begins many CSV files that spreadsheets write.
const byteOrderMark = "\ufeff"

func newCSV(r io.Reader, keyColumn string) (*csvSource, error) {
	s := &csvSource{in: csv.NewReader(r)}
	s.in.FieldsPerRecord = -1 // a row that is too short is one bad row
	s.in.ReuseRecord = true
	header, err := s.in.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: a CSV file begins with a header line")
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	s.header = slices.Clone(header)
	s.header[0] = strings.TrimPrefix(s.header[0], byteOrderMark)
	for i, name := range s.header {
		if slices.Contains(s.header[:i], name) {
			return nil, fmt.Errorf("header: there are two columns %q", name)
		}
		b, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		s.names = append(s.names, b)
	}
	if s.key = slices.Index(s.header, keyColumn); s.key < 0 {
		return nil, fmt.Errorf("there is no column %q: the header has %s", keyColumn, strings.Join(s.header, ", "))
	}
	return s, nil
}

// Next implements Source.
func (s *csvSource) Next() (Record, error) {
	row, err := s.in.Read()
	var pe *csv.ParseError
	if errors.As(err, &pe) {
		return Record{}, &RowError{Line: pe.StartLine, Problem: pe.Err.Error()}
	}
	if err != nil {
		return Record{}, err
	}
	line, _ := s.in.FieldPos(0)
	if len(row) != len(s.header) {
		return Record{}, &RowError{Line: line, Problem: fmt.Sprintf("%d fields, but the header has %d", len(row), len(s.header))}
	}
	value, err := s.object(row)
	if err != nil {
		return Record{}, &RowError{Line: line, Problem: err.Error()}
	}
	return checked(Record{Line: line, Key: strings.Clone(row[s.key]), Value: value})
}

// object writes a row as a JSON object, its columns in the order of the file.
func (s *csvSource) object(row []string) ([]byte, error) {
	var b bytes.Buffer
	for i, field := range row {
		b.WriteByte("{,"[min(i, 1)])
		b.Write(s.names[i])
		b.WriteByte(':')
		text, err := jsonText(field)
		if err != nil {
			return nil, err
		}
		b.Write(text)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// jsonText is a JSON string that keeps <, > and & readable.
func jsonText(s string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func checked(r Record) (Record, error) {
	if r.Key == "" {
		return Record{}, &RowError{Line: r.Line, Problem: "the key is empty"}
	}
	if len(r.Key) > kindred.KeyBytesMax {
		return Record{}, &RowError{Line: r.Line, Problem: fmt.Sprintf("the key has %d bytes, the limit is %d", len(r.Key), kindred.KeyBytesMax)}
	}
	if err := kindred.CheckValue(r.Value, ""); err != nil {
		return Record{}, &RowError{Line: r.Line, Problem: err.Message}
	}
	return r, nil
}

type jsonSource struct {
	in  *lines
	key string
}

// Next implements Source. Empty lines are passed over.
func (s *jsonSource) Next() (Record, error) {
	b, err := s.in.next()
	if err != nil {
		return Record{}, err
	}
	return s.record(b)
}

func (s *jsonSource) record(b []byte) (Record, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return Record{}, &RowError{Line: s.in.line, Problem: "not a JSON object: " + err.Error()}
	}
	raw, ok := fields[s.key]
	if !ok {
		return Record{}, &RowError{Line: s.in.line, Problem: fmt.Sprintf("no field %q", s.key)}
	}
	key := string(raw)
	switch raw[0] {
	case '"':
		if err := json.Unmarshal(raw, &key); err != nil {
			return Record{}, &RowError{Line: s.in.line, Problem: err.Error()}
		}
	case '{', '[', 'n', 't', 'f':
		return Record{}, &RowError{Line: s.in.line, Problem: fmt.Sprintf("the field %q is neither a text nor a number", s.key)}
	}
	return checked(Record{Line: s.in.line, Key: key, Value: b})
}
