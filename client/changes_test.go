package client_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// known is what the fake cluster says of changes.
func (n *fakeNode) known() *kindredv1.ChangesResponse {
	f := n.cluster
	f.mu.Lock()
	defer f.mu.Unlock()
	return api.FormatChanges(&kindred.Changes{Node: n.name, Staged: f.staged, Progress: kindred.LayoutProgress{Tip: f.layout.Version().String()}})
}

// Changes implements kindredv1.ClusterServer.
func (n *fakeNode) Changes(context.Context, *kindredv1.ChangesRequest) (*kindredv1.ChangesResponse, error) {
	return n.known(), nil
}

// StageChanges implements kindredv1.ClusterServer.
func (n *fakeNode) StageChanges(_ context.Context, m *kindredv1.StageChangesRequest) (*kindredv1.ChangesResponse, error) {
	changes, bad := api.ParseStageChanges(m)
	if bad != nil {
		return nil, api.Status(bad).Err()
	}
	n.cluster.mu.Lock()
	n.cluster.staged = append(n.cluster.staged, changes...)
	n.cluster.mu.Unlock()
	return n.known(), nil
}

// ClearChanges implements kindredv1.ClusterServer.
func (n *fakeNode) ClearChanges(context.Context, *kindredv1.ClearChangesRequest) (*kindredv1.ChangesResponse, error) {
	n.cluster.mu.Lock()
	n.cluster.staged = nil
	n.cluster.mu.Unlock()
	return n.known(), nil
}

// Plan implements kindredv1.ClusterServer.
func (n *fakeNode) Plan(context.Context, *kindredv1.PlanRequest) (*kindredv1.PlanResponse, error) {
	return api.FormatPlan(&kindred.LayoutPlan{Node: n.name, Version: "2-ab"}), nil
}

// Commit implements kindredv1.ClusterServer. A lost answer is asked for once.
func (n *fakeNode) Commit(_ context.Context, m *kindredv1.CommitRequest) (*kindredv1.ChangesResponse, error) {
	n.calls.Add(1)
	if m.GetVersion() != "2-ab" {
		return nil, api.Status(&kindred.Error{Code: kindred.CodeUnsafe, Outcome: kindred.NotApplied, Message: "the plan is 2-ab by now"}).Err()
	}
	return n.known(), nil
}

func TestAChangeIsOrderedAtOneNode(t *testing.T) {
	f := cluster(t, 3)
	c := dial(t, f)
	join := kindred.NodeChange{Node: "n4", Intent: kindred.IntentOwn, Zone: "z1", Capacity: 2}
	staged, err := c.Stage(t.Context(), "n2", join)
	require.NoError(t, err)
	require.Equal(t, "n2", staged.Node)
	require.Equal(t, []kindred.NodeChange{join}, staged.Staged)
	seen, err := c.Changes(t.Context(), "n3")
	require.NoError(t, err)
	require.Equal(t, staged.Staged, seen.Staged)
	require.Equal(t, f.layout.Version().String(), seen.Progress.Tip)

	plan, err := c.Plan(t.Context(), "n1")
	require.NoError(t, err)
	_, err = c.Commit(t.Context(), "n1", "1-00", false)
	require.True(t, kindred.HasCode(err, kindred.CodeUnsafe), "%v", err)
	require.Equal(t, kindred.NotApplied, kindred.OutcomeOf(err))
	_, err = c.Commit(t.Context(), "n1", plan.Version, false)
	require.NoError(t, err)
	require.Equal(t, int64(2), f.nodes[0].calls.Load(), "an order is given once")
	cleared, err := c.ClearStaged(t.Context(), "n1")
	require.NoError(t, err)
	require.Empty(t, cleared.Staged)
}

func TestBadChangesAreRefusedBeforeTheyAreSent(t *testing.T) {
	f := cluster(t, 1)
	c := dial(t, f)
	_, err := c.Stage(t.Context(), "n1")
	require.ErrorContains(t, err, "there is nothing to stage")
	_, err = c.Stage(t.Context(), "n1", kindred.NodeChange{Node: "n1", Intent: "fly"})
	require.ErrorContains(t, err, `"fly" is no intent: use own, leave, remove or keep`)
	_, err = c.Plan(t.Context(), "n7")
	require.ErrorContains(t, err, `no node is called "n7"`)
	_, err = c.Changes(t.Context(), "n7")
	require.ErrorContains(t, err, `no node is called "n7"`)
	require.Empty(t, f.staged)

	f.nodes[0].kill()
	_, err = c.Commit(t.Context(), "n1", "2-ab", false)
	require.Equal(t, kindred.Unknown, kindred.OutcomeOf(err), "a lost order may have been carried out")
}
