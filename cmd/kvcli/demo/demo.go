// Package demo shows Kindred to a newcomer, and fails if anything it claims is
// not so.
//
// It starts five nodes in three zones as real processes, imports a file of
// records and reads it back, cuts the network into two sides that go on writing
// and change the same shopping carts, heals it, waits until all replicas are
// equal, shows and merges what the two sides disagree about, loses a node with
// its disk and waits until it is rebuilt and every write settled, has every disk audited, and looks for
// everything again. A second story has three nodes grow to six and shrink to four under
// load, and draws meanwhile who owns what of the ring. Every number it prints was counted
// or measured; every check can fail the demo, which then keeps data and logs.
//
// # Words
//
// A side is those nodes that can hear one another during the cut, and the clients
// on it, which reach no other node. A shop is clients that place orders, each
// under a key of its own, and read them back. A cart is a key that both sides
// change.
package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/local"
)

// Options say where things are.
type Options struct {
	// Dir is the cluster's folder. Empty means a temporary one, which is
	// removed if all goes well.
	Dir string
	// KVNode is the server binary, Data a CSV file of records, KeyColumn its
	// column of unique keys.
	KVNode, Data, KeyColumn string
	// Out gets the story, ErrOut the progress.
	Out, ErrOut io.Writer
	Style       term.Style
	// Live says that pictures on Out can be drawn again in place.
	Live bool
}

// Run cuts the network of five nodes in two, and takes the disk of one.
func Run(ctx context.Context, o Options) error {
	return run(ctx, o, 5, func(d *demo) []chapter {
		return []chapter{
			{"Start five nodes in three zones", d.start},
			{"Import a file, every record held by at least two nodes", d.load},
			{"Read every record back, two home replicas answering (R=2)", d.readBack},
			{"Cut the network in two while clients write on both sides", d.cut},
			{"Heal the cut and wait until all replicas are equal", d.heal},
			{"Show what the sides disagree about, on every node, and merge it", d.agree},
			{"Kill a node while clients read and write, wipe its disk, and start it empty", d.lose},
			{"Wait until every write is settled, and compare all replicas of every key", d.settle},
			{"Audit every replica: read its disk, and compare it with the others", d.audit},
			{"Look for every record, order and cart again", d.readBack},
			{"Stop the nodes", d.stop},
		}
	})
}

// Grow makes three nodes six and then four under load, and draws the ring meanwhile.
func Grow(ctx context.Context, o Options) error {
	return run(ctx, o, 3, func(d *demo) []chapter {
		return []chapter{
			{"Start three nodes in three zones", d.start},
			{"Import a file, every record held by at least two nodes", d.load},
			{"Three nodes become six while clients write and read", d.becomeSix},
			{"Six nodes become four", d.becomeFour},
			{"Look for every record and order, through all nodes", d.lookForAll},
			{"Stop the nodes", d.stop},
		}
	})
}

// chapter is a part of a story.
type chapter struct {
	title string
	run   func(context.Context) error
}

// run tells a story. Whatever happens, no process of it is left when it returns.
func run(ctx context.Context, o Options, nodes int, chapters func(*demo) []chapter) (err error) {
	dir, temporary, err := folder(o.Dir)
	if err != nil {
		return err
	}
	d := &demo{Options: o, dir: dir, nodes: nodes, timeline: timeline{begin: time.Now()}}
	if o.Live {
		d.screen = &term.Picture{W: o.Out}
	}
	err = errors.Join(d.story(ctx, chapters(d)), d.end())
	if ctx.Err() != nil {
		if temporary {
			os.RemoveAll(dir)
		}
		return errors.New("the demo was interrupted; its nodes are stopped")
	}
	if err != nil {
		return fmt.Errorf("%w\nthe nodes are stopped; their data and logs are in %s", err, dir)
	}
	d.timeline.write(o.Out, o.Style)
	fmt.Fprintf(o.Out, "\n%s\n", o.Style.Good(fmt.Sprintf("All of it held, in %s.", short(time.Since(d.timeline.begin)))))
	if temporary {
		return os.RemoveAll(dir)
	}
	return nil
}

// folder makes the cluster's folder. One that holds a cluster is not ours.
func folder(dir string) (path string, temporary bool, err error) {
	if dir == "" {
		path, err = os.MkdirTemp("", "kindred-demo-")
		return path, true, err
	}
	if _, err := local.Open(dir); err == nil {
		return "", false, fmt.Errorf("%s holds a cluster already, and the demo makes its own: choose another --dir", dir)
	}
	path, err = filepath.Abs(dir)
	return path, false, err
}

// demo is one run.
type demo struct {
	Options
	dir     string
	nodes   int // of the begin
	cluster *local.Cluster
	// client reaches all nodes.
	client *client.Client
	// doors lead to one node each, left and right to those of one side of the cut.
	doors       []*side
	left, right *side
	carts       []*cart
	// expected is everything that was acknowledged and not superseded since.
	expected []item
	// shop is the load while owners change, screen where that is drawn, if anywhere.
	shop   *shop
	screen *term.Picture
	// quiet is when the last write had ended.
	quiet    time.Time
	timeline timeline
}

// story tells the chapters, in order.
func (d *demo) story(ctx context.Context, chapters []chapter) error {
	for i, c := range chapters {
		fmt.Fprintf(d.Out, "\n%s\n", d.Style.Bold(fmt.Sprintf("%d. %s", i+1, c.title)))
		begin := time.Now()
		if err := c.run(ctx); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, strings.ToLower(c.title[:1])+c.title[1:], err)
		}
		fmt.Fprintf(d.Out, "   %s\n", d.Style.Dim(short(time.Since(begin))))
	}
	return nil
}

// say tells one fact.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "   "+format+"\n", args...)
}

func short(t time.Duration) string { return fmt.Sprintf("%.1f s", t.Seconds()) }

func count(n int) string { return term.Count(int64(n)) }

// timeline is when what happened.
type timeline struct {
	begin   time.Time
	moments []moment
}

type moment struct {
	after time.Duration
	what  string
}

// mark notes what has just happened.
func (t *timeline) mark(format string, args ...any) { t.markAt(time.Now(), format, args...) }

func (t *timeline) markAt(at time.Time, format string, args ...any) {
	t.moments = append(t.moments, moment{at.Sub(t.begin), fmt.Sprintf(format, args...)})
}

func (t *timeline) write(w io.Writer, style term.Style) {
	fmt.Fprintf(w, "\n%s\n", style.Bold("What happened when"))
	slices.SortStableFunc(t.moments, func(a, b moment) int { return cmp.Compare(a.after, b.after) })
	for _, m := range t.moments {
		fmt.Fprintf(w, "   %7s  %s\n", short(m.after), m.what)
	}
}
