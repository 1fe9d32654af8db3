package nemesis

import (
	"context"
	"fmt"
	"net/http"
	"time"
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

// auditMax is how long an audit may take to begin.
const auditMax = 10 * time.Second

func (h *halfAudited) Hurt(ctx context.Context) (string, error) {
	nodes := h.shuffled()
	auditor, victim, kill := nodes[0], nodes[h.Random.IntN(2)], h.Random.IntN(2) == 0
	what := auditor + " audits its replicas"
	n, err := h.Cluster.Node(auditor)
	if err != nil {
		return what, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.HTTP+"/v1/local/repair", nil)
	if err != nil {
		return what, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return what, err
	}
	resp.Body.Close()
	for until := time.Now().Add(auditMax); ; {
		doc, err := replicationOf(ctx, h.Cluster, auditor)
		if err != nil {
			return what, err
		}
		if left := doc.Auditing + doc.AuditsWanted; doc.Auditing > 0 || time.Now().After(until) {
			what += fmt.Sprintf(", %s %s with %d of %d to go", victim, map[bool]string{true: "killed", false: "frozen"}[kill], left, doc.Replicas)
			break
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return what, err
		}
	}
	if kill {
		h.down = []string{victim}
		return what, h.Cluster.Kill(ctx, victim)
	}
	h.frozen = victim
	return what, h.Cluster.Pause(ctx, victim)
}

func (h *halfAudited) Heal(ctx context.Context) error {
	if h.frozen != "" {
		return h.Cluster.Resume(ctx, h.frozen)
	}
	return h.downed.Heal(ctx)
}
