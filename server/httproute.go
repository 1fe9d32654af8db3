package server

import (
	"net/http"
	"strings"
)

// handler answers one method of one path.
type handler func(w http.ResponseWriter, r *http.Request, t target)

// verb is a method that a path has.
type verb struct {
	method string
	serve  handler
}

// table is all that this door answers. openapi.yaml says the same to strangers,
// and the tests hold one to the other.
func (d *httpDoor) table() map[targetKind][]verb {
	routes := map[targetKind][]verb{
		"/healthz":         reading(d.healthz),
		"/readyz":          reading(d.readyz),
		"/v1/openapi.yaml": reading(d.openapi),
		"/v1/cluster":      reading(d.showing(func() any { return clusterOf(d.cfg.Backend.Cluster()) })),
		"/v1/cluster/changes": append(reading(d.showChanges),
			verb{http.MethodPost, d.stageChanges}, verb{http.MethodDelete, d.clearChanges}),
		"/v1/cluster/plan":   reading(d.showPlan),
		"/v1/cluster/commit": {{http.MethodPost, d.commit}},
		"/v1/local":          reading(d.showing(func() any { return localOf(d.whole()) })),
		"/v1/local/replicas": reading(d.showing(func() any { return replicasOf(d.whole()) })),
		"/v1/local/repair":   {{http.MethodPost, d.repairNode}},
		"/v1/local/faults": append(reading(d.faults),
			verb{http.MethodPut, d.faults}, verb{http.MethodDelete, d.faults}),
		bucketsTarget: reading(d.listBuckets),
		optionsTarget: append(reading(d.showBucket), verb{http.MethodPut, d.putBucket}),
		bucketTarget:  reading(d.scan),
		keyTarget: append(reading(d.get),
			verb{http.MethodPut, d.change}, verb{http.MethodDelete, d.change}),
		stageTarget:    reading(d.stage),
		replicasTarget: reading(d.inspect),
		repairTarget:   {{http.MethodPost, d.repairKey}},
	}
	if d.metrics != nil {
		routes["/metrics"] = reading(d.scrape)
	}
	return routes
}

// reading is a path that can be looked at: HEAD is GET without the body, which
// net/http leaves out by itself.
func reading(h handler) []verb {
	return []verb{{http.MethodGet, h}, {http.MethodHead, h}}
}

// allowed is the header Allow of a path.
func allowed(verbs []verb) string {
	methods := make([]string, len(verbs))
	for i, v := range verbs {
		methods[i] = v.method
	}
	return strings.Join(methods, ", ")
}

// showing answers with a document about the node.
func (d *httpDoor) showing(document func() any) handler {
	return func(w http.ResponseWriter, r *http.Request, _ target) {
		if bad := parseQuery(r.URL.RawQuery, nil); bad != nil {
			d.answerError(w, bad)
			return
		}
		d.allowTime(w)
		writeJSON(w, http.StatusOK, document())
	}
}

// healthz, readyz and metrics take whatever parameters a prober adds.
func (d *httpDoor) healthz(w http.ResponseWriter, _ *http.Request, _ target) {
	d.allowTime(w)
	writeText(w, http.StatusOK, "ok\n")
}

func (d *httpDoor) scrape(w http.ResponseWriter, r *http.Request, _ target) {
	d.allowTime(w)
	d.metrics.ServeHTTP(w, r)
}
