package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// stream prints a long list as it comes, and what is said of the whole at the end:
// for people line by line, in JSON as one document with the list first.
type stream struct {
	*app
	name string // of the list
	any  bool
}

func (s *stream) add(item any, line func(w io.Writer) error) error {
	if s.output == asTable {
		return line(s.out)
	}
	b, err := marshal(item)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(s.out, s.opening()+"\n    "); err != nil {
		return err
	}
	_, err = s.out.Write(b)
	return err
}

// opening goes before an item.
func (s *stream) opening() string {
	if s.any {
		return ","
	}
	s.any = true
	return fmt.Sprintf("{\n  %q: [", s.name)
}

// end prints what is said of the whole, an object.
func (s *stream) end(sums any, line func(w io.Writer) error) error {
	if s.output == asTable {
		return line(s.out)
	}
	b, err := marshal(sums)
	if err != nil {
		return err
	}
	closing := "\n  ],\n  "
	if !s.any {
		closing = s.opening() + "],\n  "
	}
	_, err = fmt.Fprintf(s.out, "%s%s\n}\n", closing, bytes.Trim(b, "{}"))
	return err
}

// marshal is JSON on one line, with <, > and & as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// progressBeside is progress of a command that prints results meanwhile: on a
// terminal only, and not where the two would be mixed up.
func (a *app) progressBeside(what string, quiet bool) *term.Progress {
	if !quiet && term.IsTerminal(a.out) {
		return term.NewProgress(io.Discard, what)
	}
	return term.NewProgress(a.errOut, what)
}
