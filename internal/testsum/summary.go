package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// event is one line of go test -json; see go doc test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output and build-fail
	Test       string
	Output     string
	Elapsed    float64
}

// summarize reads the events of one go test -json and writes what people read.
// A line that is no event is shown as it is.
func summarize(events io.Reader, out io.Writer) (count, error) {
	r := bufio.NewReader(events)
	s := summary{out: out, packages: map[string]*pkg{}}
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if jsonErr := json.Unmarshal(line, &e); jsonErr != nil || e.Action == "" {
				fmt.Fprintf(out, "%s", line)
			} else {
				s.add(e)
			}
		}
		if err == io.EOF {
			return s.total, nil
		}
		if err != nil {
			return s.total, err
		}
	}
}

type summary struct {
	out      io.Writer
	packages map[string]*pkg
	total    count
}

// pkg is a package whose tests are running.
type pkg struct {
	tests map[string]*test
	// order keeps unfinished tests in the order in which they began.
	order  []string
	output strings.Builder
	count  count
}

// test is one test or subtest.
type test struct {
	output      strings.Builder
	done        bool
	hasChild    bool
	childFailed bool
}

func (s *summary) add(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(s.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := s.packages[e.Package]
	if p == nil {
		p = &pkg{tests: map[string]*test{}}
		s.packages[e.Package] = p
	}
	if e.Test != "" {
		p.addTest(s.out, e)
		return
	}
	switch e.Action {
	case "output":
		p.output.WriteString(e.Output)
	case "pass", "fail", "skip":
		p.finish(s.out, e)
		s.total.add(p.count)
		delete(s.packages, e.Package)
	}
}

// addTest takes an event of a test. Leaves are counted, not the tests that only
// group them; a group that fails by itself is counted too.
func (p *pkg) addTest(out io.Writer, e event) {
	t := p.test(e.Test)
	switch e.Action {
	case "output":
		t.output.WriteString(e.Output)
	case "pass":
		t.done = true
		if !t.hasChild {
			p.count.passed++
		}
	case "skip":
		t.done = true
		p.count.skipped++
	case "fail":
		t.done = true
		if !t.childFailed {
			p.count.failed++
		}
		for name := range parents(e.Test) {
			p.test(name).childFailed = true
		}
		fmt.Fprintf(out, "\n=== %s %s\n%s", e.Package, e.Test, t.output.String())
	}
	if t.done {
		t.output.Reset() // a long run keeps no output of what passed
	}
}

func (p *pkg) test(name string) *test {
	t := p.tests[name]
	if t == nil {
		t = &test{}
		p.tests[name] = t
		p.order = append(p.order, name)
		for parent := range parents(name) {
			p.test(parent).hasChild = true
		}
	}
	return t
}

// parents yields the tests that a subtest belongs to, the nearest first.
func parents(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(name, '/'); i >= 0; i = strings.LastIndexByte(name, '/') {
			name = name[:i]
			if !yield(name) {
				return
			}
		}
	}
}

// finish prints the line of a package, and everything it said if it failed
// outside a test: a panic, a time limit, a build.
func (p *pkg) finish(out io.Writer, e event) {
	if e.Action == "fail" && p.count.failed == 0 {
		p.count.failed++
		fmt.Fprintf(out, "\n=== %s\n", e.Package)
		for _, name := range p.order {
			if t := p.tests[name]; !t.done {
				fmt.Fprintf(out, "--- unfinished: %s\n%s", name, t.output.String())
			}
		}
		fmt.Fprint(out, p.output.String())
	}
	if p.count == (count{}) && e.Action != "fail" {
		return // no test files
	}
	fmt.Fprintf(out, "%-6s %s  %s  %.1fs\n", p.count.verdict(), e.Package, p.count, e.Elapsed)
}
