// Testsum runs a check, shows what people want to see of it, and keeps count.
//
//	testsum -tally FILE -stage NAME -- go test -json ./...
//	testsum -tally FILE -stage NAME -plain -- go vet ./...
//	testsum -tally FILE -stage NAME -empty -- gofmt -l .
//	testsum -tally FILE
//
// The first form reads the events of go test: one line per package, and the
// whole output of every test that failed. The second counts the command as one
// test, the third also takes any output for a failure. The last prints the sum
// of all stages; its last line is "N passed, N failed".
//
// It exists because a count that scripts read and output that people read do
// not mix well in a pipe, and because a run that could not even start must be
// counted as failed, not as nothing (I12).
//
// The exit code is 0 if the stage, or the whole tally, has no failure.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() {
	tally := flag.String("tally", "", "`file` that collects the counts of all stages")
	stage := flag.String("stage", "", "`name` of the check, as the tally shows it")
	plain := flag.Bool("plain", false, "the command is one test, judged by its exit code")
	empty := flag.Bool("empty", false, "as -plain, and any output is a failure")
	flag.Parse()
	failed, err := run(os.Stdout, *tally, *stage, *plain, *empty, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

func run(out io.Writer, tally, stage string, plain, empty bool, command []string) (failed bool, err error) {
	if tally == "" {
		return false, fmt.Errorf("no -tally file given")
	}
	if len(command) == 0 {
		return printTotal(out, tally)
	}
	if stage == "" {
		return false, fmt.Errorf("no -stage name given for %q", command)
	}
	start := time.Now()
	var c count
	if plain || empty {
		c, err = runPlain(out, command, empty)
	} else {
		c, err = runGoTest(out, command)
	}
	if err != nil {
		return false, err
	}
	fmt.Fprintf(out, "%-6s %s: %s in %s\n\n", c.verdict(), stage, c, time.Since(start).Round(100*time.Millisecond))
	return c.failed > 0, appendTally(tally, stage, c)
}

// runPlain runs a command that is one test by itself.
func runPlain(out io.Writer, command []string, empty bool) (count, error) {
	var seen bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout = io.MultiWriter(out, &seen)
	cmd.Stderr = cmd.Stdout
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(out, "%q: %v\n", command, err)
		return count{failed: 1}, nil
	}
	if empty && seen.Len() > 0 {
		return count{failed: 1}, nil
	}
	return count{passed: 1}, nil
}

// runGoTest runs go test -json and counts what it says. A command that fails
// without a failed test (it could not start, or not compile) is one failure.
func runGoTest(out io.Writer, command []string) (count, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = out
	events, err := cmd.StdoutPipe()
	if err != nil {
		return count{}, err
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(out, "%q: %v\n", command, err)
		return count{failed: 1}, nil
	}
	c, readErr := summarize(events, out)
	if err := cmd.Wait(); err != nil && c.failed == 0 {
		fmt.Fprintf(out, "%q: %v\n", command, err)
		c.failed++
	}
	return c, readErr
}
