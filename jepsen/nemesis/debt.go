package nemesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/kindredkv/kindred/api"
	"github.com/kindredkv/kindred/local"
)

// debt takes the disk of a guest that keeps something for a home that is away.
func debt() Kind {
	return Kind{
		Name: "debt", Touches: Nodes, Loses: Disk, NodesMin: 4,
		Doc:   "one node is frozen until another keeps hints for it; that one is killed, loses its disk and with it the hints, and is started again",
		Holds: "everything: a hint is never the only copy of what W nodes have acknowledged, if no more disks are lost than n − W",
		New:   func(t Target) Nemesis { return &indebted{downed: downed{Target: t}} },
	}
}

// debtMax is how long it may take until somebody keeps a hint. Without clients that
// write nobody ever does.
const debtMax = 30 * time.Second

type indebted struct {
	downed
	frozen string
}

func (d *indebted) Hurt(ctx context.Context) (string, error) {
	nodes := d.shuffled()
	what := nodes[0] + " frozen"
	d.frozen = nodes[0]
	if err := d.Cluster.Pause(ctx, nodes[0]); err != nil {
		return what, err
	}
	for until := time.Now().Add(debtMax); ; {
		for _, name := range nodes[1:] {
			doc, err := replicationOf(ctx, d.Cluster, name)
			if err != nil {
				return what, err
			}
			hints := doc.Hints.Hints
			if hints == 0 {
				continue
			}
			what += fmt.Sprintf(", %s killed and wiped with %d hints", name, hints)
			d.down = []string{name}
			if err := d.Cluster.Kill(ctx, name); err != nil {
				return what, err
			}
			return what, d.Cluster.Wipe(ctx, name)
		}
		if time.Now().After(until) {
			return what + ", and nobody keeps a hint for it", nil
		}
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return what, err
		}
	}
}

// Heal starts the guest and thaws the home, in any order.
func (d *indebted) Heal(ctx context.Context) error {
	thaw := func() error {
		if d.frozen == "" {
			return nil
		}
		return d.Cluster.Resume(ctx, d.frozen)
	}
	if d.Random.IntN(2) == 0 {
		return errors.Join(thaw(), d.downed.Heal(ctx))
	}
	return errors.Join(d.downed.Heal(ctx), thaw())
}

// replicationOf is what a node says of its replicas and of what it keeps for others.
func replicationOf(ctx context.Context, c *local.Cluster, name string) (api.ReplicationDoc, error) {
	var doc struct {
		Replication api.ReplicationDoc `json:"replication"`
	}
	n, err := c.Node(name)
	if err != nil {
		return doc.Replication, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP+"/v1/local", nil)
	if err != nil {
		return doc.Replication, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return doc.Replication, err
	}
	defer resp.Body.Close()
	return doc.Replication, json.NewDecoder(resp.Body).Decode(&doc)
}
