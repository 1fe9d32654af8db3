package server

import (
	_ "embed"
	"net/http"
)

// openapiYAML describes this door; docs/openapi.yaml is the same file.
//
//go:embed openapi.yaml
var openapiYAML string

func (d *httpDoor) openapi(w http.ResponseWriter, r *http.Request, _ target) {
	d.allowTime(w)
	if bad := parseQuery(r.URL.RawQuery, nil); bad != nil {
		writeError(w, statusOf(bad), bad)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	writeBody(w, http.StatusOK, []byte(openapiYAML))
}
