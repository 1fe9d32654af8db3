package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred/bench/load"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

func (a *app) benchCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use: "compare A.json,… B.json,…", Short: "Compare the documents of two sets of runs", Args: cobra.ExactArgs(2),
		Long: `Compare prints what the runs of B measured relative to those of A: for each number
the geometric means, their ratio, and between which ratios all pairs of runs lie.

Give several runs of each side, with commas between the files or one after another
in one file: single runs differ by chance, and only several show by how much. A ratio
counts as higher or lower when every run of B lies on that side of every run of A.`,
		Example: `  kvcli bench compare before.json after.json
  kvcli bench compare a1.json,a2.json,a3.json b1.json,b2.json,b3.json
  kvcli bench compare a1.json,a2.json b1.json,b2.json -o json`,
		RunE: func(_ *cobra.Command, args []string) error {
			var sides [2][]load.Report
			for i, list := range args {
				var err error
				if sides[i], err = readReports(list); err != nil {
					return err
				}
			}
			doc := load.Compare(sides[0], sides[1])
			return a.print(doc, func(w io.Writer) error { return a.writeComparison(w, &doc) })
		},
	}
}

func readReports(list string) ([]load.Report, error) {
	var all []load.Report
	for _, path := range splitList(list) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		reports, err := load.ReadReports(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, reports...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%q names no file: use A1.json,A2.json,…", list)
	}
	return all, nil
}

func (a *app) writeComparison(w io.Writer, c *load.Comparison) error {
	st := a.style()
	t := table{header: []string{"", "unit", fmt.Sprintf("A (%s)", term.Counted(int64(c.RunsA), "run")), fmt.Sprintf("B (%s)", term.Counted(int64(c.RunsB), "run")), "B/A", "between", ""}}
	for _, r := range c.Ratios {
		t.add(plainCells(r.What, r.Unit, digits(r.A.Middle), digits(r.B.Middle),
			fmt.Sprintf("%.3f", r.Ratio), fmt.Sprintf("%.3f and %.3f", r.Low, r.High), string(r.Verdict))...)
	}
	if err := t.write(w); err != nil {
		return err
	}
	for _, d := range c.Differences {
		if _, err := fmt.Fprintln(w, st.Warn("mind: "+d)); err != nil {
			return err
		}
	}
	return nil
}

// digits shows four of them.
func digits(v float64) string { return fmt.Sprintf("%.4g", v) }
