package term

import (
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// widthDefault is that of a stream which does not know its own.
const widthDefault = 80

// Width is how many letters fit on a line of a terminal.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return widthDefault
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return widthDefault
	}
	return int(size.Col)
}

// between sets columns apart.
const between = " │ "

// Columns sets columns of lines side by side, each as wide as the others, all of
// them within width letters. Long lines are wrapped. A line that is the same in
// all columns is painted by same, any other by different.
func Columns(width int, columns [][]string, same, different func(string) string) []string {
	each := max(1, (width-utf8.RuneCountInString(between)*(len(columns)-1))/len(columns))
	rows := 0
	for _, c := range columns {
		rows = max(rows, len(c))
	}
	var out []string
	for r := range rows {
		row := make([]string, len(columns))
		for i, c := range columns {
			if r < len(c) {
				row[i] = c[r]
			}
		}
		paint := different
		if !slices.ContainsFunc(row, func(s string) bool { return s != row[0] }) {
			paint = same
		}
		out = append(out, sideBySide(each, row, paint)...)
	}
	return out
}

// sideBySide is one row of columns, of as many lines as its longest cell needs.
func sideBySide(each int, row []string, paint func(string) string) []string {
	cells, lines := make([][]string, len(row)), 1
	for i, text := range row {
		cells[i] = wrap(each, text)
		lines = max(lines, len(cells[i]))
	}
	out := make([]string, lines)
	for n := range out {
		parts := make([]string, len(cells))
		for i, c := range cells {
			text := ""
			if n < len(c) {
				text = c[n]
			}
			blank := strings.Repeat(" ", each-utf8.RuneCountInString(text))
			if i == len(cells)-1 {
				blank = ""
			}
			if text != "" {
				text = paint(text)
			}
			parts[i] = text + blank
		}
		out[n] = strings.TrimRight(strings.Join(parts, between), " ")
	}
	return out
}

// wrap cuts a text into pieces of so many letters.
func wrap(letters int, text string) []string {
	var out []string
	for runes := []rune(text); len(runes) > 0; {
		n := min(letters, len(runes))
		out, runes = append(out, string(runes[:n])), runes[n:]
	}
	return out
}
