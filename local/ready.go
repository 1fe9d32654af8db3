package local

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// DiedError is a node whose process ended while its readiness was awaited.
type DiedError struct {
	Node, LogFile string
	// Tail is the end of its log.
	Tail []string
}

func (e *DiedError) Error() string {
	return fmt.Sprintf("node %s ended before it was ready; the end of its log (%s):\n  %s",
		e.Node, e.LogFile, strings.Join(e.Tail, "\n  "))
}

// NotReadyError is a node that runs and did not become ready in time.
type NotReadyError struct {
	Node, LogFile string
	// Reason is what its /readyz says, or why it could not be asked.
	Reason string
	Waited time.Duration
	// Alone: no other node of the cluster runs, so it was not waited for any longer.
	Alone bool
	Err   error
}

func (e *NotReadyError) Error() string {
	text := fmt.Sprintf("node %s is not ready after %s: %s (log: %s)", e.Node, e.Waited.Round(100*time.Millisecond), e.Reason, e.LogFile)
	if e.Alone {
		text += "; it runs, but no other node does, and alone it has no quorum: start them all with 'kvcli local start'"
	}
	return text
}

func (e *NotReadyError) Unwrap() error { return e.Err }

const (
	readyPoll    = 50 * time.Millisecond
	readyTimeout = 2 * time.Second
	// aloneMax is how long a node may be the only one that runs before nobody waits
	// for it: others may be about to start.
	aloneMax = 3 * time.Second
)

// watched is a node whose readiness is awaited.
type watched struct {
	Node
	process process
}

// wait asks until every node is ready, or one died, or the context is over.
type wait struct {
	nodes    []watched
	done     map[string]bool
	reason   string // why the first slow node is not ready
	door     door
	client   *http.Client
	progress func(Progress)
}

// awaitReady returns when every node says that it is ready, or when one died.
func (c *Cluster) awaitReady(ctx context.Context, nodes []watched, limit time.Duration, progress func(Progress)) error {
	door, err := c.door()
	if err != nil {
		return err
	}
	if limit == 0 {
		limit = DefaultReady
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	w := wait{
		nodes: nodes, done: map[string]bool{}, progress: progress, door: door,
		client: &http.Client{Timeout: readyTimeout, Transport: door.transport()},
	}
	accompanied := begin // when another node was last seen to run
	for {
		slow := w.ask(ctx)
		if err := w.died(); err != nil {
			return err
		}
		if slow == nil {
			return nil
		}
		if len(nodes) > 1 || !c.alone(slow.Name) {
			accompanied = time.Now()
		}
		if time.Since(accompanied) > aloneMax {
			return &NotReadyError{Node: slow.Name, LogFile: slow.LogFile, Reason: w.reason, Waited: time.Since(begin), Alone: true}
		}
		select {
		case <-ctx.Done():
			return &NotReadyError{Node: slow.Name, LogFile: slow.LogFile, Reason: w.reason, Waited: time.Since(begin), Err: ctx.Err()}
		case <-tick.C:
		}
	}
}

// alone reports whether a node has others, none of which runs.
func (c *Cluster) alone(name string) bool {
	st, err := readState(c.dir)
	if err != nil || len(st.Nodes) == 1 {
		return false
	}
	return !slices.ContainsFunc(st.Nodes, func(n nodeRecord) bool {
		return n.Name != name && n.Process.state() == Running
	})
}

// ask asks every node that was not ready yet and returns the first that still
// is not. An answer that did not come because the waiting is over is no reason.
func (w *wait) ask(ctx context.Context) (slow *watched) {
	for i := range w.nodes {
		n := &w.nodes[i]
		if w.done[n.Name] {
			continue
		}
		why, ok := w.ready(ctx, n.HTTP)
		if !ok {
			if slow == nil {
				slow = n
			}
			if slow == n && ctx.Err() == nil {
				w.reason = why
			}
			continue
		}
		w.done[n.Name] = true
		if w.progress != nil {
			w.progress(Progress{Node: n.Name, Ready: len(w.done), All: len(w.nodes)})
		}
	}
	return slow
}

// ready asks /readyz; why is the answer of a node that is not.
func (w *wait) ready(ctx context.Context, addr string) (why string, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.door.url(addr, "/readyz"), nil)
	if err != nil {
		return err.Error(), false
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return err.Error(), false
	}
	defer resp.Body.Close()
	const reasonBytesMax = 300
	body, err := io.ReadAll(io.LimitReader(resp.Body, reasonBytesMax))
	if err != nil {
		return err.Error(), false
	}
	return reasonIn(body), resp.StatusCode == http.StatusOK
}

// reasonIn reads {"ready":false,"reason":…}; an answer of another form is shown
// as it is.
func reasonIn(body []byte) string {
	var doc struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(body, &doc) == nil && doc.Reason != "" {
		return doc.Reason
	}
	return strings.TrimSpace(string(body))
}

// died reports the first node whose process is gone: a ready answer of another
// program on its port is no answer of the node.
func (w *wait) died() error {
	for _, n := range w.nodes {
		if n.process.state() != Stopped {
			continue
		}
		tail, err := TailLines(n.LogFile, logTailLines)
		if err != nil {
			tail = []string{err.Error()}
		}
		return &DiedError{Node: n.Name, LogFile: n.LogFile, Tail: tail}
	}
	return nil
}
