package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kindredkv/kindred/transport/faults"
)

// NodeFaults is what is made to go wrong between a node and its peers; it is
// part of [Node].
type NodeFaults struct {
	// NoSend are the nodes that nothing it sends reaches, NoReceive those that
	// it cannot hear.
	NoSend    []string `json:"no_send"`
	NoReceive []string `json:"no_receive"`
	// Delay is how late it sends, "0s" if it is not slow.
	Delay string `json:"delay"`
	// Clock is how far its wall clock is ahead, "0s" if it is right.
	Clock string `json:"clock"`
	// Pending: the node is paused and does not know yet. It is told when it is
	// resumed.
	Pending bool `json:"pending"`
}

// Any reports whether anything is made to go wrong.
func (f NodeFaults) Any() bool {
	return len(f.NoSend)+len(f.NoReceive) > 0 || f.Delay != "0s" || f.Clock != "0s"
}

// String says for people what goes wrong, empty if nothing does.
func (f NodeFaults) String() string {
	var p faults.Plan
	for _, n := range f.NoSend {
		p.Cuts = append(p.Cuts, faults.Cut{Peer: n, NoSend: true, NoReceive: slices.Contains(f.NoReceive, n)})
	}
	for _, n := range f.NoReceive {
		if !slices.Contains(f.NoSend, n) {
			p.Cuts = append(p.Cuts, faults.Cut{Peer: n, NoReceive: true})
		}
	}
	p.Delay, _ = time.ParseDuration(f.Delay) // they were durations when this was made
	p.Clock, _ = time.ParseDuration(f.Clock)
	return p.String()
}

// SidesError is a cut that makes no sense.
type SidesError struct{ Problem string }

func (e *SidesError) Error() string {
	return e.Problem + ": name the nodes of both sides, such as 1,2/3,4,5"
}

// DelayError is a slowness that cannot be.
type DelayError struct{ Delay time.Duration }

func (e *DelayError) Error() string {
	return fmt.Sprintf("a delay of %v: use 0s, which ends the slowness, to %v", e.Delay, faults.DelayMax)
}

// OrderError is a node that did not take an order for faults. Nothing has
// changed, on no node.
type OrderError struct{ Node, Problem string }

func (e *OrderError) Error() string { return fmt.Sprintf("node %s %s", e.Node, e.Problem) }

// Sides are the two sides of a cut, as names or numbers of nodes.
type Sides struct{ Left, Right []string }

// ParseSides reads "1,2/3,4,5".
func ParseSides(text string) (Sides, error) {
	left, right, ok := strings.Cut(text, "/")
	if !ok || strings.Contains(right, "/") {
		return Sides{}, &SidesError{fmt.Sprintf("%q has not two sides", text)}
	}
	return Sides{strings.Split(left, ","), strings.Split(right, ",")}, nil
}

// places finds the nodes of both sides; each may be on one side only.
func (s Sides) places(st *state) (left, right []int, err error) {
	seen := map[int]bool{}
	for _, side := range []struct {
		names []string
		out   *[]int
	}{{s.Left, &left}, {s.Right, &right}} {
		if len(side.names) == 0 || len(side.names) == 1 && side.names[0] == "" {
			return nil, nil, &SidesError{"one side is empty"}
		}
		for _, name := range side.names {
			i, err := st.index(name)
			if err != nil {
				return nil, nil, err
			}
			if seen[i] {
				return nil, nil, &SidesError{st.Nodes[i].Name + " is named twice"}
			}
			seen[i] = true
			*side.out = append(*side.out, i)
		}
	}
	return left, right, nil
}

// Cut makes the network between two sides fail: what one side sends does not
// reach the other, as if packets were lost. One-way, it is what the left side
// sends that is lost. Cuts add up, until Heal. Nodes that are on neither side
// keep talking to all; Cut returns their names. It is in force on return.
func (c *Cluster) Cut(ctx context.Context, s Sides, oneWay bool) (unlisted []string, err error) {
	err = c.inject(ctx, func(st *state) error {
		left, right, err := s.places(st)
		if err != nil {
			return err
		}
		for i, n := range st.Nodes {
			if !slices.Contains(left, i) && !slices.Contains(right, i) {
				unlisted = append(unlisted, n.Name)
			}
		}
		for _, l := range left {
			for _, r := range right {
				st.lose(l, r)
				if !oneWay {
					st.lose(r, l)
				}
			}
		}
		return nil
	})
	return unlisted, err
}

// Slow makes everything late that a node sends to other nodes; a delay of 0
// ends that. It is in force on return.
func (c *Cluster) Slow(ctx context.Context, node string, delay time.Duration) error {
	if delay < 0 || delay > faults.DelayMax {
		return &DelayError{delay}
	}
	return c.inject(ctx, func(st *state) error {
		i, err := st.index(node)
		if err == nil {
			st.Nodes[i].Faults.Delay = delay
		}
		return err
	})
}

// SetClock makes the wall clock of a node wrong: what expires, and which of two
// writers is the later, goes by it. Time goes on as fast as before. An offset of 0
// ends that. It is in force on return.
func (c *Cluster) SetClock(ctx context.Context, node string, ahead time.Duration) error {
	return c.inject(ctx, func(st *state) error {
		i, err := st.index(node)
		if err == nil {
			st.Nodes[i].Faults.Clock = ahead
			err = st.Nodes[i].Faults.Validate()
		}
		return err
	})
}

// Heal ends all cuts and all slowness, and puts clocks right, remembered here or not.
func (c *Cluster) Heal(ctx context.Context) error {
	return c.inject(ctx, func(st *state) error {
		for i := range st.Nodes {
			st.Nodes[i].Faults = faults.Plan{}
		}
		return nil
	})
}

// Mend ends the cuts between a node and all others. What else is cut or slow stays
// so.
func (c *Cluster) Mend(ctx context.Context, node string) error {
	return c.inject(ctx, func(st *state) error {
		i, err := st.index(node)
		if err != nil {
			return err
		}
		mended := st.Nodes[i].Name
		st.Nodes[i].Faults.Cuts = nil
		for j := range st.Nodes {
			p := &st.Nodes[j].Faults
			p.Cuts = slices.DeleteFunc(p.Cuts, func(c faults.Cut) bool { return c.Peer == mended })
		}
		return nil
	})
}

// lose loses what node from sends to node to, at both of them.
func (st *state) lose(from, to int) {
	st.cutAt(from, to).NoSend = true
	st.cutAt(to, from).NoReceive = true
}

// cutAt is the entry for a peer in the plan of the node at a place.
func (st *state) cutAt(at, peer int) *faults.Cut {
	p, name := &st.Nodes[at].Faults, st.Nodes[peer].Name
	i := slices.IndexFunc(p.Cuts, func(c faults.Cut) bool { return c.Peer == name })
	if i < 0 {
		i = len(p.Cuts)
		p.Cuts = append(p.Cuts, faults.Cut{Peer: name, Gossip: st.addr(peer, st.ports(peer).Gossip)})
	}
	return &p.Cuts[i]
}

// inject changes the plans of nodes, tells all that run, and remembers the
// plans for those that start later. If one node does not obey, the others get
// their old plans back.
func (c *Cluster) inject(ctx context.Context, change func(*state) error) error {
	return c.update(ctx, func(st *state) error {
		before := make([]faults.Plan, len(st.Nodes))
		for i, n := range st.Nodes {
			before[i] = n.Faults
			before[i].Cuts = slices.Clone(n.Faults.Cuts)
		}
		if err := change(st); err != nil {
			return err
		}
		after := make([]faults.Plan, len(st.Nodes))
		for i := range st.Nodes {
			n := &st.Nodes[i]
			after[i] = n.Faults
			changed := before[i].Delay != n.Faults.Delay || before[i].Clock != n.Faults.Clock || !slices.Equal(before[i].Cuts, n.Faults.Cuts)
			n.Pending = n.Process.state() == Paused && (changed || n.Pending)
		}
		err := c.tell(ctx, st, after)
		if err == nil {
			err = st.write(c.dir)
		}
		if err != nil {
			return errors.Join(err, c.tell(context.WithoutCancel(ctx), st, before))
		}
		return nil
	})
}

// tell gives every running node its plan, all at once, and returns the first
// complaint.
func (c *Cluster) tell(ctx context.Context, st *state, plans []faults.Plan) error {
	errs := make([]error, len(st.Nodes))
	var asked sync.WaitGroup
	for i, n := range st.Nodes {
		if n.Process.state() == Running {
			asked.Go(func() { errs[i] = c.order(ctx, st, i, plans[i]) })
		}
	}
	asked.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	// orderMax is how long a node may take to obey; one that was just started
	// listens within that.
	orderMax  = 5 * time.Second
	orderPoll = 20 * time.Millisecond
)

// order gives one node its plan.
func (c *Cluster) order(ctx context.Context, st *state, i int, plan faults.Plan) error {
	n := c.node(st, i)
	ctx, cancel := context.WithTimeout(ctx, orderMax)
	defer cancel()
	body, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	for {
		err := c.put(ctx, n, body)
		starting := errors.Is(err, syscall.ECONNREFUSED)
		switch {
		case err == nil, starting && st.Nodes[i].Process.state() == Stopped:
			return nil // one that is gone learns at its start
		case !starting || ctx.Err() != nil:
			return err
		}
		select {
		case <-time.After(orderPoll):
		case <-ctx.Done():
		}
	}
}

func (c *Cluster) put(ctx context.Context, n Node, body []byte) error {
	door, err := c.door()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, door.url(n.HTTP, "/v1/local/faults"), bytes.NewReader(body))
	if err != nil {
		return err
	}
	client := http.Client{Transport: door.transport()}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("node %s cannot be told of faults: %w", n.Name, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case res.StatusCode == http.StatusOK:
		return err
	case res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusNotFound:
		return &OrderError{n.Name, "was started without fault injection: restart it with " + c.command("restart", n.Name)}
	}
	return &OrderError{n.Name, fmt.Sprintf("refused the order: %s: %s", res.Status, strings.TrimSpace(string(answer)))}
}

// catchUp tells a node that was paused what was ordered meanwhile. It is as late
// as the node's waking.
func (c *Cluster) catchUp(ctx context.Context, st *state, i int) error {
	if !st.Nodes[i].Pending {
		return nil
	}
	if err := c.order(ctx, st, i, st.Nodes[i].Faults); err != nil {
		return err
	}
	st.Nodes[i].Pending = false
	return st.write(c.dir)
}

// faultsOf is what status shows of a node's plan.
func faultsOf(n nodeRecord) NodeFaults {
	f := NodeFaults{NoSend: []string{}, NoReceive: []string{}, Delay: n.Faults.Delay.String(), Clock: n.Faults.Clock.String(), Pending: n.Pending}
	for _, c := range n.Faults.Cuts {
		if c.NoSend {
			f.NoSend = append(f.NoSend, c.Peer)
		}
		if c.NoReceive {
			f.NoReceive = append(f.NoReceive, c.Peer)
		}
	}
	return f
}

// faultFlags switch fault injection on and repeat what is in force.
func faultFlags(p faults.Plan) ([]string, error) {
	if p.IsZero() {
		return []string{"--fault-injection"}, nil
	}
	b, err := json.Marshal(p)
	return []string{"--fault-injection", "--faults", string(b)}, err
}
