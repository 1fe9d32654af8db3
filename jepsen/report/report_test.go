package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/report"
)

var update = flag.Bool("update", false, "write the golden files")

const ms = time.Millisecond

// small is a run of two clients and one fault in which everything held.
func small() *report.Run {
	put := func(process int, at time.Duration, id history.WriteID, seen ...history.WriteID) history.Op {
		return history.Op{
			Process: process, Invoke: at, Complete: at + 3*ms, Kind: history.Put, Bucket: "set", Key: "key-0", Write: id, Seen: seen,
			Outcome: kindred.Applied, Dot: fmt.Sprintf("n1:%d", id), N: 3, Need: 2, Node: "n1",
		}
	}
	get := func(process int, at time.Duration, final bool, ids ...history.WriteID) history.Op {
		op := history.Op{
			Process: process, Invoke: at, Complete: at + 2*ms, Kind: history.Get, Bucket: "set", Key: "key-0",
			Outcome: kindred.Applied, N: 3, Need: 2, Node: "n2", Final: final,
		}
		for _, id := range ids {
			op.Siblings = append(op.Siblings, history.Sibling{Write: id, Dot: fmt.Sprintf("n1:%d", id)})
		}
		return op
	}
	refused := put(1, 2100*ms, 9)
	refused.Outcome, refused.Dot, refused.Error, refused.Complete = kindred.NotApplied, "", "unavailable: 1 of 2 replicas answered", 4100*ms
	guest := put(0, 2500*ms, 3, 2)
	guest.Sloppy = true
	r := &report.Run{
		Version: "kvcli 1.2.3", Command: "kvcli jepsen run --workload set --nemesis cut --time 5s --seed 7", Seed: 7,
		Began: time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC), Asked: 5 * time.Second, Worked: 5 * time.Second, Ended: 5600 * ms,
		Nodes: []string{"n1", "n2", "n3"}, N: 3, R: 2, W: 2, Pause: 10 * ms,
		Nemeses: []report.Nemesis{{Name: "cut", Doc: "a minority and the others do not hear one another", Holds: "everything", Loses: "nothing"}},
		Faults:  []history.Fault{{Kind: "cut", What: "n3 | n1,n2", Begin: 2 * time.Second, End: 4 * time.Second, Ready: 4200 * ms}},
		Samples: []report.Sample{
			{At: 0, Replicas: 24}, {At: 2500 * ms, Replicas: 16, Open: 9, Hints: 4, Silent: 1},
			{At: 5 * time.Second, Replicas: 24, Open: 3, Hints: 1}, {At: 5250 * ms, Replicas: 24, Open: 1}, {At: 5500 * ms, Replicas: 24},
		},
		Rest: report.Rest{Begin: 5 * time.Second, Took: 400 * ms, Max: time.Minute},
		Parts: []report.Part{{Workload: "set", Bucket: "set", Doors: []string{"client library", "one node"}, Promised: checker.All(), History: history.History{
			Header: history.Header{Workload: "set", Seed: 7},
			Ops: []history.Op{
				put(0, 100*ms, 1), get(1, 200*ms, false, 1), put(0, 300*ms, 2, 1), get(0, 400*ms, false, 2),
				refused, guest, get(0, 2600*ms, false, 3), get(2, 5500*ms, true, 3), get(2, 5510*ms, true, 3),
			},
		}}},
	}
	return judged(r)
}

// judged lets the checkers judge.
func judged(r *report.Run) *report.Run {
	for i := range r.Parts {
		r.Parts[i].Report = *checker.Check(&r.Parts[i].History, checker.Options{Properties: r.Parts[i].Promised})
	}
	return r
}

// lossy is the same run, but the last reads show an older value and not the one that
// was acknowledged last.
func lossy() *report.Run {
	r := small()
	ops := r.Parts[0].History.Ops
	for i := range ops {
		if ops[i].Final {
			ops[i].Siblings = []history.Sibling{{Write: 2, Dot: "n1:2"}}
		}
	}
	r.Homes = map[history.ID][]string{{Bucket: "set", Key: "key-0"}: {"n1", "n3"}}
	for i, node := range []string{"n1", "n2", "n3"} {
		r.Recordings = append(r.Recordings, report.Recording{
			Node: node, Dir: "jepsen-runs/it's one/recordings/" + node, Files: 2 + i, Bytes: 1_250_000,
			Starts: []report.RecordedStart{{Number: 1, Began: -900 * ms, Headless: i == 1}, {Number: 2, Began: 4100 * ms}},
		})
	}
	return judged(r)
}

func page(t *testing.T, r *report.Run) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.HTML(&b))
	return b.String()
}

func document(t *testing.T, r *report.Run) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, r.JSON(&b))
	return b.String()
}

// TestTheReportIsGolden: page and document of a small run, of one that held and of one
// in which an acknowledged write was lost.
func TestTheReportIsGolden(t *testing.T) {
	for name, run := range map[string]*report.Run{"held": small(), "broken": lossy()} {
		for path, got := range map[string]string{name + ".html": page(t, run), name + ".json": document(t, run)} {
			path = filepath.Join("testdata", path)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(want), got, "%s: go test ./jepsen/report -update, and look at the page", path)
		}
	}
}

// TestAFindingNamesTheRecordingsOfItsNodes: of the homes of the key, and of the nodes
// that clients asked before the end; the last reads ask everybody. Where no home is
// known, everybody's are named. A run that recorded nothing names none.
func TestAFindingNamesTheRecordingsOfItsNodes(t *testing.T) {
	r := lossy()
	p := &r.Parts[0]
	f := p.Report.Verdict(checker.Kept).Findings[0]
	require.Equal(t, []string{"n1", "n3"}, r.Involved(p, f))
	require.Equal(t, []string{
		`kvcli jepsen replay 'jepsen-runs/it'\''s one/recordings/n1' --key key-0`,
		`kvcli jepsen replay 'jepsen-runs/it'\''s one/recordings/n3' --key key-0`,
	}, r.Replay(p, f))
	require.Contains(t, page(t, r), `kvcli jepsen replay &#39;jepsen-runs/it&#39;\&#39;&#39;s one/recordings/n3&#39; --key key-0`)

	r.Homes = nil
	for i := range p.History.Ops {
		p.History.Ops[i].Node = ""
	}
	require.Len(t, r.Replay(p, f), 3)
	r.Recordings = nil
	require.Empty(t, r.Replay(p, f))
	require.NotContains(t, page(t, r), "kvcli jepsen replay")
}

// TestALostWriteIsShownWithItsEvidence: which write, who was told what, when, at which
// node, and what the read should have shown.
func TestALostWriteIsShownWithItsEvidence(t *testing.T) {
	require.Equal(t, report.Held, small().Verdict())
	r := lossy()
	require.Equal(t, report.Broken, r.Verdict())
	html := page(t, r)
	for _, want := range []string{
		"<h1>Broken: “acknowledged writes are kept” and “nothing comes back”</h1>",
		`<span class="tag">C1</span> set/key-0`,
		"w3 was acknowledged, nothing had seen it, and it is gone",
		"The last read should have shown the write, or a value whose writer had seen it",
		"put w3, having seen w2", "2.500 s – 2.503 s", "0, client library", "<code>n1:3</code>",
		"last read</td><td>found w2", "5.500 s – 5.502 s",
		`<span class="st violated">violated</span>`,
	} {
		require.Contains(t, html, want)
	}
	require.NotContains(t, page(t, small()), `class="anomaly"`)

	var doc struct {
		Verdict   string
		Workloads []struct {
			Checks []struct {
				Property, Status string
				Anomalies        []struct {
					Key string
					Ops []struct {
						Write uint64
						Found []uint64
						Final bool
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(document(t, r)), &doc))
	require.Equal(t, "broken", doc.Verdict)
	kept := doc.Workloads[0].Checks[0]
	require.Equal(t, "C1", kept.Property)
	require.Equal(t, "violated", kept.Status)
	require.Equal(t, "key-0", kept.Anomalies[0].Key)
	require.True(t, kept.Anomalies[0].Ops[0].Final)
	require.Equal(t, []uint64{2}, kept.Anomalies[0].Ops[0].Found)
	require.Equal(t, uint64(3), kept.Anomalies[0].Ops[1].Write)
}

// TestTheVerdictIsNoBetterThanItsJudges: what could not be judged is not held, and a
// cluster that did not come to rest has broken its promise.
func TestTheVerdictIsNoBetterThanItsJudges(t *testing.T) {
	r := small()
	r.Parts[0].History.Ops = r.Parts[0].History.Ops[:7] // nobody has read at the end
	require.Equal(t, report.Undecided, judged(r).Verdict())
	require.Contains(t, page(t, r), "<h1>Not everything could be judged</h1>")
	require.Contains(t, page(t, r), "A6: set/key-0 was written and has no final read")

	r = small()
	r.Rest.Problem = "not at rest after 1m0s: n2 has settled 7 of 8 replicas and keeps 3 hints"
	require.Equal(t, report.Broken, r.Verdict())
	require.Contains(t, page(t, r), "<h1>Broken: “the cluster comes to rest by itself”</h1>")
	require.Contains(t, page(t, r), "n2 has settled 7 of 8 replicas")

	r = small()
	r.Caught = []string{"n1 took BREW /v1 and answered 200 OK"}
	require.Equal(t, report.Broken, r.Verdict())
	require.Contains(t, page(t, r), "<h1>Broken: “what nobody may do is refused”</h1>")
	require.Contains(t, page(t, r), "n1 took BREW /v1 and answered 200 OK")

	r = small()
	r.EndedBy = "nemesis cut: n3 | n1,n2: node n1 cannot be told of faults"
	require.Equal(t, report.Undecided, r.Verdict())
	require.Contains(t, page(t, r), "<h1>Not all of the plan was tried</h1>")
	require.Contains(t, page(t, r), "node n1 cannot be told of faults")

	r = small()
	r.Faults = nil
	require.Equal(t, report.Undecided, r.Verdict(), "the time was over before the first fault")
	require.Contains(t, page(t, r), "<h1>Nothing of the plan was tried</h1>")
	r.Nemeses = nil
	require.Equal(t, report.Held, r.Verdict(), "nobody asked for any")

	require.Equal(t, report.Undecided, (&report.Run{}).Verdict(), "nothing was run")
}

// TestReasonsThatSayTheSameAreCounted: there is one for each key.
func TestReasonsThatSayTheSameAreCounted(t *testing.T) {
	two := []string{"A6: set/key-0", "A6: set/key-1"}
	require.Equal(t, two, report.Reasons(checker.Verdict{Reasons: two}))
	require.Equal(t, append(two, "and 1 more"), report.Reasons(checker.Verdict{Reasons: []string{two[0], two[1], "A6: set/key-2"}}))
}

// TestWhatIsHostileIsText (P2): keys, errors, nodes and faults of somebody who would
// like the page to run something.
func TestWhatIsHostileIsText(t *testing.T) {
	const evil = `</svg></title><script>alert(1)</script><img src=x onerror='alert(2)'>"><b>&amp;`
	r := lossy()
	for i := range r.Parts[0].History.Ops {
		op := &r.Parts[0].History.Ops[i]
		op.Key, op.Node = evil, evil
		if op.Error != "" {
			op.Error = evil
		}
		if op.Dot != "" {
			op.Dot += evil
		}
	}
	r.Parts[0].Workload, r.Parts[0].Doors = evil, []string{evil, evil}
	r.Faults[0].Kind, r.Faults[0].What = evil, evil
	r.Nemeses[0].Name, r.Command, r.Version, r.Notes = evil, evil, evil, []string{evil}
	r.Rest.Problem, r.Caught = evil, []string{evil}
	html := page(t, judged(r))
	for _, bad := range []string{"<script", "<img", "onerror='", "<b>"} {
		require.NotContains(t, html, bad)
	}
	require.Contains(t, html, "&lt;script&gt;")
	wellFormed(t, html)
}

// wellFormed reads the page as XML: every element is closed, in order, and everything
// that would have to be escaped is.
func wellFormed(t *testing.T, html string) {
	t.Helper()
	html = regexp.MustCompile(`<(meta|br)([^>]*)>`).ReplaceAllString(html, `<$1$2/>`)
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(html, "<!doctype html>")))
	d.Entity = xml.HTMLEntity
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			at := d.InputOffset()
			t.Fatalf("%v: … %s", err, html[max(0, at-200):min(int64(len(html)), at+50)])
		}
	}
}

// TestThePageNeedsNothingElse (P1).
func TestThePageNeedsNothingElse(t *testing.T) {
	for _, r := range []*report.Run{small(), lossy(), {}} {
		html := page(t, r)
		wellFormed(t, html)
		require.NotRegexp(t, `(?i)\b(src|href|srcset|data|action|poster|xlink:href)\s*=`, html)
		require.NotRegexp(t, `(?i)https?://|//[a-z]|url\(|@import|<script|<link|<iframe|<object|<embed`, strings.Replace(html, "<!doctype html>", "", 1))
	}
}

// TestTheSameRunMakesTheSameBytes (P4).
func TestTheSameRunMakesTheSameBytes(t *testing.T) {
	for range 5 {
		require.Equal(t, page(t, lossy()), page(t, lossy()))
		require.Equal(t, document(t, lossy()), document(t, lossy()))
	}
}

// TestALongRunIsASmallPage (P3): an hour, half a million operations, a thousand faults,
// and a store that lost every write.
func TestALongRunIsASmallPage(t *testing.T) {
	const clients, each = 20, 10_000
	r := small()
	r.Worked, r.Ended = time.Hour, time.Hour+time.Minute
	random := rand.New(rand.NewPCG(1, 2))
	var p report.Part
	p.Workload, p.Bucket, p.Promised = "blind", "blind", checker.All()
	for c := range clients {
		p.Doors = append(p.Doors, "client library")
		for i := range each {
			at := time.Duration(i) * time.Hour / each
			op := history.Op{
				Process: c, Invoke: at, Complete: at + time.Duration(random.Int64N(int64(200*ms))), Kind: history.Put, Bucket: "blind",
				Key: fmt.Sprintf("key-%d", random.IntN(2000)), Write: history.WriteID(c*each + i + 1), Outcome: kindred.Applied, N: 3, Need: 2,
			}
			if random.IntN(10) == 0 {
				op.Outcome = kindred.Unknown
			}
			p.History.Ops = append(p.History.Ops, op)
		}
	}
	for k := range 2000 {
		p.History.Ops = append(p.History.Ops, history.Op{
			Process: clients, Invoke: r.Worked + time.Duration(k)*ms, Complete: r.Worked + time.Duration(k+1)*ms, Kind: history.Get,
			Bucket: "blind", Key: fmt.Sprintf("key-%d", k), Outcome: kindred.Applied, N: 3, Need: 3, Final: true,
		})
	}
	r.Parts = []report.Part{p}
	r.Faults, r.Samples = nil, nil
	for i := range 1000 {
		at := time.Duration(i) * 3600 * ms
		r.Faults = append(r.Faults, history.Fault{Kind: []string{"cut", "kill"}[i%2], What: "n1,n2 | n3,n4,n5", Begin: at, End: at + time.Second, Ready: at + 2*time.Second})
	}
	for i := range 4 * 3600 {
		r.Samples = append(r.Samples, report.Sample{At: time.Duration(i) * 250 * ms, Replicas: 100, Open: random.IntN(100), Hints: random.IntN(1000)})
	}
	html := page(t, judged(r))
	require.Less(t, len(html), 2<<20)
	wellFormed(t, html)
	require.Regexp(t, `Of [0-9,]+ anomalies of “C1 acknowledged writes are kept” in blind the first 12 are here`, html)
	require.Less(t, len(document(t, r)), 4<<20)
}

// TestTheSeriesCountsEveryOperationOnce, in the step in which it was asked.
func TestTheSeriesCountsEveryOperationOnce(t *testing.T) {
	r := small()
	require.Equal(t, 50*ms, r.Step())
	var sum report.Tally
	for _, p := range r.Series() {
		sum.Operations += p.Operations
		sum.Answered += p.Answered
		sum.Refused += p.Refused
		sum.Sloppy += p.Sloppy
		if p.At == 100*ms {
			require.Equal(t, 3*ms, p.P50)
		}
	}
	require.Equal(t, report.Tally{Operations: 7, Answered: 6, Refused: 1, Sloppy: 1}, sum)
	require.Equal(t, sum, r.Tally())
	library, l := r.ByDoor("client library")
	require.Equal(t, report.Tally{Operations: 5, Answered: 5, Sloppy: 1}, library)
	require.Equal(t, 3*ms, l.Longest)
	require.Equal(t, []string{"client library", "one node"}, r.Doors())
}
