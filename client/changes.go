package client

import (
	"context"
	"fmt"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
	kindredv1 "github.com/kindredkv/kindred/api/kindred/v1"
)

// Changes asks one node, by name, what is staged, how far a change of the layout is,
// and what changes there were.
func (c *Client) Changes(ctx context.Context, name string) (kindred.Changes, error) {
	return c.order(ctx, "show the changes", name, func(ctx context.Context, at kindredv1.ClusterClient) (*kindredv1.ChangesResponse, error) {
		return at.Changes(ctx, &kindredv1.ChangesRequest{})
	})
}

// Stage stages what is to become of nodes at one node, by name: all of it or nothing.
// Nothing changes before a commit. What is staged travels to all nodes; for a node the
// latest change counts.
//
// Stage, ClearStaged, Plan and Commit ask once: they are orders to one node, and another
// may not have heard of the same. After an error of unknown outcome look with
// [Client.Changes].
func (c *Client) Stage(ctx context.Context, name string, changes ...kindred.NodeChange) (kindred.Changes, error) {
	if err := kindred.CheckChanges(changes); err != nil {
		return kindred.Changes{}, err
	}
	return c.order(ctx, "stage", name, func(ctx context.Context, at kindredv1.ClusterClient) (*kindredv1.ChangesResponse, error) {
		return at.StageChanges(ctx, api.FormatStageChanges(changes))
	})
}

// ClearStaged takes back all that is staged. What was committed stays: stage the
// reverse.
func (c *Client) ClearStaged(ctx context.Context, name string) (kindred.Changes, error) {
	return c.order(ctx, "clear", name, func(ctx context.Context, at kindredv1.ClusterClient) (*kindredv1.ChangesResponse, error) {
		return at.ClearChanges(ctx, &kindredv1.ClearChangesRequest{})
	})
}

// Plan says what a commit of all that is staged would do.
func (c *Client) Plan(ctx context.Context, name string) (kindred.LayoutPlan, error) {
	var plan kindred.LayoutPlan
	err := c.askNode(ctx, "plan", name, func(ctx context.Context, at kindredv1.ClusterClient) error {
		m, err := at.Plan(ctx, &kindredv1.PlanRequest{})
		if err == nil {
			plan = api.ParsePlan(m)
		}
		return err
	})
	return plan, err
}

// Commit proposes a plan to all nodes. It is refused with [kindred.CodeUnsafe] if the plan
// is another by now, or has refusals; acceptLoss takes it for no refusal that acknowledged
// writes may be lost. The layout is used when all voters hold it:
// [Client.Changes] shows how far that is.
func (c *Client) Commit(ctx context.Context, name, version string, acceptLoss bool) (kindred.Changes, error) {
	return c.order(ctx, "commit", name, func(ctx context.Context, at kindredv1.ClusterClient) (*kindredv1.ChangesResponse, error) {
		return at.Commit(ctx, &kindredv1.CommitRequest{Version: version, AcceptLoss: acceptLoss})
	})
}

// order gives an order to one node, and returns what it knows then.
func (c *Client) order(ctx context.Context, verb, name string, give func(context.Context, kindredv1.ClusterClient) (*kindredv1.ChangesResponse, error)) (known kindred.Changes, err error) {
	err = c.askNode(ctx, verb, name, func(ctx context.Context, at kindredv1.ClusterClient) error {
		m, err := give(ctx, at)
		if err == nil {
			known = api.ParseChanges(m)
		}
		return err
	})
	return known, err
}

// askNode puts one question to one node.
func (c *Client) askNode(ctx context.Context, verb, name string, ask func(context.Context, kindredv1.ClusterClient) error) error {
	n := c.routes.Load().byName[name]
	if n == nil {
		return c.unknownNode(name)
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.timeout)
	defer cancel()
	if err := ask(ctx, kindredv1.NewClusterClient(n.connection())); err != nil {
		return fmt.Errorf("kindred: %s at %s at %s: %w", verb, n.name, n.addr, answer(err))
	}
	return nil
}
