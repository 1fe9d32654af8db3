package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lines reads a file line by line, each at most max bytes long.
type lines struct {
	in   *bufio.Reader
	max  int
	what string // what max is
	line int    // the number of the last line, from 1
}

func newLines(r io.Reader, bytesMax int, what string) *lines {
	return &lines{in: bufio.NewReaderSize(r, 64<<10), max: bytesMax, what: what}
}

// next is the next line that is not empty, without blanks around it.
func (l *lines) next() ([]byte, error) {
	for {
		b, err := l.read()
		if err != nil {
			return nil, err
		}
		if b = bytes.TrimSpace(b); len(b) > 0 {
			return b, nil
		}
	}
}

// read reads one line; the rest of one that is too long is thrown away, and the
// row with it.
func (l *lines) read() ([]byte, error) {
	l.line++
	var line []byte
	tooLong := false
	for {
		part, err := l.in.ReadSlice('\n')
		if tooLong = tooLong || len(line)+len(part) > l.max; !tooLong {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !tooLong):
			return nil, err
		case tooLong:
			return nil, &RowError{Line: l.line, Problem: fmt.Sprintf("longer than %d bytes, %s", l.max, l.what)}
		}
		return line, nil
	}
}
