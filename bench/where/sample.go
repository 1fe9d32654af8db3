package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// sample is one look at a thread.
type sample struct {
	program string
	// stack is the names of functions, innermost first.
	stack []string
}

// lineBytesMax is the longest line: names of generic functions are long.
const lineBytesMax = 1 << 20

// readSamples reads what perf script -F comm,ip,sym writes: the name of the program,
// then a line for each frame, of an address and a name, then an empty line.
func readSamples(in io.Reader) ([]sample, error) {
	var all []sample
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, lineBytesMax)
	inside := false
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		switch {
		case strings.TrimSpace(line) == "":
			inside = false
		case !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, " "):
			all = append(all, sample{program: strings.Fields(line)[0]})
			inside = true
		case !inside:
			return nil, fmt.Errorf("line %d is a frame of no sample", n)
		default:
			_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			last := &all[len(all)-1]
			last.stack = append(last.stack, strings.TrimSpace(name))
		}
	}
	return all, lines.Err()
}

// calls reports whether the sample is of a system call.
func (s sample) calls() bool { return s.has("entry_SYSCALL_64", "do_syscall_64", "el0_svc") }

// mallocs reports whether it is of an allocation.
func (s sample) mallocs() bool {
	return s.has("runtime.mallocgc", "runtime.newobject", "runtime.growslice", "runtime.makeslice")
}

func (s sample) has(prefixes ...string) bool {
	for _, name := range s.stack {
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) {
				return true
			}
		}
	}
	return false
}
