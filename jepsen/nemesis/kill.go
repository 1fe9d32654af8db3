package nemesis

import (
	"context"
	"errors"
	"strings"

	"github.com/kindredkv/kindred/local"
)

// kill ends one process at once.
func kill() Kind {
	return Kind{
		Name: "kill", Touches: Nodes, Loses: Unsynced, NodesMin: 2,
		Doc:   "the process of one node ends at once (SIGKILL) and is started again",
		Holds: "everything; what only the dead node had acknowledged and not synced is held by others (W of 2 or more)",
		New:   func(t Target) Nemesis { return &downed{Target: t} },
	}
}

// wipe ends processes and takes their disks.
func wipe() Kind {
	return Kind{
		Name: "wipe", Touches: Nodes, Loses: Disk,
		Doc:   "the process of one node ends at once, its disk is empty, and it is started again",
		Holds: "everything: the others rebuild it, and until then it counts toward no read",
		New:   func(t Target) Nemesis { return &downed{Target: t, wiped: true} },
	}
}

// downed takes nodes down: one, or as many as may lose their disks.
type downed struct {
	Target
	wiped bool
	down  []string
}

func (d *downed) Hurt(ctx context.Context) (string, error) {
	victims, what := 1, " killed"
	if d.wiped {
		victims, what = 1+d.Random.IntN(max(1, d.Disks)), " killed and wiped"
	}
	for _, i := range d.Random.Perm(len(d.Nodes))[:victims] {
		d.down = append(d.down, d.Nodes[i])
	}
	what = strings.Join(d.down, ",") + what
	for _, node := range d.down {
		if err := d.Cluster.Kill(ctx, node); err != nil {
			return what, err
		}
	}
	if d.wiped {
		for _, node := range d.down {
			if err := d.Cluster.Wipe(ctx, node); err != nil {
				return what, err
			}
		}
	}
	return what, nil
}

// Heal starts them. What a start lacks to become ready may be beyond a cut.
func (d *downed) Heal(ctx context.Context) error {
	var errs []error
	var still []string
	for _, node := range d.down {
		if err := d.Cluster.Restart(ctx, node, local.RestartOptions{Ready: -1}); err != nil {
			errs, still = append(errs, err), append(still, node)
		}
	}
	d.down = still
	return errors.Join(errs...)
}
