package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
	"github.com/kindredkv/kindred/server"
)

// planner stages in a list, and commits a plan that has one node more.
type planner struct {
	staged    []kindred.NodeChange
	committed string
	loss      bool
	// fail answers everything, if set.
	fail *kindred.Error
}

func (p *planner) Changes(context.Context) (kindred.Changes, *kindred.Error) {
	return kindred.Changes{
		Node: "n1", Staged: p.staged,
		Progress: kindred.LayoutProgress{
			Tip: "2-ab", Base: "1-cd", Gone: []string{"n9"}, Since: time.UnixMilli(1e12),
			Nodes:    []kindred.NodeProgress{{Node: "n1", Holds: true, Step: kindred.StepBoth, Complete: true}},
			Waits:    []kindred.NodeFailure{{Node: "n2", Reason: "is not complete yet"}},
			Transfer: kindred.Transfer{Copies: 4, Complete: 1, Bytes: 1000, Rate: 500, Left: 1500 * time.Millisecond},
			Incomplete: []kindred.IncompleteCopies{{
				Node: "n1", Partitions: []int{3, 7}, Waits: []string{"n2"}, Reason: "has not heard yet what they have", Hopeless: true,
			}},
		},
		History: []kindred.PastChange{{
			Version: "2-ab", From: "1-cd", Outcome: "running", Changes: []kindred.NodeChange{{Node: "n9", Intent: kindred.IntentRemove}},
			Committed: time.UnixMilli(1e12), Copies: 4, Bytes: 4000, Expected: 2 * time.Second, Moved: 1000,
		}},
	}, p.fail
}

func (p *planner) Stage(_ context.Context, changes []kindred.NodeChange) *kindred.Error {
	if p.fail != nil {
		return p.fail
	}
	if p.staged = append(p.staged, changes...); len(changes) == 0 {
		p.staged = nil
	}
	return nil
}

func (p *planner) Plan(context.Context) (kindred.LayoutPlan, *kindred.Error) {
	return kindred.LayoutPlan{
		Node: "n1", Version: "3-ef", From: "2-ab", Changes: p.staged, Copies: 2, Bytes: 64, Expected: time.Second, AtRisk: 7,
		Nodes:      []kindred.PlannedNode{{Node: "n4", Zone: "z1", Capacity: 1, After: 2, CopiesIn: 2, BytesIn: 64}},
		Guarantees: []string{"reads and writes go on"}, Waits: []string{"n5"},
		Refusals: []kindred.PlanProblem{{Kind: "orphaned", Text: "7 partitions lose too many owners"}},
		Notes:    []kindred.PlanProblem{{Kind: "unheard", Node: "n5", Text: "it begins when n5 can be reached"}},
	}, p.fail
}

func (p *planner) Commit(_ context.Context, version string, loss bool) *kindred.Error {
	if p.fail != nil {
		return p.fail
	}
	if version != "3-ef" {
		return &kindred.Error{Code: kindred.CodeUnsafe, Field: "version", Outcome: kindred.NotApplied, Message: "the plan is 3-ef by now: look at it again"}
	}
	p.committed, p.loss = version, loss
	return nil
}

func openWithPlanner(t *testing.T) (*house, *planner) {
	p := &planner{}
	return open(t, func(c *server.Config) { c.Planner = p }), p
}

const (
	runs = `"progress":{"tip":"2-ab","base":"1-cd","next":"","settled":false,"gone":["n9"],"loss_accepted":false,"since":"2001-09-09T01:46:40Z",` +
		`"nodes":[{"node":"n1","holds":true,"step":"both","complete":true,"gone":false}],"waits_for":[{"node":"n2","reason":"is not complete yet"}],` +
		`"transfer":{"copies":4,"complete":1,"bytes":1000,"bytes_per_second":500,"left_seconds":1.5},"incomplete":[{"node":"n1","partitions":[3,7],"waits_for":["n2"],"reason":"has not heard yet what they have","hopeless":true}]},` +
		`"history":[{"version":"2-ab","from":"1-cd","changes":[{"node":"n9","intent":"remove","zone":"","capacity":0}],"outcome":"running","loss_accepted":false,` +
		`"committed_at":"2001-09-09T01:46:40Z","ended_at":"","copies":4,"bytes":4000,"expected_seconds":2,"took_seconds":0,"moved_bytes":1000}]}` + "\n"
	join = `{"changes":[{"node":"n4","intent":"own","zone":"z1","capacity":1}]}`
)

func TestAChangeIsStagedPlannedAndCommittedOverHTTP(t *testing.T) {
	h, p := openWithPlanner(t)
	require.Equal(t, `{"node":"n1","staged":[],`+runs, h.get(t, "/v1/cluster/changes").body)
	staged := h.do(t, "POST", "/v1/cluster/changes", strings.NewReader(join))
	require.Equal(t, 200, staged.status, staged.body)
	require.Equal(t, `{"node":"n1","staged":[{"node":"n4","intent":"own","zone":"z1","capacity":1}],`+runs, staged.body)

	plan := h.get(t, "/v1/cluster/plan")
	require.Equal(t, `{"node":"n1","version":"3-ef","from":"2-ab","changes":[{"node":"n4","intent":"own","zone":"z1","capacity":1}],`+
		`"nodes":[{"node":"n4","zone":"z1","capacity":1,"gone":false,"leaves":false,"before":0,"after":2,"copies_in":2,"copies_out":0,"bytes_in":64,"bytes_out":0}],`+
		`"copies":2,"bytes":64,"expected_seconds":1,"guarantees":["reads and writes go on"],"refusals":[{"kind":"orphaned","node":"","text":"7 partitions lose too many owners"}],`+
		`"notes":[{"kind":"unheard","node":"n5","text":"it begins when n5 can be reached"}],"waits_for":["n5"],"partitions_at_risk":7}`+"\n", plan.body)

	stale := h.do(t, "POST", "/v1/cluster/commit?version=2-ab", nil)
	require.Equal(t, 409, stale.status)
	require.Contains(t, stale.body, `"code":"unsafe"`)
	require.Empty(t, p.committed, "what was not looked at is not committed")
	done := h.do(t, "POST", "/v1/cluster/commit?version=3-ef&accept_loss=true", nil)
	require.Equal(t, 200, done.status, done.body)
	require.Equal(t, "3-ef", p.committed)
	require.True(t, p.loss)

	cleared := h.do(t, "DELETE", "/v1/cluster/changes", nil)
	require.Equal(t, `{"node":"n1","staged":[],`+runs, cleared.body)
}

func TestBadChangesAreNamed(t *testing.T) {
	h, p := openWithPlanner(t)
	for _, c := range []struct{ body, field, message string }{
		{``, "body", "the changes are not such as"},
		{`{"changes":[{"node":"n1","intent":"leave"}]} {}`, "body", "more follows after its end"},
		{`{"changes":[{"node":"n1","intent":"leave"}]}}`, "body", "more follows after its end"},
		{`{"nodes":[]}`, "body", `unknown field \"nodes\"`},
		{`{"changes":[]}`, "changes", "there is nothing to stage: name at least one node"},
		{`{"changes":[{"node":"","intent":"leave"}]}`, "node", "a change names no node"},
		{`{"changes":[{"node":"n1","intent":"leave"},{"node":"n1","intent":"keep"}]}`, "node", `node \"n1\" is named twice`},
		{`{"changes":[{"node":"n1","intent":"go"}]}`, "intent", `node \"n1\": \"go\" is no intent: use own, leave, remove or keep`},
		{`{"changes":[{"node":"n1","intent":"leave","zone":"z1"}]}`, "zone", "has a zone or a capacity only with the intent own"},
	} {
		got := h.do(t, "POST", "/v1/cluster/changes", strings.NewReader(c.body))
		require.Equal(t, 400, got.status, "%s: %s", c.body, got.body)
		require.Contains(t, got.body, fmt.Sprintf(`"field":%q`, c.field), c.body)
		require.Contains(t, got.body, c.message, c.body)
	}
	many := h.do(t, "POST", "/v1/cluster/changes", strings.NewReader(`{"changes":[`+strings.Repeat(`{"node":"x","intent":"leave"},`, 512)+`{"node":"y","intent":"leave"}]}`))
	require.Equal(t, 413, many.status)
	require.Contains(t, many.body, "513 changes at once, the limit is 512")
	require.Equal(t, 413, h.do(t, "POST", "/v1/cluster/changes", strings.NewReader(strings.Repeat(" ", 1<<20+1))).status)
	require.Contains(t, h.do(t, "POST", "/v1/cluster/commit", nil).body, "a commit names the version of the plan that was looked at")
	require.Empty(t, p.staged)
	require.Empty(t, p.committed)
	require.Contains(t, open(t).get(t, "/v1/cluster/plan").body, "this node takes no orders to change the layout")
}

func TestAChangeIsStagedPlannedAndCommittedOverGRPC(t *testing.T) {
	h, p := openWithPlanner(t)
	c := pb.NewClusterClient(h.dial(t))
	change := []kindred.NodeChange{{Node: "n4", Intent: kindred.IntentOwn, Zone: "z1", Capacity: 1}}
	staged, err := c.StageChanges(within(t), api.FormatStageChanges(change))
	require.NoError(t, err)
	require.Equal(t, change, api.ParseChanges(staged).Staged)
	seen, err := c.Changes(within(t), &pb.ChangesRequest{})
	require.NoError(t, err)
	require.Equal(t, 1500*time.Millisecond, api.ParseChanges(seen).Progress.Transfer.Left)
	plan, err := c.Plan(within(t), &pb.PlanRequest{})
	require.NoError(t, err)
	require.Equal(t, "3-ef", api.ParsePlan(plan).Version)

	_, err = c.Commit(within(t), &pb.CommitRequest{Version: "1-00"})
	require.Equal(t, kindred.CodeUnsafe, api.ErrorOf(err).Code)
	_, err = c.Commit(within(t), &pb.CommitRequest{})
	require.Equal(t, "version", api.ErrorOf(err).Field)
	_, err = c.StageChanges(within(t), &pb.StageChangesRequest{Changes: []*pb.NodeChange{{Node: "n1", Intent: "fly"}}})
	require.Equal(t, "intent", api.ErrorOf(err).Field)
	_, err = c.Commit(within(t), &pb.CommitRequest{Version: "3-ef"})
	require.NoError(t, err)
	require.Equal(t, "3-ef", p.committed)
	cleared, err := c.ClearChanges(within(t), &pb.ClearChangesRequest{})
	require.NoError(t, err)
	require.Empty(t, cleared.Staged)

	p.fail = &kindred.Error{Code: kindred.CodeNoLayout, Outcome: kindred.NotApplied}
	_, err = c.Plan(within(t), &pb.PlanRequest{})
	require.Equal(t, kindred.CodeNoLayout, api.ErrorOf(err).Code)
	_, err = c.Changes(within(t), &pb.ChangesRequest{})
	require.Equal(t, kindred.CodeNoLayout, api.ErrorOf(err).Code)
}
