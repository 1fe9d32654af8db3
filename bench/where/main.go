package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "where:", err)
		os.Exit(1)
	}
}

// run shares the samples of in out among the floors.
func run(in io.Reader, out io.Writer) error {
	all, err := readSamples(in)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no samples: give the output of perf script -F comm,ip,sym")
	}
	for _, row := range share(all) {
		if _, err := fmt.Fprintf(out, "%-8s %-12s %5.1f %%   of it system calls %4.1f, allocating %4.1f\n",
			row.program, row.floor, row.all, row.calls, row.mallocs); err != nil {
			return err
		}
	}
	return nil
}
