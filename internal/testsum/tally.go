package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// count is how many tests ended how.
type count struct{ passed, failed, skipped int }

func (c *count) add(d count) {
	c.passed += d.passed
	c.failed += d.failed
	c.skipped += d.skipped
}

// String leaves out what is zero, but never says nothing.
func (c count) String() string {
	s := fmt.Sprintf("%d passed", c.passed)
	if c.failed > 0 {
		s += fmt.Sprintf(", %d FAILED", c.failed)
	}
	if c.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.skipped)
	}
	return s
}

func (c count) verdict() string {
	if c.failed > 0 {
		return "FAILED"
	}
	return "ok"
}

// appendTally adds the line of one stage.
func appendTally(file, stage string, c count) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%d %d %d %s\n", c.passed, c.failed, c.skipped, stage)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// printTotal prints every stage and the sum. A tally that is missing or empty
// means that nothing ran, which is a failure and not a clean sheet.
func printTotal(out io.Writer, file string) (failed bool, err error) {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return false, err
	}
	var total count
	for line := range strings.Lines(string(text)) {
		var c count
		counts, stage, ok := cutStage(line)
		if _, err := fmt.Sscan(counts, &c.passed, &c.failed, &c.skipped); err != nil || !ok {
			return false, fmt.Errorf("%s: %q is not a line of a tally", file, line)
		}
		fmt.Fprintf(out, "%-6s %-24s %s\n", c.verdict(), stage, c)
		total.add(c)
	}
	if len(text) == 0 {
		fmt.Fprintln(out, "nothing ran")
		total.failed++
	}
	if total.skipped > 0 {
		fmt.Fprintf(out, "%d skipped\n", total.skipped)
	}
	fmt.Fprintf(out, "%d passed, %d failed\n", total.passed, total.failed)
	return total.failed > 0, nil
}

// cutStage splits the three counts of a line from the name behind them.
func cutStage(line string) (counts, stage string, ok bool) {
	parts := strings.SplitN(strings.TrimSpace(line), " ", 4)
	if len(parts) < 4 {
		return line, "", false
	}
	return strings.Join(parts[:3], " "), parts[3], true
}
