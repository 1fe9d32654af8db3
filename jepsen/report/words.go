package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/checker"
	"github.com/kindredkv/kindred/jepsen/history"
)

// Limits says what the judge of a property does not prove.
func Limits(p checker.Property) string {
	switch p {
	case checker.Kept:
		return "anything before the final reads: a write may have been out of sight meanwhile"
	case checker.Exact:
		return "which of several allowed answers was the best one"
	case checker.StaysGone:
		return "anything before the final reads; a request that became two writes is counted as an echo"
	case checker.Sessions:
		return "sessions over sloppy or weak reads, which are promised nothing"
	case checker.Fresh:
		return "reads or writes for which guests counted: those are exempt, and counted"
	case checker.NotApplied:
		return "that a refusal came in time"
	case checker.UniqueDots:
		return "events that no client ever saw"
	}
	return "nothing is known of this property here"
}

// should says what an answer had to be, where a property is broken.
func should(p checker.Property) string {
	switch p {
	case checker.Kept:
		return "The last read should have shown the write, or a value whose writer had seen it: it was acknowledged, and nothing that can have replaced it was ever written."
	case checker.Exact:
		return "A read shows values that somebody wrote here, each once, and none beside another whose writer had seen it."
	case checker.StaysGone:
		return "The last read should not have shown it: an acknowledged write had seen it and so taken its place."
	case checker.Sessions:
		return "The read should have known what this client had written or read before."
	case checker.Fresh:
		return "The read should have known this write: it was acknowledged before the read began, and with r + w > n both asked a node in common."
	case checker.NotApplied:
		return "The client was told that the write was not applied, so no read may ever show it."
	case checker.UniqueDots:
		return "The name of a write event belongs to one write for ever."
	}
	return ""
}

// Headline is the verdict in one sentence.
func (r *Run) Headline() string {
	switch r.Verdict() {
	case Held:
		return "Every promise held"
	case Broken:
		return "Broken: " + listed(r.broken())
	}
	switch {
	case r.EndedBy != "":
		return "Not all of the plan was tried"
	case r.untried():
		return "Nothing of the plan was tried"
	}
	return "Not everything could be judged"
}

// listed is “a”, “b” and “c”.
func listed(words []string) string {
	text := "“" + strings.Join(words, "”, “") + "”"
	if i := strings.LastIndex(text, ", "); i >= 0 {
		text = text[:i] + " and " + text[i+2:]
	}
	return text
}

// broken are the promises that were not kept.
func (r *Run) broken() (out []string) {
	for i := range r.Parts {
		for _, v := range r.Parts[i].Report.Verdicts {
			_, words, _ := strings.Cut(v.Property.String(), " ")
			if v.Status == checker.Violated && !slices.Contains(out, words) {
				out = append(out, words)
			}
		}
	}
	if len(r.Caught) > 0 {
		out = append(out, "what nobody may do is refused")
	}
	if r.Rest.Problem != "" {
		out = append(out, "the cluster comes to rest by itself")
	}
	return out
}

// Summary is what was run and what came of it, in a few sentences.
func (r *Run) Summary() []string {
	quorums := "guests standing in for nodes that cannot be reached"
	if r.Strict {
		quorums = "home replicas alone counting"
	}
	t := r.Tally()
	out := []string{
		fmt.Sprintf("%s: %s on %s for %s, with %s of each key, r=%d, w=%d, %s.",
			capital(counted(len(r.Parts), "workload", "workloads")), strings.Join(r.workloads(), ", "),
			counted(len(r.Nodes), "node", "nodes"), seconds(r.Worked), counted(r.N, "copy", "copies"), r.R, r.W, quorums),
		fmt.Sprintf("%s. Of %s operations %s were answered (%s), %s refused, %s left unknown.",
			capital(r.faultWords()), number(t.Operations), number(t.Answered), share(t.Answered, t.Operations), number(t.Refused), number(t.Unknown)),
	}
	if r.OverBudget {
		out = append(out, "This run was over budget: more was taken than the copies can bear, so that what was acknowledged could be lost.")
	}
	if r.EndedBy != "" {
		out = append(out, "The faults ended early, so that not all of the plan was tried: "+r.EndedBy+".")
	}
	if r.Interrupted {
		out = append(out, "Somebody ended it early; everything after the faults was done all the same.")
	}
	return append(out, r.RestWords())
}

// RestWords says how the cluster came to rest.
func (r *Run) RestWords() string {
	if r.Rest.Problem != "" {
		return capital(r.Rest.Problem) + "."
	}
	return fmt.Sprintf("%s after the last operation every write was at every home and no hint was left, without anybody reading.", capital(seconds(r.Rest.Took)))
}

func (r *Run) workloads() (names []string) {
	for i := range r.Parts {
		names = append(names, r.Parts[i].Workload)
	}
	return names
}

// faultWords says how often what went wrong.
func (r *Run) faultWords() string {
	if len(r.Faults) == 0 {
		return "nothing was made to go wrong"
	}
	var parts []string
	for _, k := range r.kinds() {
		n := 0
		for _, f := range r.Faults {
			if f.Kind == k {
				n++
			}
		}
		parts = append(parts, fmt.Sprintf("%s %d×", k, n))
	}
	return counted(len(r.Faults), "fault", "faults") + " happened: " + strings.Join(parts, ", ")
}

// kinds are the kinds of faults that happened or were asked for, in order.
func (r *Run) kinds() (names []string) {
	for _, n := range r.Nemeses {
		names = append(names, n.Name)
	}
	for _, f := range r.Faults {
		if !slices.Contains(names, f.Kind) {
			names = append(names, f.Kind)
		}
	}
	return slices.DeleteFunc(names, func(k string) bool {
		return !slices.ContainsFunc(r.Faults, func(f history.Fault) bool { return f.Kind == k })
	})
}

// Never are the nemeses that were asked for and never came.
func (r *Run) Never() (names []string) {
	for _, n := range r.Nemeses {
		if !slices.ContainsFunc(r.Faults, func(f history.Fault) bool { return f.Kind == n.Name }) {
			names = append(names, n.Name)
		}
	}
	return names
}

// told is what a client was told, in words.
func told(op *history.Op) string {
	switch {
	case op.Outcome == kindred.Applied && op.Kind == history.Get:
		if len(op.Siblings) == 0 {
			return "found nothing"
		}
		var ids []history.WriteID
		for _, s := range op.Siblings {
			ids = append(ids, s.Write)
		}
		return "found " + idList(ids)
	case op.Outcome == kindred.Applied:
		return "acknowledged"
	case op.Kind == history.Get:
		return "not answered"
	case op.Outcome == kindred.NotApplied:
		return "refused: not applied"
	}
	return "outcome unknown"
}

// asked is what a client asked for, in words.
func asked(op *history.Op) string {
	switch {
	case op.Kind == history.Get && op.Final:
		return "last read"
	case op.Kind == history.Get:
		return "get"
	case len(op.Seen) == 0:
		return fmt.Sprintf("%v w%d, having seen nothing", op.Kind, op.Write)
	}
	return fmt.Sprintf("%v w%d, having seen %s", op.Kind, op.Write, idList(op.Seen))
}

// idsShown bounds a list of ids for people.
const idsShown = 6

func idList(ids []history.WriteID) string {
	var parts []string
	for _, id := range ids[:min(len(ids), idsShown)] {
		parts = append(parts, fmt.Sprintf("w%d", id))
	}
	text := strings.Join(parts, ", ")
	if more := len(ids) - idsShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// number has commas between thousands.
func number(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// share is a percentage that is 100 or 0 only if it is all or nothing.
func share(part, all int) string {
	if all == 0 {
		return "none"
	}
	percent := 100 * float64(part) / float64(all)
	switch {
	case part == all:
		return "100 %"
	case percent > 99.99:
		return "over 99.99 %"
	case percent > 99:
		return fmt.Sprintf("%.2f %%", percent)
	}
	return fmt.Sprintf("%.1f %%", percent)
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "one " + one
	}
	return number(n) + " " + many
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// seconds is a time of a run for people.
func seconds(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
	case d < 10*time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}

// moment is a point in time of a run, to the millisecond.
func moment(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }
