package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

const (
	// columnMin is how narrow a column may be, in letters; siblings that would
	// need narrower ones are shown one below another.
	columnMin = 24
	// choiceLinesMax bounds the lines that are shown of each value.
	choiceLinesMax = 60
)

// choose asks a person which value should remain: that of a sibling, by its
// place, or another one (kept is then -1).
func (a *app) choose(ctx context.Context, bucket, key string, obj *client.Object) (kept int, value string, err error) {
	a.showChoice(bucket, key, obj)
	lines := bufio.NewReader(a.stdin(ctx))
	for {
		fmt.Fprintf(a.errOut, "\nKeep which? 1 to %d; v to write another value; q to leave them all: ", len(obj.Siblings))
		answer, more, err := answerOf(lines)
		if err != nil {
			return 0, "", err
		}
		switch n, notNumber := strconv.Atoi(answer); {
		case answer == "v" && more:
			fmt.Fprint(a.errOut, "The value, on one line: ")
			if value, more, err = answerOf(lines); err != nil || more {
				return -1, value, err
			}
			return 0, "", leftAlone(bucket, key)
		case answer == "q" || !more:
			return 0, "", leftAlone(bucket, key)
		case notNumber == nil && n >= 1 && n <= len(obj.Siblings):
			return n - 1, "", nil
		}
	}
}

// leftAlone is an end with siblings still there.
func leftAlone(bucket, key string) error {
	return &result{exit: exitSiblings, code: "siblings", message: fmt.Sprintf("the siblings of %s/%s were left as they are", bucket, shown(key))}
}

// answerOf reads a line, and reports whether there was one.
func answerOf(lines *bufio.Reader) (line string, more bool, err error) {
	line, err = lines.ReadString('\n')
	if err != nil && err != io.EOF {
		return "", false, err
	}
	return strings.TrimRight(line, "\r\n"), err == nil || line != "", nil
}

// showChoice draws the siblings side by side where there is room.
func (a *app) showChoice(bucket, key string, obj *client.Object) {
	st := term.StyleFor(a.errOut, a.getenv)
	fmt.Fprintf(a.errOut, "%s has %d siblings, written concurrently.\n\n", st.Bold(bucket+"/"+shown(key)), len(obj.Siblings))
	width := term.Width(a.errOut)
	heads, values := make([][]string, len(obj.Siblings)), make([][]string, len(obj.Siblings))
	for i := range obj.Siblings {
		s := &obj.Siblings[i]
		heads[i], values[i] = choiceHead(i+1, s), choiceLines(s.Value)
	}
	if width/len(values) < columnMin {
		for i := range values {
			fmt.Fprintf(a.errOut, "%s\n%s\n\n", st.Bold(strings.Join(heads[i], "; ")), strings.Join(values[i], "\n"))
		}
		return
	}
	for _, line := range term.Columns(width, heads, st.Bold, st.Bold) {
		fmt.Fprintln(a.errOut, line)
	}
	fmt.Fprintln(a.errOut)
	for _, line := range term.Columns(width, values, func(t string) string { return t }, st.Warn) {
		fmt.Fprintln(a.errOut, line)
	}
}

func choiceHead(n int, s *kindred.Sibling) []string {
	return append([]string{fmt.Sprint(n), "through " + s.Node, when(s.WrittenAt)}, circumstances(s.Causes)...)
}

// choiceLines cuts a value into lines that can be compared; a JSON value is laid
// out first.
func choiceLines(value []byte) []string {
	if !utf8.Valid(value) {
		return []string{fmt.Sprintf("%d bytes that are not text", len(value))}
	}
	var laidOut bytes.Buffer
	if json.Indent(&laidOut, value, "", "  ") == nil {
		value = laidOut.Bytes()
	}
	lines := strings.Split(strings.TrimSuffix(string(value), "\n"), "\n")
	more := len(lines) - choiceLinesMax
	lines = lines[:min(len(lines), choiceLinesMax)]
	for i, line := range lines {
		lines[i] = shown(strings.ReplaceAll(line, "\t", "    "))
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("… and %s", counted(more, "line", "lines")))
	}
	return lines
}
