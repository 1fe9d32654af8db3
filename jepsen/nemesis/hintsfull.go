package nemesis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	// hintBytes is what a shard may keep for others: more than the clients of a run
	// leave there, and soon full where somebody tries.
	hintBytes = 1 << 20
	// glutValue, glutKeys and glutWriters are what is written to fill it, glutLives how
	// long that is kept, and glutMax how long it may take.
	glutValue   = 32 << 10
	glutKeys    = 1000
	glutWriters = 4
	glutLives   = time.Minute
	glutMax     = 20 * time.Second
	// glutBucket is nobody else's.
	glutBucket = "glut"
)

// hintsFull takes the room for hints.
func hintsFull() Kind {
	return Kind{
		Name: "hints-full", Touches: Nodes, NodesMin: 4,
		Doc:   fmt.Sprintf("a minority of the nodes is frozen, and somebody writes until another one has no room for what it keeps for them (%d MiB a shard); the frozen ones are thawed", hintBytes>>20),
		Holds: "everything: who has no room says so and does not count as a guest; a home that lacks what nobody kept for it catches up with the others",
		Args:  []string{"--hint-bytes", strconv.Itoa(hintBytes)},
		New:   func(t Target) Nemesis { return &glutted{Target: t} },
	}
}

type glutted struct {
	Target
	frozen []string
}

func (g *glutted) Hurt(ctx context.Context) (string, error) {
	few, most := g.Few()
	what := strings.Join(few, ",") + " frozen"
	before := map[string]uint64{}
	for _, name := range most {
		doc, err := replicationOf(ctx, g.Cluster, name)
		if err != nil {
			return what, err
		}
		before[name] = doc.Repairs.HintsRefused
	}
	g.frozen = few
	for _, name := range few {
		if err := g.Cluster.Pause(ctx, name); err != nil {
			return what, err
		}
	}
	writing, enough := context.WithTimeout(ctx, glutMax)
	var writers sync.WaitGroup
	defer writers.Wait()
	defer enough()
	run := g.Random.Uint32()
	for i := range glutWriters {
		writers.Go(func() { g.write(writing, most[i%len(most)], run, i) })
	}
	for {
		for _, name := range most {
			doc, err := replicationOf(ctx, g.Cluster, name)
			switch {
			case err != nil:
				return what, err
			case doc.Repairs.HintsRefused > before[name]:
				return fmt.Sprintf("%s, %s keeps %d hints and has no room for more", what, name, doc.Hints.Hints), nil
			}
		}
		if wait(ctx, 50*time.Millisecond) != nil {
			return what, ctx.Err()
		}
		if writing.Err() != nil {
			return what + ", and there is room for all hints", nil
		}
	}
}

// write puts large values, whatever becomes of them. They expire by themselves.
func (g *glutted) write(ctx context.Context, name string, run uint32, writer int) {
	n, err := g.Cluster.Node(name)
	if err != nil {
		return
	}
	value := strings.Repeat("v", glutValue)
	for i := writer; i < glutKeys && ctx.Err() == nil; i += glutWriters {
		path := fmt.Sprintf("http://%s/v1/buckets/%s/keys/%08x-%d?ttl=%s&timeout=1s", n.HTTP, glutBucket, run, i, glutLives)
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, path, strings.NewReader(value))
		if err != nil {
			return
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}
}

func (g *glutted) Heal(ctx context.Context) error {
	var errs []error
	for _, name := range g.frozen {
		errs = append(errs, g.Cluster.Resume(ctx, name))
	}
	return errors.Join(errs...)
}
