package server

import (
	"context"
	"net/http"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

func (d *httpDoor) get(w http.ResponseWriter, r *http.Request, t target) {
	o, bad := parseOptions(r.URL.RawQuery, kindred.OpGet)
	answer := d.askChecked(r, o.request(kindred.OpGet, t), bad)
	var held int64
	if answer.Err == nil {
		held, answer.Err = d.holdAnswer(valueBytes(answer))
		defer d.answerBytes.Add(-held)
	}
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.allowTime(w)
	writeObject(w, r, answer, o.one)
}

// change is a put or a delete.
func (d *httpDoor) change(w http.ResponseWriter, r *http.Request, t target) {
	began := time.Now()
	o, bad := parseOptions(r.URL.RawQuery, opOfMethod(r.Method))
	answer := d.write(w, r, o.request(opOfMethod(r.Method), t), bad)
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.await(r.Context(), t, &o, began, &answer.Receipt)
	d.allowTime(w)
	writeReceipt(w, answer)
}

// write reads what there is to write and writes it.
func (d *httpDoor) write(w http.ResponseWriter, r *http.Request, req *kindred.Request, bad *kindred.Error) *kindred.Response {
	if bad == nil {
		bad = parseHeaders(r.Header, req)
	}
	if bad == nil && req.Op == kindred.OpPut {
		bad = checkEncoding(r.Header)
	}
	if bad == nil && req.Op == kindred.OpPut {
		var held int64
		held, bad = d.readBody(w, r, req)
		defer d.bodyBytes.Add(-held)
	}
	return d.askChecked(r, req, bad)
}

// await waits for the stage that a write is to reach, in what is left of its
// time. The write is done whatever comes of it: the receipt says how far it is.
func (d *httpDoor) await(ctx context.Context, t target, o *options, began time.Time, receipt *kindred.Receipt) {
	if receipt.Stage >= o.wait {
		return
	}
	req := &kindred.Request{Op: kindred.OpStage, Bucket: t.bucket, Key: t.key, Dot: receipt.Dot, Stage: o.wait}
	if o.timeout > 0 {
		if req.Timeout = o.timeout - time.Since(began); req.Timeout <= 0 {
			return
		}
	}
	if api.Check(req) != nil {
		return // a receipt without a name cannot be asked about
	}
	if r := d.ask(ctx, req); r.Err == nil {
		receipt.Stage = max(receipt.Stage, r.Receipt.Stage)
	}
}

func (d *httpDoor) scan(w http.ResponseWriter, r *http.Request, t target) {
	req, bad := parseScan(r.URL.RawQuery, t.bucket)
	answer := d.askChecked(r, req, bad)
	var held int64
	if answer.Err == nil {
		held, answer.Err = d.holdAnswer(pageBytes(answer))
		defer d.answerBytes.Add(-held)
	}
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, pageOf(answer))
}

// inspect shows what every home replica holds of a key.
func (d *httpDoor) inspect(w http.ResponseWriter, r *http.Request, t target) {
	d.survey(w, r, t, kindred.OpInspect)
}

// repairKey makes them equal, and shows what they held before.
func (d *httpDoor) repairKey(w http.ResponseWriter, r *http.Request, t target) {
	d.survey(w, r, t, kindred.OpRepair)
}

func (d *httpDoor) survey(w http.ResponseWriter, r *http.Request, t target, op kindred.Op) {
	req := &kindred.Request{Op: op, Bucket: t.bucket, Key: t.key}
	bad := parseQuery(r.URL.RawQuery, []parameter{{"timeout", parsed(&req.Timeout, parseTimeout)}})
	answer := d.askChecked(r, req, bad)
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, viewsOf(answer))
}

type viewsDoc struct {
	Replicas []viewDoc `json:"replicas"`
}

// viewDoc is what one home replica holds of a key, or a guest for the homes.
type viewDoc struct {
	Node string `json:"node"`
	// Guest is there for a node that is no home: it owes homes what it holds.
	Guest bool `json:"guest,omitempty"`
	// Error says why the replica did not answer; the rest is then unknown.
	Error string `json:"error"`
	// Repaired: it was behind the others and is not any more.
	Repaired bool             `json:"repaired"`
	Siblings []siblingViewDoc `json:"siblings"`
	Context  string           `json:"context"`
	Clock    string           `json:"clock"`
}

type siblingViewDoc struct {
	Dot         string   `json:"dot"`
	Bytes       int      `json:"bytes"`
	ContentType string   `json:"content_type"`
	WrittenAt   string   `json:"written_at"`
	Node        string   `json:"node"`
	Causes      []string `json:"causes"`
	ExpiresAt   string   `json:"expires_at,omitempty"`
}

func viewsOf(r *kindred.Response) *viewsDoc {
	doc := &viewsDoc{Replicas: make([]viewDoc, len(r.Replicas))}
	for i, v := range r.Replicas {
		view := viewDoc{
			Node: v.Node, Guest: v.Guest, Error: v.Err, Repaired: v.Repaired, Context: v.Context, Clock: v.Clock,
			Siblings: make([]siblingViewDoc, len(v.Siblings)),
		}
		for j, s := range v.Siblings {
			view.Siblings[j] = siblingViewDoc{
				Dot: s.Dot, Bytes: s.Bytes, ContentType: s.ContentType, WrittenAt: rfc3339(s.WrittenAt), Node: s.Node,
				Causes: append([]string{}, s.Causes.Names()...), ExpiresAt: expiryText(s.ExpiresAt),
			}
		}
		doc.Replicas[i] = view
	}
	return doc
}
