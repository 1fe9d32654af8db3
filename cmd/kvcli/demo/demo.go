// Package demo shows Kindred to a newcomer, and fails if anything it claims is
// not so.
//
// It starts three nodes as real processes, imports a file of records, reads
// every one back through each node, lets two clients disagree about a shopping
// cart and merges what they wrote, kills a node while clients read and write,
// and checks at the end that nothing is missing. Every number it prints was
// counted; every check can fail the demo, which then keeps data and logs.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
	"github.com/kindredkv/kindred/local"
)

const (
	nodes = 3
	// grace is how long a node may take to drain at the end.
	grace = 10 * time.Second
	// portFrom and portSpread choose ports below those that systems give to
	// outgoing connections, and different ones for two demos at once.
	portFrom, portSpread = 20000, 9000
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
}

// Run is the demo. Whatever happens, no process of it is left when it returns.
func Run(ctx context.Context, o Options) (err error) {
	dir, temporary, err := folder(o.Dir)
	if err != nil {
		return err
	}
	begin := time.Now()
	d := &demo{Options: o, dir: dir}
	err = errors.Join(d.story(ctx), d.end())
	if ctx.Err() != nil {
		if temporary {
			os.RemoveAll(dir)
		}
		return errors.New("the demo was interrupted; its nodes are stopped")
	}
	if err != nil {
		return fmt.Errorf("%w\nthe nodes are stopped; their data and logs are in %s", err, dir)
	}
	fmt.Fprintf(o.Out, "\n%s\n", o.Style.Good(fmt.Sprintf("All of it held, in %s.", short(time.Since(begin)))))
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
	cluster *local.Cluster
	client  *client.Client
	// expected is everything that was acknowledged and not superseded since.
	expected []item
}

// story is the demo's chapters, in order.
func (d *demo) story(ctx context.Context) error {
	for i, c := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"Start three nodes, each in a zone of its own", d.start},
		{"Import a file, every record held by at least two nodes", d.load},
		{"Read every record back through each node, two replicas answering (R=2)", d.readBack},
		{"Two people change one shopping cart at the same time", d.carts},
		{"Kill a node (SIGKILL) while clients read and write, and start it again", d.crash},
		{"Look for every record and every order again, through each node (R=2)", d.readBack},
		{"Stop the nodes", d.stop},
	} {
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

func (d *demo) start(ctx context.Context) error {
	base, err := local.FreeBasePort(nodes, portFrom+rand.IntN(portSpread))
	if err != nil {
		return err
	}
	d.cluster, _, err = local.Start(ctx, local.Options{
		Dir: d.dir, KVNode: d.KVNode, Shape: local.Shape{Nodes: nodes, Zones: nodes, BasePort: base},
	})
	if err != nil {
		return err
	}
	s, err := d.cluster.Status()
	if err != nil {
		return err
	}
	var addrs []string
	for _, n := range s.Nodes {
		d.say("%s  process %d  zone %s  clients %s  HTTP %s", n.Name, n.PID, n.Zone, n.Client, n.HTTP)
		addrs = append(addrs, n.Client)
	}
	d.client, err = client.Dial(ctx, addrs)
	return err
}

// stop is the clean end: a node that has to be killed is a failure.
func (d *demo) stop(ctx context.Context) error {
	stopped, err := d.cluster.Stop(ctx, grace)
	if err != nil {
		return err
	}
	if len(stopped) != nodes {
		return fmt.Errorf("%d of %d nodes were running at the end", len(stopped), nodes)
	}
	for _, n := range stopped {
		if n.Killed {
			return fmt.Errorf("node %s did not drain in %s and was killed", n.Name, grace)
		}
	}
	d.say("%d nodes drained and ended", len(stopped))
	return nil
}

// end stops what still runs, however the story ended.
func (d *demo) end() error {
	if d.client != nil {
		d.client.Close()
	}
	if d.cluster == nil {
		return nil
	}
	_, err := d.cluster.Stop(context.Background(), grace)
	return err
}
