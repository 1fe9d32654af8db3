package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// print writes a result: as a JSON document, or as table does for people.
func (a *app) print(doc any, table func(w io.Writer) error) error {
	if a.output == asTable {
		return table(a.out)
	}
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

// table aligns columns by what is seen of a cell, which colours do not change.
type table struct {
	header []string
	rows   [][]cell
}

// cell is a text and its colour.
type cell struct {
	text  string
	paint func(string) string
}

func plainCells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i].text = t
	}
	return row
}

func (t *table) add(row ...cell) { t.rows = append(t.rows, row) }

func (t *table) write(w io.Writer) error {
	rows := append([][]cell{plainCells(t.header...)}, t.rows...)
	width := make([]int, len(t.header))
	for _, row := range rows {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		gap := 0
		for i, c := range row {
			if c.text != "" {
				text := c.text
				if c.paint != nil {
					text = c.paint(text)
				}
				b.WriteString(strings.Repeat(" ", gap) + text)
				gap = 0
			}
			gap += width[i] - utf8.RuneCountInString(c.text) + 2
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// keyDoc is a key in JSON: as text if it is text, in base64 otherwise.
type keyDoc struct {
	Key    *string `json:"key,omitempty"`
	Base64 string  `json:"key_base64,omitempty"`
}

func newKeyDoc(key string) keyDoc {
	if utf8.ValidString(key) {
		return keyDoc{Key: &key}
	}
	return keyDoc{Base64: base64.StdEncoding.EncodeToString([]byte(key))}
}

// shown makes a key or value fit for a terminal: text as it is, anything else
// quoted.
func shown(s string) string {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// excerpt shows the beginning of a value.
func excerpt(value []byte) string {
	const most = 200
	if !utf8.Valid(value) {
		return fmt.Sprintf("%d bytes that are not text", len(value))
	}
	runes := []rune(string(value[:min(len(value), most*utf8.UTFMax)]))
	if len(runes) <= most && len(value) <= most*utf8.UTFMax {
		return shown(string(value))
	}
	return shown(string(runes[:min(most, len(runes))])) + fmt.Sprintf("… (%d bytes)", len(value))
}

// moment is a time in JSON; a time that is not known is empty.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// when is a time for people.
func when(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 MST")
}

// expiresText is an addition to what is said of a value; empty if it stays.
func expiresText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", expires " + when(t)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// list keeps empty lists [] in JSON.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
