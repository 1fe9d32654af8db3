package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
)

// lastingAfter is how long a replica may be behind, or a hint be owed, before that
// is a problem and not a write on its way.
const lastingAfter = 10 * time.Second

// auditsAfter is how long audits may be in vain: they are tried again each minute.
const auditsAfter = 5 * time.Minute

// missingAfter is how long dots of a dead incarnation may wait to be closed.
const missingAfter = time.Minute

// problemDoc is one thing that is not as it should be.
type problemDoc struct {
	// Node is the one that has it, or that says so.
	Node string `json:"node"`
	Kind string `json:"kind"`
	// Problem is a sentence, Fix what to do about it.
	Problem string `json:"problem"`
	Fix     string `json:"fix"`
}

// diagnose finds everything that is not as it should be. What could not be found
// out is one of these (I12).
func diagnose(s *survey) []problemDoc {
	d := &diagnosis{problems: []problemDoc{}}
	if s.Asked.LayoutVersion == "" {
		d.add(s.Asked.Node, "layout", "join the nodes with one another, as many as --expect of the first start says",
			"the cluster has no layout yet, as far as %s knows", s.Asked.Node)
	}
	for i := range s.Nodes {
		d.node(s, &s.Nodes[i])
	}
	if lacks := s.Change.lacks(); s.Asked.LayoutVersion != "" && len(lacks) > 0 {
		d.add(s.Asked.Node, "change", "wait (kvcli cluster wait --for changed); whoever it waits for has to be up, or removed for ever if it never comes back",
			"%s", strings.Join(lacks, "; "))
	}
	d.reported(s)
	d.suspects(s)
	return d.problems
}

type diagnosis struct{ problems []problemDoc }

func (d *diagnosis) add(node, kind, fix, format string, args ...any) {
	d.problems = append(d.problems, problemDoc{Node: node, Kind: kind, Problem: fmt.Sprintf(format, args...), Fix: fix})
}

func (d *diagnosis) node(s *survey, v *nodeView) {
	if v.Err != nil {
		d.add(v.Name, "unreachable", fmt.Sprintf("start it, or mend its network; of a local cluster: kvcli local status, kvcli local restart %s", v.Name),
			"%s cannot be asked, so how it is nobody knows: %v", v.Name, v.Err)
		return
	}
	if v.removed() {
		d.add(v.Name, "removed", fmt.Sprintf("stop it; or let the others have what only it has, before its folder is emptied: kvcli cluster return %s", v.Name),
			"%s was removed from the cluster and is up: it refuses all requests and keeps what it has", v.Name)
		return
	}
	if !v.Local.Ready {
		d.add(v.Name, "not_ready", "wait (kvcli cluster wait --for ready), or see its log", "%s is not ready: %s", v.Name, v.Local.Reason)
	}
	if a := s.Asked; v.Cluster.LayoutVersion != a.LayoutVersion || v.Cluster.ClusterID != a.ClusterID {
		d.add(v.Name, "layout", "wait a moment; if it stays, mend the network between the two",
			"%s works by layout %s of cluster %s, %s by %s of %s", v.Name, orNone(v.Cluster.LayoutVersion), orNone(v.Cluster.ClusterID),
			a.Node, orNone(a.LayoutVersion), orNone(a.ClusterID))
	}
	r := v.replication()
	if r.Unknown != "" {
		d.add(v.Name, "unknown", "ask again; if it stays, see its log and its load", "how the replicas of %s are is not known: %s", v.Name, r.Unknown)
	}
	sum := r.Summary()
	d.replicas(v.Name, &r, &sum)
	d.audits(v.Name, &r, &sum)
	d.hints(v.Name, &r)
}

func (d *diagnosis) replicas(node string, r *kindred.Replication, sum *kindred.ReplicationSummary) {
	if sum.Rebuilding > 0 {
		d.add(node, "rebuilding", "wait (kvcli cluster wait --for trusted); kvcli repair status shows how far it is",
			"%s of %s %s copied anew from other homes%s", counted(sum.Rebuilding, "replica", "replicas"), node, isAre(sum.Rebuilding), leftText(sum.RebuildLeft))
	}
	if sum.CatchingUp > 0 {
		d.add(node, "catching_up", "wait (kvcli cluster wait --for trusted); the homes it waits for have to be up",
			"%s of %s %s not read, because %s may have lost writes: they are to catch up with %s", counted(sum.CatchingUp, "replica", "replicas"),
			node, isAre(sum.CatchingUp), node, strings.Join(sum.Waits, ", "))
	}
	if sum.Behind > 0 && r.At.Sub(sum.BehindSince) > lastingAfter {
		d.add(node, "behind", "see that the others can be reached; kvcli repair run --node "+node,
			"%s of %s without %d write events that others hold, for %s", counted(sum.Behind, "replica", "replicas"), node, sum.Lag, ageText(r.At, sum.BehindSince))
	}
	if sum.Missing > 0 && r.At.Sub(sum.MissingSince) > missingAfter {
		d.add(node, "missing", "bring back every member, or remove for good the one that is gone: what a dead process alone held is declared lost only when all agree",
			"%d write events of processes that are gone are missing on %s for %s", sum.Missing, node, ageText(r.At, sum.MissingSince))
	}
}

func (d *diagnosis) audits(node string, r *kindred.Replication, sum *kindred.ReplicationSummary) {
	if sum.Damaged > 0 {
		d.add(node, "damaged", "see that the other homes are up: it is restored from them; kvcli repair run --node "+node+"; and look after its disk",
			"%s of %s lost data on disk, and %s not speak for what is lost", counted(sum.Damaged, "replica", "replicas"), node, doesDo(sum.Damaged))
	}
	if since := sum.AuditsFailingSince; sum.AuditsIncomplete > 0 && !since.IsZero() && r.At.Sub(since) > auditsAfter {
		d.add(node, "audit", "kvcli repair run --node "+node+" once every node is up",
			"%s of %s could not be compared with every other home for %s: %s", counted(sum.AuditsIncomplete, "replica", "replicas"),
			node, ageText(r.At, since), orUnknown(sum.AuditProblem))
	}
	if r.Repairs.Conflicts > 0 {
		d.add(node, "conflict", "report it: this must never happen; both values are kept apart by the nodes that hold them",
			"%s found %d dots with two values since its start", node, r.Repairs.Conflicts)
	}
}

func (d *diagnosis) hints(node string, r *kindred.Replication) {
	for _, debt := range r.Hints.Debts {
		if !debt.Oldest.IsZero() && r.At.Sub(debt.Oldest) > lastingAfter {
			d.add(node, "hints", "see that "+debt.Target+" can be reached: they are delivered then; kvcli hints list",
				"%s owes %s %s, the oldest for %s", node, debt.Target, counted(debt.Hints, "hint", "hints"), ageText(r.At, debt.Oldest))
		}
	}
	h := &r.Hints
	if h.HintsMax > 0 && (10*h.Hints > 9*h.HintsMax || 10*(h.Bytes/16) > 9*(h.BytesMax/16)) {
		d.add(node, "hints", "bring the nodes back that it keeps hints for: beyond the limit it takes no more, and writes may be refused",
			"%s keeps %d of %d hints that it may, %d of %d bytes", node, h.Hints, h.HintsMax, h.Bytes, h.BytesMax)
	}
}

// reported are the problems that nodes tell of themselves, each once.
func (d *diagnosis) reported(s *survey) {
	by := map[string][]string{}
	var texts []string
	for _, v := range s.Nodes {
		if v.removed() {
			continue
		}
		for _, text := range v.Cluster.Problems {
			if by[text] == nil {
				texts = append(texts, text)
			}
			by[text] = append(by[text], v.Name)
		}
	}
	for _, text := range texts {
		kind, fix := "reported", "see its log"
		if strings.Contains(text, "under injected faults") {
			kind, fix = "faults", "kvcli local heal"
		} else if strings.Contains(text, "cannot be reached") {
			kind, fix = "link", "start the node, or mend the network between them"
		} else if strings.Contains(text, "with a capacity, add") {
			kind, fix = "layout", "start more nodes, and let them own a share: kvcli cluster join"
		} else if strings.Contains(text, "copies share zones") {
			kind, fix = "layout", "say where nodes are with kvcli cluster set-zone, if there are several rooms or racks"
		}
		says := strings.Join(by[text], ", ") + ": "
		if len(by[text]) == 1 && strings.HasPrefix(text, by[text][0]) {
			says = ""
		}
		d.add(by[text][0], kind, fix, "%s%s", says, text)
	}
}

// suspects are members about whose life others are not sure.
func (d *diagnosis) suspects(s *survey) {
	seen := map[string][]string{}
	for _, v := range s.Nodes {
		for _, m := range v.Cluster.Members {
			if m.State == kindred.Suspect {
				seen[m.Name] = append(seen[m.Name], v.Name)
			}
		}
	}
	for _, v := range s.Nodes {
		if by := seen[v.Name]; len(by) > 0 {
			d.add(v.Name, "suspect", "wait a moment; then mend what is between them", "%s is suspect to %s", v.Name, strings.Join(by, ", "))
		}
	}
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func doesDo(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}

func leftText(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return ", about " + d.Round(time.Second).String() + " left"
}

// ageText is by the clock of the node that knows both.
func ageText(now, since time.Time) string {
	return max(now.Sub(since), 0).Round(time.Second).String()
}
