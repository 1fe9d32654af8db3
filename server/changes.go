package server

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// Planner changes the layout of the cluster, as an operator wants it.
type Planner interface {
	// Changes says what is staged, how far a change is, and what changes there were.
	Changes(ctx context.Context) (kindred.Changes, *kindred.Error)
	// Stage stages changes, all or none; none takes back all that is staged.
	Stage(ctx context.Context, changes []kindred.NodeChange) *kindred.Error
	// Plan says what a commit would do.
	Plan(ctx context.Context) (kindred.LayoutPlan, *kindred.Error)
	// Commit proposes the plan of that version to all nodes. AcceptLoss takes it for no
	// refusal that acknowledged writes may be lost.
	Commit(ctx context.Context, version string, acceptLoss bool) *kindred.Error
}

// changesBytesMax bounds the body of an order to stage changes: names and zones of
// the longest kind for all nodes that there may be.
const changesBytesMax = kindred.ChangesMax * 2048

func (s *Server) planner() (Planner, *kindred.Error) {
	if s.cfg.Planner == nil {
		return nil, kindred.Invalid("changes", "this node takes no orders to change the layout")
	}
	return s.cfg.Planner, nil
}

// order gives one, unless it was bad, and answers with what is known then.
func (s *Server) order(ctx context.Context, bad *kindred.Error, give func(Planner) *kindred.Error) (kindred.Changes, *kindred.Error) {
	if bad != nil {
		return kindred.Changes{}, bad
	}
	p, err := s.planner()
	if err != nil {
		return kindred.Changes{}, err
	}
	if err := give(p); err != nil {
		return kindred.Changes{}, err
	}
	return p.Changes(ctx)
}

func (s *Server) plan(ctx context.Context) (kindred.LayoutPlan, *kindred.Error) {
	p, err := s.planner()
	if err != nil {
		return kindred.LayoutPlan{}, err
	}
	return p.Plan(ctx)
}

func (d *clusterDoor) ordered(ctx context.Context, bad *kindred.Error, give func(Planner) *kindred.Error) (*pb.ChangesResponse, error) {
	c, err := d.order(ctx, bad, give)
	if err != nil {
		return nil, api.Status(err).Err()
	}
	return api.FormatChanges(&c), nil
}

// Changes implements the gRPC service.
func (d *clusterDoor) Changes(ctx context.Context, _ *pb.ChangesRequest) (*pb.ChangesResponse, error) {
	return d.ordered(ctx, nil, func(Planner) *kindred.Error { return nil })
}

// StageChanges implements the gRPC service.
func (d *clusterDoor) StageChanges(ctx context.Context, m *pb.StageChangesRequest) (*pb.ChangesResponse, error) {
	changes, bad := api.ParseStageChanges(m)
	return d.ordered(ctx, bad, func(p Planner) *kindred.Error { return p.Stage(ctx, changes) })
}

// ClearChanges implements the gRPC service.
func (d *clusterDoor) ClearChanges(ctx context.Context, _ *pb.ClearChangesRequest) (*pb.ChangesResponse, error) {
	return d.ordered(ctx, nil, func(p Planner) *kindred.Error { return p.Stage(ctx, nil) })
}

// Commit implements the gRPC service.
func (d *clusterDoor) Commit(ctx context.Context, m *pb.CommitRequest) (*pb.ChangesResponse, error) {
	return d.ordered(ctx, checkVersion(m.GetVersion()), func(p Planner) *kindred.Error { return p.Commit(ctx, m.GetVersion(), m.GetAcceptLoss()) })
}

// Plan implements the gRPC service.
func (d *clusterDoor) Plan(ctx context.Context, _ *pb.PlanRequest) (*pb.PlanResponse, error) {
	p, err := d.plan(ctx)
	if err != nil {
		return nil, api.Status(err).Err()
	}
	return api.FormatPlan(&p), nil
}

func checkVersion(version string) *kindred.Error {
	if version == "" {
		return kindred.Invalid("version", "a commit names the version of the plan that was looked at: ask for the plan first")
	}
	return nil
}

// answerChanges is what every order over HTTP ends with.
func (d *httpDoor) answerChanges(w http.ResponseWriter, r *http.Request, bad *kindred.Error, give func(Planner) *kindred.Error) {
	c, err := d.order(r.Context(), bad, give)
	if err != nil {
		d.answerError(w, err)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, api.NewChangesDoc(&c))
}

// showChanges answers GET /v1/cluster/changes.
func (d *httpDoor) showChanges(w http.ResponseWriter, r *http.Request, _ target) {
	d.answerChanges(w, r, parseQuery(r.URL.RawQuery, nil), func(Planner) *kindred.Error { return nil })
}

// stageChanges answers POST /v1/cluster/changes.
func (d *httpDoor) stageChanges(w http.ResponseWriter, r *http.Request, _ target) {
	bad := parseQuery(r.URL.RawQuery, nil)
	var changes []kindred.NodeChange
	if bad == nil {
		changes, bad = readChanges(w, r)
	}
	d.answerChanges(w, r, bad, func(p Planner) *kindred.Error { return p.Stage(r.Context(), changes) })
}

// clearChanges answers DELETE /v1/cluster/changes.
func (d *httpDoor) clearChanges(w http.ResponseWriter, r *http.Request, _ target) {
	d.answerChanges(w, r, parseQuery(r.URL.RawQuery, nil), func(p Planner) *kindred.Error { return p.Stage(r.Context(), nil) })
}

// commit answers POST /v1/cluster/commit.
func (d *httpDoor) commit(w http.ResponseWriter, r *http.Request, _ target) {
	var version string
	var acceptLoss bool
	bad := parseQuery(r.URL.RawQuery, []parameter{
		{"version", parsed(&version, func(s string) (string, error) { return s, nil })}, {"accept_loss", parsed(&acceptLoss, parseBool)},
	})
	if bad == nil {
		bad = checkVersion(version)
	}
	d.answerChanges(w, r, bad, func(p Planner) *kindred.Error { return p.Commit(r.Context(), version, acceptLoss) })
}

// showPlan answers GET /v1/cluster/plan.
func (d *httpDoor) showPlan(w http.ResponseWriter, r *http.Request, _ target) {
	bad := parseQuery(r.URL.RawQuery, nil)
	var p kindred.LayoutPlan
	if bad == nil {
		p, bad = d.plan(r.Context())
	}
	if bad != nil {
		d.answerError(w, bad)
		return
	}
	d.allowTime(w)
	writeJSON(w, http.StatusOK, api.NewPlanDoc(&p))
}

func readChanges(w http.ResponseWriter, r *http.Request) ([]kindred.NodeChange, *kindred.Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, changesBytesMax))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, &kindred.Error{
			Code: kindred.CodeTooLarge, Field: "body", Limit: changesBytesMax, Outcome: kindred.NotApplied,
			Message: "the changes have more bytes than those of all nodes need: stage them in several orders",
		}
	} else if err != nil {
		return nil, kindred.Invalid("body", "it did not arrive whole: %v", err)
	}
	return api.ParseStageDoc(body)
}
