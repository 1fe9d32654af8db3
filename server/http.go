package server

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

// headBytesMax bounds the head of an HTTP request: the largest context fits in
// base64, with a key in which every byte is percent-encoded.
const headBytesMax = 2 << 20

// scrapesMax bounds the concurrent requests for /metrics.
const scrapesMax = 4

// newHTTP has no read or write timeout for the whole request, because the
// backend may take as long as the client asked for: the body and the answer
// have deadlines of their own.
func (s *Server) newHTTP() *http.Server {
	h := &httpDoor{Server: s}
	if s.cfg.Gatherer != nil {
		h.metrics = promhttp.HandlerFor(s.cfg.Gatherer, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesMax})
	}
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    headBytesMax,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: s.cfg.StreamsPerConnectionMax},
	}
	if s.cfg.TLS != nil {
		server.TLSConfig = s.cfg.TLS.Clone()
	}
	return server
}

// httpDoor routes by itself: http.ServeMux cleans paths, and ".." and "//" are
// keys like any other.
type httpDoor struct {
	*Server
	metrics http.Handler
}

func (d *httpDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.allowBody(w, r)
	path := rawPath(r.URL)
	switch {
	case path == "/healthz":
		d.show(w, r, func() { writeText(w, http.StatusOK, "ok\n") })
	case path == "/readyz":
		d.show(w, r, func() { d.readyz(w) })
	case path == "/metrics" && d.metrics != nil:
		d.show(w, r, func() { d.metrics.ServeHTTP(w, r) })
	case path == "/v1/cluster":
		d.show(w, r, func() { writeJSON(w, http.StatusOK, clusterOf(d.cfg.Backend.Cluster())) })
	case path == "/v1/local":
		d.show(w, r, func() { writeJSON(w, http.StatusOK, localOf(d.whole())) })
	case path == "/v1/local/replicas":
		d.show(w, r, func() { writeJSON(w, http.StatusOK, replicasOf(d.whole())) })
	case path == "/v1/local/repair":
		d.repairNode(w, r)
	case path == "/v1/local/faults":
		d.faults(w, r)
	default:
		d.data(w, r, path)
	}
}

// show answers what is only read.
func (d *httpDoor) show(w http.ResponseWriter, r *http.Request, answer func()) {
	d.allowTime(w)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuseMethod(w, r, "GET, HEAD")
		return
	}
	answer()
}

// data answers for keys.
func (d *httpDoor) data(w http.ResponseWriter, r *http.Request, path string) {
	t, err := parsePath(path)
	switch {
	case err != nil:
		d.fail(w, opOfMethod(r.Method), err)
	case t.kind == noTarget:
		d.allowTime(w)
		writeError(w, http.StatusNotFound, kindred.Invalid("path",
			"there is nothing at %q: keys are at /v1/buckets/{bucket}/keys/{key}", clip(path)))
	case t.kind == bucketTarget && isRead(r.Method):
		d.scan(w, r, t)
	case t.kind == stageTarget && isRead(r.Method):
		d.stage(w, r, t)
	case t.kind == bucketTarget, t.kind == stageTarget:
		d.allowTime(w)
		refuseMethod(w, r, "GET, HEAD")
	case isRead(r.Method):
		d.get(w, r, t)
	case r.Method == http.MethodPut, r.Method == http.MethodDelete:
		d.change(w, r, t)
	default:
		d.allowTime(w)
		refuseMethod(w, r, "GET, HEAD, PUT, DELETE")
	}
}

func (d *httpDoor) get(w http.ResponseWriter, r *http.Request, t target) {
	o, bad := parseOptions(r.URL.RawQuery)
	req := o.request(kindred.OpGet, t)
	answer := d.askChecked(r, req, bad)
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.allowTime(w)
	writeObject(w, answer, o.one)
}

// change is a put or a delete.
func (d *httpDoor) change(w http.ResponseWriter, r *http.Request, t target) {
	op := opOfMethod(r.Method)
	o, bad := parseOptions(r.URL.RawQuery)
	req := o.request(op, t)
	if bad == nil {
		bad = parseHeaders(r.Header, req)
	}
	if bad == nil && op == kindred.OpPut {
		var held int64
		held, bad = d.readBody(w, r, req)
		defer d.bodyBytes.Add(-held)
	}
	answer := d.askChecked(r, req, bad)
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.allowTime(w)
	writeReceipt(w, answer)
}

func (d *httpDoor) scan(w http.ResponseWriter, r *http.Request, t target) {
	req, bad := parseScan(r.URL.RawQuery, t.bucket)
	answer := d.askChecked(r, req, bad)
	if answer.Err != nil {
		d.answerError(w, answer.Err)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, pageOf(answer))
}

// askChecked is ask for a request that no one has checked yet.
func (d *httpDoor) askChecked(r *http.Request, req *kindred.Request, bad *kindred.Error) *kindred.Response {
	if bad == nil {
		bad = api.Check(req)
	}
	return d.askParsed(r.Context(), req.Op, req, bad)
}

func (d *httpDoor) fail(w http.ResponseWriter, op kindred.Op, err *kindred.Error) {
	d.answerError(w, d.refuse(op, err).Err)
}

func (d *httpDoor) answerError(w http.ResponseWriter, err *kindred.Error) {
	d.allowTime(w)
	writeError(w, statusOf(err), err)
}

// allowTime bounds the writing of an answer; connections that cannot have a
// deadline are a test's.
func (d *httpDoor) allowTime(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d.cfg.AnswerTimeout))
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

func opOfMethod(method string) kindred.Op {
	switch method {
	case http.MethodGet, http.MethodHead:
		return kindred.OpGet
	case http.MethodPut:
		return kindred.OpPut
	case http.MethodDelete:
		return kindred.OpDelete
	}
	return 0
}

func refuseMethod(w http.ResponseWriter, r *http.Request, allowed string) {
	w.Header().Set("Allow", allowed)
	writeError(w, http.StatusMethodNotAllowed, kindred.Invalid("method", "%q is not possible here: use %s", clip(r.Method), allowed))
}
