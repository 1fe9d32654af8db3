package table_test

import (
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/bench/peers/table"
)

// TestTheReport holds the report to its file. After a wanted change:
//
//	go test ./table -update
func TestTheReport(t *testing.T) {
	const file = "testdata/report.md"
	r := report()
	if got := r.Markdown(); flag.Lookup("update").Value.String() == "true" {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	} else {
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
	}
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write testdata anew")
	flag.Parse()
	os.Exit(m.Run())
}

func report() table.Report {
	samples := []table.Sample{
		{Question: "kindred/put@64", Round: 1, Operations: 5, Throughput: 1234567, CPU: 12.34, P50: 0.0123, P99: 1.234, P999: 123.4},
		{Question: "kindred/put@64", Round: 2, Operations: 5, Failed: 2, Throughput: 999, CPU: 14.34, P50: 0.0143, P99: 1.434, P999: 143.4, Failure: "it was\nfull"},
		{Question: "peer/put@64", Round: 1, Operations: 5, Throughput: 100, CPU: 6.17},
		{Question: "peer/put@64", Round: 2, Operations: 5, Throughput: 333, CPU: 14.34},
		{Question: "late/put@open", Round: 1, Operations: 5, NotStarted: 3, Throughput: 10},
		{Question: "dead/put@64", Round: 1, Failed: 1, Failure: "no route"},
	}
	bars := []table.Bar{
		{Number: "1", Says: "CPU / peer", Over: table.One("kindred/put@64", table.CPU), Under: table.One("peer/put@64", table.CPU), Gate: 1.6, Stretch: 1.5},
		{Number: "1", Says: "throughput / peer", Over: table.One("kindred/put@64", table.Throughput), Under: table.One("peer/put@64", table.Throughput), AtLeast: true, Gate: 9000},
		{Number: "2", Says: "p99 / p50", Over: table.One("kindred/put@64", table.P99), Under: table.One("kindred/put@64", table.P50), Gate: 101},
		{Number: "3", Says: "CPU / nobody", Over: table.One("kindred/put@64", table.CPU), Under: table.One("nobody/put@64", table.CPU), Gate: 1},
		{Number: "4", Says: "CPU / the dead", Over: table.One("kindred/put@64", table.CPU), Under: table.One("dead/put@64", table.CPU)},
	}
	return table.Report{
		Machine:  []table.Fact{{"cores", "2"}},
		Settings: []table.Fact{{"rounds", "2"}},
		Rows: []table.Row{
			{"kindred/put@64", "2 of 3"}, {"peer/put@64", "1 of 3"}, {"late/put@open", "1 of 3"}, {"dead/put@64", "1 of 3"},
		},
		Missing: []table.Missing{{"absent", "nobody has it"}},
		Idle:    []table.Fact{{"kindred", "0.1 % of a core"}},
		Samples: samples,
		Bars:    table.Judge(bars, samples),
	}
}
