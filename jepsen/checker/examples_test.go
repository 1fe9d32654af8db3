package checker

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	kindred "github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
)

var updateFlag = flag.Bool("update", false, "write the judgements of testdata/*.txt anew; read the difference before you commit it")

// TestExamples judges the histories of testdata/*.txt, which also are the
// tutorial of this package. An example is a heading, what happened, and after
// "--" the judgement. A line of a history is
//
//	p1 put x w7 saw w3 w4 2/3 unknown      process 1 puts write 7 at key x, W=2 of n=3
//	p1 del x w8 saw w7                     a delete
//	p2 get x w3 w7 1/3 sloppy final        finds two siblings
//	p2 get x absent
//
// in the order of time: each op begins when the one before it has ended, unless
// "@10-30" says otherwise. "saw" is followed by the writes in the context.
// "dot=d", "tries=2" and "set=w1,w2" are what they say; w7:d is a sibling with
// its dot. The line "given tokens disks-kept" sets the options.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		parts := strings.Split(string(text), "\n== ")
		for i, part := range parts[1:] {
			name, rest, _ := strings.Cut(part, "\n")
			given, want, ok := strings.Cut(rest, "--\n")
			require.True(t, ok, "%s: %s: no judgement", file, name)
			t.Run(name, func(t *testing.T) {
				h, opts := parseExample(t, given)
				got := brief(Check(&h, opts))
				if *updateFlag {
					parts[i+1] = name + "\n" + given + "--\n" + got
					return
				}
				require.Equal(t, strings.TrimSpace(want), strings.TrimSpace(got))
			})
		}
		if *updateFlag {
			require.NoError(t, os.WriteFile(file, []byte(strings.Join(parts, "\n== ")), 0o600))
		}
	}
}

// brief is the report in a few lines: statuses, findings, reasons, counts.
func brief(r *Report) string {
	byStatus, byReason := map[Status]string{}, map[string]string{}
	var reasons, lines []string
	for _, v := range r.Verdicts {
		byStatus[v.Status] += " " + string(v.Property)
		for _, f := range v.Findings {
			lines = append(lines, f.String())
		}
		for _, reason := range v.Reasons {
			if reason == nothing {
				continue
			}
			if byReason[reason] == "" {
				reasons = append(reasons, reason)
			}
			byReason[reason] += " " + string(v.Property)
		}
	}
	var statuses []string
	for _, s := range []Status{Violated, OK, Unknown} {
		if byStatus[s] != "" {
			statuses = append(statuses, s.String()+byStatus[s])
		}
	}
	for _, reason := range reasons {
		lines = append(lines, "unknown"+byReason[reason]+": "+reason)
	}
	if n := r.Counts; n.Echoes+n.Vanished+n.Stale > 0 {
		lines = append(lines, fmt.Sprintf("counted: %d echoes, %d vanished, %d of %d exempt reads stale", n.Echoes, n.Vanished, n.Stale, n.Exempt))
	}
	return strings.Join(append([]string{strings.Join(statuses, ", ")}, lines...), "\n") + "\n"
}

func parseExample(t *testing.T, text string) (h history.History, opts Options) {
	now := time.Duration(0)
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
			continue
		case words[0] == "given":
			opts.Tokens = slices.Contains(words, "tokens")
			opts.DisksKept = slices.Contains(words, "disks-kept")
			continue
		}
		op := history.Op{Invoke: now, Complete: now + 10, Outcome: kindred.Applied, Bucket: "b", Key: words[2], Attempts: 1}
		_, err := fmt.Sscanf(words[0], "p%d", &op.Process)
		require.NoError(t, err, line)
		op.Kind = map[string]history.Kind{"get": history.Get, "put": history.Put, "del": history.Delete}[words[1]]
		parseWords(t, &op, words[3:])
		now = max(now, op.Complete+10)
		h.Ops = append(h.Ops, op)
	}
	return h, opts
}

func parseWords(t *testing.T, op *history.Op, words []string) {
	saw := false
	for _, word := range words {
		name, value, _ := strings.Cut(word, "=")
		switch {
		case word == "saw":
			saw = true
		case word == "final":
			op.Final = true
		case word == "sloppy":
			op.Sloppy = true
		case word == "unknown":
			op.Outcome = kindred.Unknown
		case word == "refused":
			op.Outcome = kindred.NotApplied
		case word == "absent":
		case word[0] == '@':
			_, err := fmt.Sscanf(word, "@%d-%d", &op.Invoke, &op.Complete)
			require.NoError(t, err, word)
		case name == "dot":
			op.Dot = value
		case name == "tries":
			var err error
			op.Attempts, err = strconv.Atoi(value)
			require.NoError(t, err, word)
		case name == "set":
			for w := range strings.SplitSeq(value, ",") {
				op.Siblings[len(op.Siblings)-1].Set = append(op.Siblings[len(op.Siblings)-1].Set, writeID(t, w))
			}
		case word[0] == 'w':
			id, dot, _ := strings.Cut(word, ":")
			switch {
			case op.Kind == history.Get:
				op.Siblings = append(op.Siblings, history.Sibling{Write: writeID(t, id), Dot: dot})
			case saw:
				op.Seen = append(op.Seen, writeID(t, id))
			default:
				op.Write = writeID(t, id)
			}
		default:
			_, err := fmt.Sscanf(word, "%d/%d", &op.Need, &op.N)
			require.NoError(t, err, word)
		}
	}
}

func writeID(t *testing.T, word string) history.WriteID {
	var id history.WriteID
	_, err := fmt.Sscanf(word, "w%d", &id)
	require.NoError(t, err, word)
	return id
}
