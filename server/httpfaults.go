package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/transport/faults"
)

// faultBytesMax bounds a plan of faults: one that names faults.CutsMax peers.
const faultBytesMax = 1 << 20

// faults shows and changes what is made to go wrong. Every answer is the plan
// that is then in force.
func (d *httpDoor) faults(w http.ResponseWriter, r *http.Request, _ target) {
	d.allowTime(w)
	if d.cfg.Faults == nil {
		writeError(w, http.StatusForbidden, kindred.Invalid("fault-injection",
			"fault injection is off on this node: start it with --fault-injection, never in production"))
		return
	}
	if bad := parseQuery(r.URL.RawQuery, nil); bad != nil {
		writeError(w, statusOf(bad), bad)
		return
	}
	var plan faults.Plan // none, for DELETE
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		writeJSON(w, http.StatusOK, d.cfg.Faults.Faults())
		return
	case http.MethodPut:
		var bad *kindred.Error
		if plan, bad = readPlan(w, r); bad != nil {
			writeError(w, statusOf(bad), bad)
			return
		}
	}
	if err := d.cfg.Faults.SetFaults(plan); err != nil {
		bad := planError(err)
		writeError(w, statusOf(bad), bad)
		return
	}
	writeJSON(w, http.StatusOK, d.cfg.Faults.Faults())
}

func readPlan(w http.ResponseWriter, r *http.Request) (faults.Plan, *kindred.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, faultBytesMax))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return faults.Plan{}, kindred.Invalid("body", "it has more than %d bytes", faultBytesMax)
	} else if err != nil {
		return faults.Plan{}, kindred.Invalid("body", "it did not arrive whole: %v", err)
	}
	var plan faults.Plan
	if err := json.Unmarshal(body, &plan); err != nil {
		return faults.Plan{}, planError(err)
	}
	return plan, nil
}

// planError names the part of the plan that is wrong, if it is known.
func planError(err error) *kindred.Error {
	bad := (*faults.PlanError)(nil)
	if !errors.As(err, &bad) {
		return kindred.Invalid("body", "it is no plan of faults: %v", err)
	}
	e := kindred.Invalid(bad.Field, "%s", bad.Reason)
	e.Limit = bad.Limit
	return e
}
