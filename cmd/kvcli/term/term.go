// Package term knows what a terminal is: colours, and a progress line that is
// rewritten in place. Where the output is no terminal there is neither.
package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// IsTerminal reports whether a reader or writer is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// Style colours text, or leaves it alone.
type Style struct{ on bool }

// StyleFor colours on a terminal, unless NO_COLOR is set to anything
// (https://no-color.org) or the terminal says that it is dumb.
func StyleFor(w io.Writer, getenv func(string) string) Style {
	return Style{on: IsTerminal(w) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

// Colours is the style of a terminal that has them.
func Colours() Style { return Style{on: true} }

func (s Style) paint(code, text string) string {
	if !s.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Bold, Dim, Good, Warn and Bad say what a text means rather than its colour.
func (s Style) Bold(t string) string { return s.paint("1", t) }
func (s Style) Dim(t string) string  { return s.paint("2", t) }
func (s Style) Good(t string) string { return s.paint("32", t) }
func (s Style) Warn(t string) string { return s.paint("33", t) }
func (s Style) Bad(t string) string  { return s.paint("31", t) }

// Progress shows on a terminal how far some work has come. It is safe for many
// goroutines.
type Progress struct {
	w        io.Writer
	terminal bool
	what     string
	begin    time.Time

	mu    sync.Mutex
	shown time.Time
	wide  int // letters of the line on the terminal
}

// showEvery is how often the line is rewritten.
const showEvery = 100 * time.Millisecond

// NewProgress begins. What is counted is named by a plural: "records".
func NewProgress(w io.Writer, what string) *Progress {
	now := time.Now()
	return &Progress{w: w, terminal: IsTerminal(w), what: what, begin: now, shown: now}
}

// Step says that done of total are done. A total of 0 is unknown.
func (p *Progress) Step(done, total int64) {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Sub(p.shown) < showEvery {
		return
	}
	p.shown = now
	p.show(Line(p.what, done, total, now.Sub(p.begin)))
}

// Say shows a line of one's own.
func (p *Progress) Say(line string) {
	if !p.terminal {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if columns := Width(p.w); len(line) >= columns {
		line = line[:columns-1]
	}
	p.show(line)
}

func (p *Progress) show(line string) {
	fmt.Fprintf(p.w, "\r%s%s", line, strings.Repeat(" ", max(0, p.wide-len(line))))
	p.wide = len(line)
}

// End removes the line from a terminal.
func (p *Progress) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wide > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.wide))
	}
	p.wide = 0
}

// Line is one state of progress in words, with the rate so far and, if the
// total is known, the time that the rest takes at that rate.
func Line(what string, done, total int64, elapsed time.Duration) string {
	rate := Rate(done, elapsed)
	if total <= 0 {
		return fmt.Sprintf("%s %s, %s/s", Count(done), what, Count(int64(rate)))
	}
	line := fmt.Sprintf("%s of %s %s (%d %%), %s/s", Count(done), Count(total), what, 100*done/total, Count(int64(rate)))
	if rate > 0 && done < total {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return line
}

// Rate is done per second.
func Rate(done int64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return float64(done) / elapsed.Seconds()
}

// Count writes a number with commas: 34,032.
func Count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Counted writes a number and what there are so many of: 1 key, 2 keys.
func Counted(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + one + "s"
}

// Bytes is a size for people: 3.4 MiB.
func Bytes(n uint64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/1024, 0
	for size >= 1024 && unit < 4 {
		size, unit = size/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", size, "KMGTP"[unit])
}
