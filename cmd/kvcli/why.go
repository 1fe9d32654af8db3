package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
)

// whyDoc is the document of kvcli key why.
type whyDoc struct {
	Bucket string `json:"bucket"`
	keyDoc
	// Siblings are in the order in which their coordinators' clocks put them.
	Siblings []whySiblingDoc `json:"siblings"`
	// Reasons are why there are several; none if there is one.
	Reasons []reasonDoc `json:"reasons"`
}

type whySiblingDoc struct {
	Dot       string   `json:"dot"`
	Node      string   `json:"node"`
	WrittenAt string   `json:"written_at"`
	Causes    []string `json:"causes"`
	// Circumstances are the causes in words.
	Circumstances []string `json:"circumstances"`
}

// reasonDoc is one reason why a key has siblings.
type reasonDoc struct {
	Kind string `json:"kind"`
	// Dots are the values that it is about.
	Dots []string `json:"dots"`
	Text string   `json:"text"`
	// Advice is what would have avoided it, or why it should not be avoided.
	Advice string `json:"advice"`
}

// Kinds of reasons.
const (
	whyBlind      = "blind"
	whyCut        = "cut"
	whyLateHint   = "late_hint"
	whyRetry      = "retry"
	whyConcurrent = "concurrent"
)

func (a *app) keyWhy() *cobra.Command {
	var key keyFlags
	var read readFlags
	c := &cobra.Command{
		Use: "why BUCKET KEY", Short: "Explain why a key has siblings", Args: cobra.ExactArgs(2),
		Long: `Why explains from what nodes noted with each write why a key has several values:
writers that had not seen each other's (true concurrency), writes without a context
(blind), a cut, a hint that came late, or a request that was sent twice.`,
		Example: "  kvcli key why carts alice\n  kvcli key why carts alice -o json | jq -r '.reasons[].kind'",
		RunE: func(c *cobra.Command, args []string) error {
			bucket, k, err := key.parse(c, args)
			if err != nil {
				return err
			}
			opts, err := read.options()
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				obj, err := cl.Bucket(bucket).Get(c.Context(), k, opts...)
				if err != nil {
					return err
				}
				doc := newWhyDoc(bucket, k, obj.Siblings)
				if len(doc.Siblings) == 0 {
					return noValue(bucket, k)
				}
				return a.print(doc, func(w io.Writer) error { return a.writeWhy(w, k, doc) })
			})
		},
	}
	key.register(c)
	read.register(c)
	return c
}

func newWhyDoc(bucket, key string, siblings []kindred.Sibling) whyDoc {
	siblings = slices.Clone(siblings)
	slices.SortStableFunc(siblings, func(a, b kindred.Sibling) int { return a.WrittenAt.Compare(b.WrittenAt) })
	doc := whyDoc{Bucket: bucket, keyDoc: newKeyDoc(key), Siblings: []whySiblingDoc{}, Reasons: list(reasons(siblings))}
	for _, s := range siblings {
		doc.Siblings = append(doc.Siblings, whySiblingDoc{
			Dot: s.Dot, Node: s.Node, WrittenAt: moment(s.WrittenAt), Causes: list(s.Causes.Names()), Circumstances: circumstances(s.Causes),
		})
	}
	return doc
}

// reasons tells from provenance why there are siblings. The causes are what each
// coordinator noted; that two writers were merely concurrent is noted by nobody,
// and is what remains when both had seen something and nothing kept them apart.
func reasons(siblings []kindred.Sibling) (out []reasonDoc) {
	if len(siblings) < 2 {
		return nil
	}
	with := func(all, none kindred.Causes) (found []kindred.Sibling) {
		for _, s := range siblings {
			if s.Causes.Has(all) && s.Causes&none == 0 {
				found = append(found, s)
			}
		}
		return found
	}
	say := func(kind string, about []kindred.Sibling, text, advice string) {
		if len(about) > 0 {
			out = append(out, reasonDoc{Kind: kind, Dots: dotsOf(about), Text: text, Advice: advice})
		}
	}
	say(whyCut, with(kindred.CauseCut, kindred.CauseGuest),
		"written while a home of the key could not be reached: the two sides of a cut do not see each other's writes",
		"nothing is wrong: both sides of a cut take writes; let a merge make one value of them")
	say(whyLateHint, with(kindred.CauseGuest, 0),
		"taken by a guest while the homes could not be reached, and brought to them later as a hint",
		"nothing is wrong: a guest stands in for homes that are away; let a merge make one value of them")
	say(whyBlind, with(kindred.CauseBlind, 0),
		"written without a context: the writer had seen no value, and such a write replaces nothing",
		"write with the --context of a read, or with kvcli update; keep --blind for keys that are new")
	repeated := with(kindred.CauseRetry, 0)
	say(whyRetry, repeated, retryText(siblings, repeated), "nothing is lost: keep one of the equal values; update --merge does not mind them")
	seen := with(0, kindred.CauseBlind)
	if len(seen) > 1 && len(with(0, kindred.CauseBlind|kindred.CauseCut|kindred.CauseGuest)) == len(seen) {
		say(whyConcurrent, seen, "truly concurrent: each writer had seen an earlier value, and none had seen the other's",
			"let a merge make one value of them (kvcli update --merge), or let one program write the key")
	}
	return out
}

// retryText says whether a request that was sent twice left its value twice.
func retryText(siblings, repeated []kindred.Sibling) string {
	for _, r := range repeated {
		for _, s := range siblings {
			if s.Dot != r.Dot && bytes.Equal(s.Value, r.Value) {
				return fmt.Sprintf("sent again after an answer that did not come: %s has the value of %s and is likely the same write", r.Dot, s.Dot)
			}
		}
	}
	return "sent again after an answer that did not come: an earlier attempt may have written too"
}

func (a *app) writeWhy(w io.Writer, key string, doc whyDoc) error {
	st := a.style()
	name := st.Bold(doc.Bucket + "/" + shown(key))
	if len(doc.Siblings) == 1 {
		fmt.Fprintf(w, "%s has one value: there is nothing to explain.\n", name)
	} else {
		fmt.Fprintf(w, "%s has %d siblings. In the order of their nodes' clocks:\n", name, len(doc.Siblings))
	}
	for i, s := range doc.Siblings {
		fmt.Fprintf(w, "\n%d  written through %s, %s\n   %s\n   %s\n", i+1, s.Node, orUnknown(s.WrittenAt), strings.Join(s.Circumstances, ", "), st.Dim("dot "+s.Dot))
	}
	for i, r := range doc.Reasons {
		if i == 0 {
			fmt.Fprintf(w, "\n%s\n", st.Bold("Why:"))
		}
		fmt.Fprintf(w, "  %s %s: %s\n     %s\n", whichOf(doc.Siblings, r.Dots), strings.ReplaceAll(r.Kind, "_", " "), r.Text, st.Dim(r.Advice))
	}
	return nil
}

// whichOf names siblings by their places in the list: "1 and 3".
func whichOf(siblings []whySiblingDoc, dots []string) string {
	var places []string
	for i, s := range siblings {
		if slices.Contains(dots, s.Dot) {
			places = append(places, fmt.Sprint(i+1))
		}
	}
	if n := len(places); n > 1 {
		return strings.Join(places[:n-1], ", ") + " and " + places[n-1]
	}
	return strings.Join(places, "")
}
