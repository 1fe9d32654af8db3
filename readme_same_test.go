package kindred_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mask replaces what differs from run to run.
type mask struct {
	pattern *regexp.Regexp
	by      string
}

// varying is what differs from run to run in lines for people, each with what is
// around it: statuses, exit codes, limits and counts are none of it.
var varying = []mask{
	{regexp.MustCompile(`\b[0-9a-f]{32}:[0-9]+\b`), "DOT"},
	{regexp.MustCompile(`\b[0-9a-f]{60}\b`), "BOUNDARY"},
	{regexp.MustCompile(`\b(context|clock) \{[^}]*\}`), "$1 {}"}, // dots, as many as coordinators
	{regexp.MustCompile(`--context [A-Za-z0-9_-]{40,}`), "--context CONTEXT"},
	{regexp.MustCompile(`\blayout ([0-9]+)-[0-9a-f]{16}\b`), "layout $1-X"},
	{regexp.MustCompile(`\b20[2-8][0-9]-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(\.[0-9]+)?( UTC|Z)`), "TIME"},
	{regexp.MustCompile(`\b(running|paused) +[0-9]+\b`), "$1 PID"},
	{regexp.MustCompile(`\(process [0-9]+\)`), "(process PID)"},
	{regexp.MustCompile(`\bin [0-9.]+(µs|ms|s)( \([0-9,]+/s\))?`), "in T"},
	{regexp.MustCompile(`\bafter [0-9]+\.[0-9] s\b`), "after T"},
	{regexp.MustCompile(`\b(through|asked|by) n[0-9]\b`), "$1 NODE"},
	{regexp.MustCompile(`\bon n[0-9], n[0-9], n[0-9]\b`), "on three nodes"},
	{regexp.MustCompile(`\bon n[0-9], n[0-9]\b`), "on two nodes"},
	{regexp.MustCompile(`\b[0-9,]+ bytes in all\b|\b[0-9,]+ bytes, in\b`), "BYTES"}, // contexts and names differ in length
	{regexp.MustCompile(`^[1-9][0-9]* hints, `), "HINTS, "},                         // of a write that a node took in its last moment there is none
	{regexp.MustCompile(`^(Kindred-Causes: blind),beside$`), "$1"},                  // whether the node had heard of the other value yet
	{regexp.MustCompile(` +`), " "},                                                 // columns are as wide as their widest value
	{regexp.MustCompile(`^[0-9] ([a-z]+)$`), "# $1"},                                // siblings are numbered in the order of random names
	{regexp.MustCompile(`^(n[0-9] yes(?: [0-9]+){6}) [0-9]+`), "$1 AUDITED"},        // audits come by themselves
}

// varyingFields are the fields of documents that differ from run to run. Which
// fields a document has, and what all others hold, does not.
var varyingFields = map[string]bool{
	"context": true, "dot": true, "written_at": true, "changed_at": true, "cursor": true,
}

// measured is what differs besides in the lines of a benchmark: all numbers, but
// that nothing failed, and what was asked for.
var (
	measures = regexp.MustCompile(`kvcli bench (--profile|compare) `)
	settings = regexp.MustCompile(`loop of|\(3 runs\)`)
	measured = []mask{
		{regexp.MustCompile(`^[0-9,]+ operations in [0-9.]+ s: [0-9,]+/s, 0 failed$`), "OPERATIONS, 0 failed"},
		{regexp.MustCompile(`(^|[ (])[0-9][0-9,.]*(e[+-][0-9]+)?(/s| (µs|ms|s|[kMG]?B)\b)?`), "${1}N"},
		{regexp.MustCompile(`\b(within the spread|higher|lower)$`), "VERDICT"},
	}
)

// inAnyOrder are the commands that list siblings and replicas, whose order is that of
// random names.
var inAnyOrder = regexp.MustCompile(`kvcli get |key inspect|multipart/mixed`)

// same compares what the page shows with what a command printed, line by line.
func same(command, want, got string) bool {
	wanted, found := masked(command, want), masked(command, kept(want, got))
	if inAnyOrder.MatchString(command) {
		slices.Sort(wanted)
		slices.Sort(found)
	}
	return slices.Equal(wanted, found)
}

// kept is what was printed, with the shortened lines of the page in place of
// those that they stand for.
func kept(want, got string) string {
	lines := strings.SplitAfter(got, "\n")
	for _, short := range strings.SplitAfter(want, "\n") {
		prefix, cut := strings.CutSuffix(strings.TrimSuffix(short, "\n"), "…")
		for i, line := range lines {
			if cut && strings.HasPrefix(line, prefix) {
				lines[i] = prefix + "…\n" // also at the end of a block, which has no line feed
			}
		}
	}
	return strings.Join(lines, "")
}

// masked makes lines comparable: what differs from run to run is replaced.
func masked(command, s string) []string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, line := range lines {
		lines[i] = maskedLine(line)
		if measures.MatchString(command) && !settings.MatchString(lines[i]) {
			lines[i] = replaced(lines[i], measured)
		}
	}
	return lines
}

func maskedLine(line string) string {
	var document map[string]any
	if json.Unmarshal([]byte(line), &document) == nil {
		return printed(maskedDocument(document))
	}
	return strings.TrimSpace(replaced(line, varying))
}

func replaced(line string, masks []mask) string {
	for _, m := range masks {
		line = m.pattern.ReplaceAllString(line, m.by)
	}
	return line
}

// maskedDocument is a document in which what varies says only whether it is
// there. Siblings are in the order of random names.
func maskedDocument(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, field := range v {
			if text, ok := field.(string); ok && varyingFields[name] && text != "" {
				v[name] = "VARIES"
				continue
			}
			v[name] = maskedDocument(field)
		}
		if causes, ok := v["causes"].([]any); ok { // whether the node had heard of the other value yet
			v["causes"] = slices.DeleteFunc(causes, func(c any) bool { return c == "beside" })
		}
		if list, ok := v["siblings"].([]any); ok {
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(printed(a), printed(b)) })
		}
	case []any:
		for i := range v {
			v[i] = maskedDocument(v[i])
		}
	}
	return v
}

func printed(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// TestTheComparison: what a page says is compared but for what varies, so a wrong
// status, exit code, count or field does not pass.
func TestTheComparison(t *testing.T) {
	const dot, other = "3335adbc8f47248d335cf118eae58091:1", "787308f1446398591a374d3f63d9eb6a:22"
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"204\n", "204\n", true},
		{"204\n", "503\n", false},
		{"x\n(exit code 5)", "x\n(exit code 0)", false},
		{"healthy after 0.1 s", "healthy after 12.3 s", true},
		{"503, retry after 1 s", "503, retry after 2 s", false},
		{"n1 running 4443 z1 127.0.0.1:7400", "n1    running  28197  z1    127.0.0.1:7400", true},
		{"n1 running 4443 z1 127.0.0.1:7400", "n1 running 4443 z1 127.0.0.1:7401", false},
		{"n1 running 4443 z1", "n1 stopped - z1", false},
		{"stored a/b: replicated on n1, n2", "stored a/b: replicated on n3, n1", true},
		{"stored a/b: replicated on n1, n2", "stored a/b: replicated on n3, n1, n2", false},
		{"problem: n2 cannot be asked", "problem: n3 cannot be asked", false},
		{"n1 yes 256 256 0 0 0 256 0 0", "n1 yes 256 256 0 0 0 256 17 0", true},
		{"n1 yes 256 256 0 0 0 256 0 0", "n1 yes 256 256 0 0 0 256 0 3", false},
		{"it has 4097 bytes, the limit is 4096", "it has 4097 bytes, the limit is 4095", false},
		{`{"dot":"` + dot + `","limit":8}`, `{"limit":8,"dot":"` + other + `"}`, true},
		{`{"dot":"` + dot + `","limit":8}`, `{"limit":9,"dot":"` + dot + `"}`, false},
		{`{"dot":"` + dot + `"}`, `{"dot":""}`, false},
		{`{"dot":"","field":"w"}`, `{"dot":"","field":"r"}`, false},
		{`{"dot":"","field":"w"}`, `{"dot":""}`, false},
		{`{"error":{"code":"timeout","message":"put: 1 …`, `{"error":{"code":"timeout","message":"put: 1 of 3"}}`, true},
		{`{"error":{"code":"timeout","message":"put: 1 …`, `{"error":{"code":"internal","message":"put: 1 of 3"}}`, false},
		{"first\nsecond", "second\nfirst", false},
		{"12 hints, 960 bytes in all", "11 hints, 880 bytes in all", true},
		{"12 hints, 960 bytes in all", "0 hints, 0 bytes in all", false},
		{"Kindred-Causes: blind,beside", "Kindred-Causes: blind", true},
		{"Kindred-Causes: blind,beside", "Kindred-Causes: merge", false},
		{`{"causes":["blind","beside"]}`, `{"causes":["blind"]}`, true},
		{`{"causes":["blind","beside"]}`, `{"causes":["merge"]}`, false},
	} {
		require.Equal(t, c.same, same("curl -s http://127.0.0.1", c.want, c.got), "%s\nand\n%s", c.want, c.got)
	}
	const bench = "./bin/kvcli bench --profile ycsb-a "
	require.True(t, same(bench, "get  9,125  4,562  0  1.21 ms", "get 13 4 0 121 µs"))
	require.True(t, same(bench, "9 operations in 2.0 s: 4/s, 0 failed", "1,800 operations in 2.1 s: 900/s, 0 failed"))
	require.False(t, same(bench, "9 operations in 2.0 s: 4/s, 0 failed", "9 operations in 2.0 s: 4/s, 3 failed"))
	require.False(t, same(bench, "closed loop of 16 callers", "closed loop of 17 callers"))
}
