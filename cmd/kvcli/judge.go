package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/ring"
)

// Verdicts of kvcli cluster safe-to-stop. What could not be found out is never a yes.
const (
	safeYes     = "yes"
	safeNo      = "no"
	safeUnknown = "unknown"
)

// safeDoc is the document of kvcli cluster safe-to-stop.
type safeDoc struct {
	Node string `json:"node"`
	// Safe is yes, no or unknown.
	Safe    string         `json:"safe"`
	Reasons []objectionDoc `json:"reasons"`
	// Partitions are those that the node is a home of. Copies is how many other nodes
	// have to have each of its writes, Homes how many other homes a partition needs.
	Partitions int `json:"partitions"`
	Copies     int `json:"copies_needed"`
	Homes      int `json:"homes_needed"`
}

// objectionDoc is one reason against a stop.
type objectionDoc struct {
	// Kind is change, quorum, copies, hints, rebuild or unknown.
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
	// Partitions is how many it is about, Examples are the first of them.
	Partitions int   `json:"partitions"`
	Examples   []int `json:"examples"`
	// Dots is how many write events it is about.
	Dots uint64 `json:"dots"`
	Fix  string `json:"fix"`
	// Seconds is about how long it takes by itself, 0 if nobody can tell.
	Seconds float64 `json:"seconds_about"`
	// Lasting: it does not go away by waiting.
	Lasting bool `json:"lasting"`
}

// examplesMax is how many partitions a reason names.
const examplesMax = 5

// trial is what a verdict is found from.
type trial struct {
	node    string
	survey  *survey
	layout  *ring.Layout
	buckets []kindred.Bucket
	// bucketsErr says why the options of buckets are not known.
	bucketsErr error
	census     *census

	views   map[string]*nodeView
	reasons []objectionDoc
}

// demand is what the buckets ask for: the most of R and W, and whose it is.
type demand struct {
	homes, copies int
	bucket        string
}

func demandOf(buckets []kindred.Bucket, replicas int) (d demand) {
	d = demand{homes: replicas/2 + 1, copies: replicas/2 + 1}
	for _, b := range buckets {
		q, err := kindred.Resolve(replicas, b.Options.R, b.Options.W, 0, 0)
		if err != nil {
			continue // the cluster has no such bucket: it refuses its requests
		}
		if most := max(q.R, q.W); most > d.homes {
			d.homes, d.bucket = most, b.Name
		}
		d.copies = max(d.copies, q.W)
	}
	return d
}

// judge finds every reason against a stop of the node.
func (t *trial) judge() safeDoc {
	t.views, t.reasons = map[string]*nodeView{}, []objectionDoc{}
	for i := range t.survey.Nodes {
		t.views[t.survey.Nodes[i].Name] = &t.survey.Nodes[i]
	}
	d := demandOf(t.buckets, t.layout.Replicas())
	// Without the node there is one home less, whatever was asked for.
	d.copies = max(1, min(d.copies, t.layout.Replicas()-1))
	owned := t.layout.Owned(t.node, t.layout.Replicas())
	if t.notAsked(); t.answered(t.node) {
		t.change()
		t.quorums(owned, d)
		t.copies(d)
		t.rebuilds()
	}
	doc := safeDoc{Node: t.node, Safe: safeYes, Reasons: t.reasons, Partitions: len(owned), Copies: d.copies, Homes: d.homes}
	for _, r := range t.reasons {
		if r.Kind != "unknown" {
			doc.Safe = safeNo
		} else if doc.Safe == safeYes {
			doc.Safe = safeUnknown
		}
	}
	return doc
}

func (t *trial) against(r objectionDoc, partitions []int) {
	slices.Sort(partitions)
	partitions = slices.Compact(partitions)
	r.Partitions, r.Examples = len(partitions), list(partitions[:min(len(partitions), examplesMax)])
	t.reasons = append(t.reasons, r)
}

// answered reports whether a node said all that it was asked for.
func (t *trial) answered(node string) bool { return t.silence(node) == "" }

// silence is why it is not known how a node is, empty if it is.
func (t *trial) silence(node string) string {
	v := t.views[node]
	switch {
	case v == nil:
		return "it is no member"
	case v.Err != nil:
		return v.Err.Error()
	case v.replication().Unknown != "":
		return v.replication().Unknown
	case v.Cluster.LayoutVersion != t.survey.Asked.LayoutVersion:
		return fmt.Sprintf("it works by layout %s, %s by %s", orNone(v.Cluster.LayoutVersion), t.survey.Asked.Node, t.survey.Asked.LayoutVersion)
	}
	return t.census.unknown[node]
}

// notAsked are the nodes of which something is not known that matters: who shares a
// partition with the node, and who may hold what it holds.
func (t *trial) notAsked() {
	for _, v := range t.survey.Nodes {
		if why := t.silence(v.Name); why != "" && (v.Name == t.node || len(t.shared(v.Name)) > 0) {
			t.against(objectionDoc{Kind: "unknown", Reason: fmt.Sprintf("%s cannot be asked: %s", v.Name, why),
				Fix: "start it, or mend its network, and ask again"}, t.shared(v.Name))
		}
	}
	if t.bucketsErr != nil {
		t.against(objectionDoc{Kind: "unknown", Reason: fmt.Sprintf("what the buckets ask for is not known: %v", t.bucketsErr), Fix: "ask again"}, nil)
	}
}

// change finds that owners change: then the homes of the layout before count too, and
// who stops may be one that the change waits for.
func (t *trial) change() {
	c := &t.survey.Change
	lacks := c.lacks()
	if len(lacks) == 0 {
		return
	}
	r := objectionDoc{Kind: "change", Reason: strings.Join(lacks, "; "), Fix: "wait (kvcli cluster wait --for changed), then ask again"}
	if c.Unknown != "" {
		r.Kind, r.Fix = "unknown", "ask again"
	}
	t.against(r, nil)
}

// shared are the partitions that both the node and another one are homes of.
func (t *trial) shared(other string) (partitions []int) {
	if other == t.node {
		return nil
	}
	for _, p := range t.layout.Owned(t.node, t.layout.Replicas()) {
		if slices.Contains(t.layout.Homes(p, t.layout.Replicas()), other) {
			partitions = append(partitions, int(p))
		}
	}
	return partitions
}

// unfit says why the replica of a node does not count, empty if it does.
func (t *trial) unfit(node string, partition int) string {
	if why := t.silence(node); why != "" {
		return node + " cannot be asked"
	}
	v := t.views[node]
	if !v.Local.Ready {
		return node + " is not ready: " + v.Local.Reason
	}
	r := v.replication()
	i := slices.IndexFunc(r.Replicas, func(s kindred.ReplicaStatus) bool { return s.Partition == partition })
	if i < 0 {
		return node + " has no replica of it yet"
	}
	switch s := &r.Replicas[i]; {
	case s.Rebuild.State != "":
		return node + " is being rebuilt"
	case !s.Trusted:
		return node + " is catching up"
	case s.Audit.Damaged > 0:
		return node + " is damaged"
	}
	return ""
}

// quorums finds the partitions that would be left with too few homes.
func (t *trial) quorums(owned []ring.Partition, d demand) {
	short := map[string][]int{} // by why
	for _, p := range owned {
		fit, why := t.fit(p)
		if len(fit) >= d.homes {
			continue
		}
		short[strings.Join(why, "; ")] = append(short[strings.Join(why, "; ")], int(p))
	}
	asks := fmt.Sprintf("%s that a quorum takes", counted(d.homes, "home", "homes"))
	if d.bucket != "" {
		asks = fmt.Sprintf("%s that bucket %s asks for", counted(d.homes, "home", "homes"), d.bucket)
	}
	for _, why := range slices.Sorted(maps.Keys(short)) {
		r := objectionDoc{Kind: "quorum", Fix: "wait until they are well (kvcli cluster wait --for healthy), then ask again"}
		r.Reason = fmt.Sprintf("%s of %s would be left with fewer than the %s: %s", counted(len(short[why]), "partition", "partitions"), t.node, asks, why)
		if why == "" {
			r.Reason = fmt.Sprintf("without %s its partitions have fewer homes than the %s, although all others are well", t.node, asks)
			r.Fix, r.Lasting = "no node of this cluster can stop unnoticed: have more replicas, or let buckets ask for fewer", true
		}
		t.against(r, short[why])
	}
}

// fit are the other homes of a partition that count and reach one another, as many as
// there are, and why the others do not.
func (t *trial) fit(p ring.Partition) (fit, why []string) {
	var well []string
	for _, home := range t.layout.Homes(p, t.layout.Replicas()) {
		if home == t.node {
			continue
		}
		if reason := t.unfit(home, int(p)); reason != "" {
			why = append(why, reason)
		} else {
			well = append(well, home)
		}
	}
	for _, a := range well {
		var reach []string
		for _, b := range well {
			if a == b || t.linked(a, b) && t.linked(b, a) {
				reach = append(reach, b)
			}
		}
		if len(reach) > len(fit) {
			fit = reach
		}
	}
	for _, home := range well {
		if !slices.Contains(fit, home) {
			why = append(why, apartText(home, fit))
		}
	}
	slices.Sort(why)
	return fit, why
}

// apartText is the same whichever of two homes is found to reach the other.
func apartText(home string, fit []string) string {
	if len(fit) > 1 {
		return home + " has no link to " + strings.Join(fit, ", ")
	}
	pair := append([]string{home}, fit...)
	slices.Sort(pair)
	return strings.Join(pair, " and ") + " have no link"
}

func (t *trial) linked(from, to string) bool {
	return slices.ContainsFunc(t.views[from].Cluster.Members, func(m kindred.Member) bool { return m.Name == to && m.Linked })
}

// copies finds what the node holds, as a home and as a guest, and too few others do.
func (t *trial) copies(d demand) {
	type found struct {
		dots       uint64
		partitions []int
	}
	var homes, hints found
	for _, p := range t.census.places() {
		others := eachOnce(slices.DeleteFunc(slices.Clone(t.census.held[p]), func(s share) bool {
			return !s.guest && t.unfit(s.node, p.partition) != ""
		}))
		for _, l := range t.census.listed[p] {
			few := heldByFewer(l.dots, others, d.copies)
			if l.node != t.node || few.IsEmpty() {
				continue
			}
			to := &homes
			if l.guest {
				to = &hints
			}
			to.dots += antientropy.Count(few)
			to.partitions = append(to.partitions, p.partition)
		}
	}
	if len(homes.partitions) > 0 {
		t.against(objectionDoc{
			Kind: "copies", Dots: homes.dots, Seconds: secondsOfExchange,
			Reason: fmt.Sprintf("%d write events of %s are on the disks of fewer than %s", homes.dots, t.node, counted(d.copies, "other node", "other nodes")),
			Fix:    "wait, while the other homes are up: they fetch them within seconds; kvcli node drain " + t.node + " waits for it",
		}, homes.partitions)
	}
	if len(hints.partitions) > 0 {
		r := objectionDoc{Kind: "hints", Dots: hints.dots}
		r.Reason = fmt.Sprintf("%s keeps hints of %d write events that are on the disks of fewer than %s", t.node, hints.dots, counted(d.copies, "other node", "other nodes"))
		r.Fix, r.Seconds = t.delivery()
		t.against(r, hints.partitions)
	}
}

const (
	// secondsOfExchange is about what it takes homes that are up to fetch what they
	// lack: they look once a second, and want what was missing twice.
	secondsOfExchange = 3
	// hintsPerSecond is the pace of delivery, for each shard (hintedhandoff.DefaultPace).
	hintsPerSecond = 850
)

// delivery says what hints wait for, and how long they take if all targets are up.
func (t *trial) delivery() (fix string, seconds float64) {
	r := t.views[t.node].replication()
	var away []string
	for _, debt := range r.Hints.Debts {
		if !t.answered(debt.Target) || !t.linked(t.node, debt.Target) {
			away = append(away, debt.Target)
		}
	}
	if len(away) > 0 {
		return "bring back " + strings.Join(away, ", ") + ": the hints are delivered then; kvcli hints list", 0
	}
	pace := hintsPerSecond * max(1, t.views[t.node].Local.Shards)
	return "wait: they are being delivered; kvcli node drain " + t.node + " waits for it", 1 + float64(r.Hints.Hints/pace)
}

// rebuilds finds the homes that are copied from the node and could be copied from no
// other.
func (t *trial) rebuilds() {
	ended := map[string][]int{}
	for _, v := range t.survey.Nodes {
		if v.Name == t.node || !t.answered(v.Name) {
			continue
		}
		for _, s := range v.replication().Replicas {
			if s.Rebuild.State == "" || s.Rebuild.Source != t.node {
				continue
			}
			if fit, _ := t.fit(ring.Partition(s.Partition)); len(fit) == 0 {
				ended[v.Name] = append(ended[v.Name], s.Partition)
			}
		}
	}
	for _, node := range slices.Sorted(maps.Keys(ended)) {
		v := t.views[node].replication()
		sum := v.Summary()
		t.against(objectionDoc{
			Kind: "rebuild", Seconds: sum.RebuildLeft.Seconds(),
			Reason: fmt.Sprintf("%s is copied anew from %s, and no other home could go on with it", node, t.node),
			Fix:    "wait (kvcli cluster wait --for trusted); kvcli repair status shows how far it is",
		}, ended[node])
	}
}

// lasting reports whether something is said against the node that waiting does not mend.
func (d *safeDoc) lasting() bool {
	return slices.ContainsFunc(d.Reasons, func(r objectionDoc) bool { return r.Lasting })
}

// onTheirWay reports whether nothing is said against the node but that writes have not
// arrived everywhere yet, which they may any moment.
func (d *safeDoc) onTheirWay() bool {
	return d.Safe == safeNo && !slices.ContainsFunc(d.Reasons, func(r objectionDoc) bool { return r.Kind != "copies" && r.Kind != "hints" })
}
