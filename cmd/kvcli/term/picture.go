package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Redraws reports whether lines can be drawn again in place: on a terminal that is not
// dumb. It may have no colours all the same.
func Redraws(w io.Writer, getenv func(string) string) bool {
	return IsTerminal(w) && getenv("TERM") != "dumb"
}

// Span is a piece of a line, and its colour.
type Span struct {
	Text  string
	Paint func(string) string
}

// Fit joins pieces to a line of at most so many letters, which colours do not change.
func Fit(width int, spans ...Span) string {
	var b strings.Builder
	for _, s := range spans {
		text := []rune(s.Text)
		text = text[:min(len(text), width)]
		width -= len(text)
		if s.Paint == nil || len(text) == 0 {
			b.WriteString(string(text))
			continue
		}
		b.WriteString(s.Paint(string(text)))
	}
	return b.String()
}

// Pad fills a text up with blanks.
func Pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// Picture is the last lines of a terminal, drawn again in place. The zero value with a
// writer is one that was not drawn yet.
type Picture struct {
	W     io.Writer
	drawn int
}

// Show draws the lines, which have to be shorter than the terminal is wide, in the place
// of those before. What the terminal is too low for is left out.
func (p *Picture) Show(lines []string) {
	if rows := height(p.W); len(lines) >= rows {
		lines = lines[:rows-1]
	}
	var b strings.Builder
	p.up(&b)
	for _, l := range lines {
		b.WriteString(l + "\x1b[K\n") // what was longer there before goes
	}
	b.WriteString("\x1b[J")
	io.WriteString(p.W, b.String())
	p.drawn = len(lines)
}

// Wipe removes the picture, so that something else can be written above it.
func (p *Picture) Wipe() {
	var b strings.Builder
	p.up(&b)
	io.WriteString(p.W, b.String()+"\x1b[J")
	p.drawn = 0
}

func (p *Picture) up(b *strings.Builder) {
	if p.drawn > 0 {
		fmt.Fprintf(b, "\x1b[%dA", p.drawn)
	}
}

// heightDefault is that of a stream which does not know its own.
const heightDefault = 24

func height(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return heightDefault
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Row < 2 {
		return heightDefault
	}
	return int(size.Row)
}
