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
	h.routes = h.table()
	door := browsers{h, http.NewCrossOriginProtection()}
	server := &http.Server{
		Handler:           door,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    headBytesMax,
		ErrorLog:          slog.NewLogLogger(s.cfg.Logger.Handler(), slog.LevelDebug),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: s.cfg.StreamsPerConnectionMax},
	}
	if guard := s.guard(); guard != nil {
		server.TLSConfig, server.Handler = guard.keeper.Server("h2", "http/1.1"), guard.http(door)
	}
	return server
}

// httpDoor is what answers over HTTP.
type httpDoor struct {
	*Server
	metrics http.Handler
	routes  map[targetKind][]verb
}

// ServeHTTP routes by itself: http.ServeMux cleans paths, and ".." and "//" are
// keys like any other.
func (d *httpDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.allowBody(w, r)
	id, _ := kindred.ParseRequestID(r.Header.Get(headerRequestID)) // one that cannot be read is refused below
	ctx, name := traced(r.Context(), id)
	r = r.WithContext(ctx)
	w.Header().Set(headerTrace, name)
	path := rawPath(r.URL)
	t, bad := parsePath(path)
	if bad == nil {
		bad = checkHeaders(r.Header)
	}
	if bad != nil {
		d.fail(w, r, opOfMethod(r.Method), bad)
		return
	}
	verbs := d.routes[t.kind]
	for _, v := range verbs {
		if v.method == r.Method {
			v.serve(w, r, t)
			return
		}
	}
	d.allowTime(w)
	if len(verbs) > 0 {
		refuseMethod(w, r, allowed(verbs))
		return
	}
	writeError(w, http.StatusNotFound, kindred.Invalid("path",
		"there is nothing at %q: keys are at /v1/buckets/{bucket}/keys/{key}", clip(path)))
}

// askChecked is ask for a request that no one has checked yet.
func (d *httpDoor) askChecked(r *http.Request, req *kindred.Request, bad *kindred.Error) *kindred.Response {
	if bad == nil {
		bad = api.Check(req)
	}
	return d.askParsed(r.Context(), req.Op, req, bad)
}

func (d *httpDoor) fail(w http.ResponseWriter, r *http.Request, op kindred.Op, err *kindred.Error) {
	d.answerError(w, d.refuse(op, requestID(r.Context(), nil), err).Err)
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
