package demo

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/ring"
)

const (
	// lookEvery is the pause between two looks at a change, lookMax how long a node may
	// take to answer.
	lookEvery = 100 * time.Millisecond
	lookMax   = 2 * time.Second
	// loadEvery is how long an interval of the load is.
	loadEvery = time.Second
	// changeMax is how long a change may take.
	changeMax = time.Minute
)

// watch looks at a change of the layout, draws it, and tells what happens.
type watch struct {
	*demo
	// before is the layout of the begin, after the one that was committed, once a node
	// works by it.
	before, after *ring.Layout
	plan          *kindred.LayoutPlan
	// version is what was committed at a moment, empty before.
	version   string
	committed time.Time

	cut  time.Time // the end of the last interval of the load
	now  picture
	seen map[string]kindred.Changes // what nodes said last
}

func (d *demo) newWatch(ctx context.Context) (*watch, error) {
	info, err := d.client.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	before, err := ring.Decode(info.Layout)
	return &watch{demo: d, before: before, cut: time.Now(), seen: map[string]kindred.Changes{}}, err
}

// tell says a fact above the picture.
func (w *watch) tell(format string, args ...any) {
	if w.screen != nil {
		w.screen.Wipe()
	}
	w.say(format, args...)
}

// during watches for some time.
func (w *watch) during(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	return w.until(ctx, func(*picture) bool { return time.Now().After(end) })
}

// until watches until what it sees is good enough.
func (w *watch) until(ctx context.Context, enough func(*picture) bool) error {
	ctx, cancel := context.WithTimeout(ctx, changeMax)
	defer cancel()
	for {
		if err := w.look(ctx); err != nil {
			return err
		}
		if enough(&w.now) {
			return nil
		}
		if err := pause(ctx, lookEvery); err != nil {
			return fmt.Errorf("after %s this is how far it is:\n%s\n%w", changeMax, &w.now, err)
		}
	}
}

// look asks all nodes, tells what is new, and draws.
func (w *watch) look(ctx context.Context) error {
	next, err := w.ask(ctx)
	if err != nil {
		return err
	}
	for _, e := range next.eventsSince(&w.now) {
		w.tell("+%s  %s", short(time.Since(w.committed)), e)
	}
	w.now = next
	if w.screen != nil {
		w.screen.Show(w.now.lines(term.Width(w.Out)-1, w.Style))
	}
	return nil
}

func (w *watch) ask(ctx context.Context) (picture, error) {
	p := picture{at: time.Since(w.timeline.begin), load: w.now.load}
	if since := time.Since(w.cut); since >= loadEvery {
		now := time.Now()
		p.load, w.cut = w.shop.tally.Cut(w.cut, now), now
	}
	p.writes, p.reads, p.failed = w.shop.counts()
	s, err := w.cluster.Status()
	if err != nil {
		return p, err
	}
	if err := w.learn(ctx); err != nil {
		return p, err
	}
	var names []string
	for _, n := range s.Nodes {
		names = append(names, n.Name)
	}
	w.askAll(ctx, names)
	for _, n := range s.Nodes {
		p.nodes = append(p.nodes, w.picture(n.Name, n.Zone))
	}
	p.step = w.step(names)
	if slices.Index(steps, p.step) < slices.Index(steps, w.now.step) {
		p.step = w.now.step // what all have done stays done; who has left speaks of it no more
	}
	return p, ctx.Err()
}

// learn fetches the layout that was committed, once somebody works by it.
func (w *watch) learn(ctx context.Context) error {
	if w.version == "" || w.after != nil {
		return nil
	}
	info, err := w.client.Cluster(ctx)
	if err != nil || info.LayoutVersion != w.version {
		return err
	}
	w.after, err = ring.Decode(info.Layout)
	return err
}

// askAll asks every node how far it is. What one does not say now is what it said last:
// this is for the eye, and what counts is asked again.
func (w *watch) askAll(ctx context.Context, names []string) {
	ctx, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, name := range names {
		asked.Go(func() {
			c, err := w.client.Changes(ctx, name)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				w.seen[name] = c
			}
		})
	}
	asked.Wait()
}

// picture is what is known of a node.
func (w *watch) picture(name, zone string) pictured {
	percent := func(l *ring.Layout) int {
		return (100*len(l.Owned(name, l.Replicas())) + l.Partitions()/2) / l.Partitions()
	}
	n := pictured{name: name, zone: zone, from: percent(w.before), ring: homes(w.before, w.after, name)}
	n.to = n.from
	if w.plan != nil {
		at := slices.IndexFunc(w.plan.Nodes, func(p kindred.PlannedNode) bool { return p.Node == name })
		if at >= 0 {
			n.to = (100*w.plan.Nodes[at].After + w.before.Partitions()/2) / w.before.Partitions()
			n.copies = w.plan.Nodes[at].CopiesIn
		}
	}
	c := w.seen[name]
	if !w.works(c) {
		return n
	}
	own := ownProgress(c)
	n.step, n.complete, n.bytes = own.Step, c.Progress.Transfer.Complete, c.Progress.Transfer.Bytes
	if own.Complete || c.Progress.Settled {
		n.complete = n.copies
	}
	if at := slices.IndexFunc(w.now.nodes, func(b pictured) bool { return b.name == name }); at >= 0 {
		n.bytes = max(n.bytes, w.now.nodes[at].bytes) // a node speaks of it for as long as it lasts
	}
	return n
}

// works reports whether a node works by what was committed.
func (w *watch) works(c kindred.Changes) bool {
	return w.version != "" && c.Progress.Tip == w.version
}

// ownProgress is what a node says of itself.
func ownProgress(c kindred.Changes) (own kindred.NodeProgress) {
	for _, n := range c.Progress.Nodes {
		if n.Node == c.Node {
			own = n
		}
	}
	return own
}

// step is the one that the last of the nodes has done.
func (w *watch) step(names []string) string {
	switch {
	case w.plan == nil:
		return ""
	case w.version == "":
		return steps[0]
	}
	last, settled := len(steps)-2, true
	for _, name := range names {
		c := w.seen[name]
		if !w.works(c) {
			return steps[1]
		}
		settled = settled && c.Progress.Settled
		if at := slices.Index(steps, string(ownProgress(c).Step)); !c.Progress.Settled && at < last {
			last = max(1, at)
		}
	}
	if settled {
		last++
	}
	return steps[last]
}
