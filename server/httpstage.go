package server

import (
	"net/http"
	"strconv"

	"github.com/kindredkv/kindred"
)

type stageDoc struct {
	Dot string `json:"dot"`
	// Stage is how far the write has come for certain, empty if the node knows
	// nothing of it; Wanted is what was waited for.
	Stage   string `json:"stage"`
	Wanted  string `json:"wanted"`
	Reached bool   `json:"reached"`
}

// stage says how far a write has come, and waits for more if it is asked to. An
// answer that came too early for what was wanted is a 202.
func (d *httpDoor) stage(w http.ResponseWriter, r *http.Request, t target) {
	req, bad := parseStage(r.URL.RawQuery, t)
	answer := d.askChecked(r, req, bad)
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.allowTime(w)
	reached := answer.Receipt.Stage
	doc := stageDoc{Dot: req.Dot, Stage: reached.String(), Wanted: req.Stage.String(), Reached: reached >= req.Stage}
	status := http.StatusOK
	if !doc.Reached {
		status = http.StatusAccepted
	}
	setHeader(w, headerStage, doc.Stage)
	writeJSON(w, status, doc)
}

// parseStage reads the query parameters of a question for a stage.
func parseStage(query string, t target) (*kindred.Request, *kindred.Error) {
	req := &kindred.Request{Op: kindred.OpStage, Bucket: t.bucket, Key: t.key}
	return req, parseQuery(query, []parameter{
		{"dot", parsed(&req.Dot, func(s string) (string, error) { return s, nil })},
		{"wait", parsed(&req.Stage, kindred.ParseStage)},
		{"timeout", parsed(&req.Timeout, parseTimeout)},
	})
}

// repairNode asks for an exchange and an audit of this node's replicas.
func (d *httpDoor) repairNode(w http.ResponseWriter, r *http.Request, _ target) {
	d.allowTime(w)
	partition := kindred.AllPartitions
	bad := parseQuery(r.URL.RawQuery, []parameter{{"partition", parsed(&partition, parsePartition)}})
	var replicas int
	if bad == nil {
		replicas, bad = d.repair(partition)
	}
	if bad != nil {
		writeError(w, statusOf(bad), bad)
		return
	}
	writeJSON(w, http.StatusAccepted, struct {
		Replicas int `json:"replicas"`
	}{replicas})
}

func parsePartition(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, quoted(s, "is not a partition: use a number from 0, as `kvcli key where` shows it")
	}
	return n, nil
}
