package nemesis

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/kindredkv/kindred/api"
)

// auditCut ends what an audit needs.
func auditCut() Kind {
	return Kind{
		Name: "audit-cut", Touches: Nodes, Loses: Unsynced, NodesMin: 3,
		Doc:   "one node looks all its replicas through (an audit), and meanwhile it, or another one, is killed or frozen; then it goes on",
		Holds: "everything: an audit that could not be ended has found nothing, and is made up for",
		New:   func(t Target) Nemesis { return &halfAudited{downed: downed{Target: t}} },
	}
}

type halfAudited struct {
	downed
	frozen string
}

// auditMax is how long it may take to catch an audit under way.
const auditMax = 10 * time.Second

func (h *halfAudited) Hurt(ctx context.Context) (string, error) {
	nodes := h.shuffled()
	auditor, victim, kill := nodes[0], nodes[h.Random.IntN(2)], h.Random.IntN(2) == 0
	what := auditor + " audits its replicas"
	left, of, err := h.catch(ctx, auditor, victim)
	if err != nil {
		return what, err
	}
	what += fmt.Sprintf(", %s %s with %d of %d to go", victim, map[bool]string{true: "killed", false: "frozen"}[kill], left, of)
	if kill {
		h.down, h.frozen = []string{victim}, ""
		return what, h.Cluster.Kill(ctx, victim)
	}
	return what, nil
}

// catch freezes the victim while the auditor has replicas left to look through, of so
// many. An audit that was through before the victim stood still is begun again; an auditor
// that is the victim itself cannot be asked any more.
func (h *halfAudited) catch(ctx context.Context, auditor, victim string) (left, of int, err error) {
	for until := time.Now().Add(auditMax); ; {
		if err := h.audit(ctx, auditor); err != nil {
			return 0, 0, err
		}
		doc, err := h.begun(ctx, auditor, until)
		if err != nil {
			return 0, 0, err
		}
		h.frozen = victim // also if it is not known to have stopped
		if err := h.Cluster.Pause(ctx, victim); err != nil {
			return 0, 0, err
		}
		if victim != auditor {
			if doc, err = replicationOf(ctx, h.Cluster, auditor); err != nil {
				return 0, 0, err
			}
		}
		if left = doc.Auditing + doc.AuditsWanted; left > 0 || time.Now().After(until) {
			return left, doc.Replicas, nil
		}
		if err := h.Heal(ctx); err != nil {
			return 0, 0, err
		}
	}
}

// audit asks a node to look all its replicas through.
func (h *halfAudited) audit(ctx context.Context, name string) error {
	n, err := h.Cluster.Node(name)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.HTTP+"/v1/local/repair", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// begun waits until a node looks a replica through.
func (h *halfAudited) begun(ctx context.Context, name string, until time.Time) (api.ReplicationDoc, error) {
	for {
		doc, err := replicationOf(ctx, h.Cluster, name)
		if err != nil || doc.Auditing > 0 || time.Now().After(until) {
			return doc, err
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return doc, err
		}
	}
}

func (h *halfAudited) Heal(ctx context.Context) error {
	if h.frozen != "" {
		if err := h.Cluster.Resume(ctx, h.frozen); err != nil {
			return err
		}
		h.frozen = ""
	}
	return h.downed.Heal(ctx)
}
