package nemesis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/local/netns"
)

// diskKind is a kind that needs a disk of its own for each node.
func diskKind(k Kind) Kind {
	k.Touches, k.NodesMin = Nodes, 2
	k.Needs, k.Missing = sandboxNeeds+", mkfs.ext4 and loop devices", disksMissing
	k.Prepare = mountDisks
	return k
}

func disksMissing() error {
	if err := inSandbox(); err != nil {
		return err
	}
	return netns.DisksMissing()
}

// diskOf is the disk of a node, in the folder of a cluster.
func diskOf(dir, node string) netns.Disk {
	return netns.Disk{Image: filepath.Join(dir, node, "disk.img"), Folder: filepath.Join(dir, node, "data")}
}

// mountDisks gives every node a disk, unless it has one.
func mountDisks(ctx context.Context, dir string, nodes []string) (undo func() error, err error) {
	var made []netns.Disk
	undo = func() error {
		var errs []error
		for _, d := range made {
			errs = append(errs, d.Remove())
		}
		return errors.Join(errs...)
	}
	for _, node := range nodes {
		d := diskOf(dir, node)
		if _, err := os.Stat(d.Image); err == nil {
			continue // another kind has made it
		}
		if err := d.Make(ctx); err != nil {
			return nil, errors.Join(err, undo())
		}
		made = append(made, d)
	}
	return undo, nil
}

// power takes the power from one node.
func power() Kind {
	return diskKind(Kind{
		Name: "power", Loses: Unsynced,
		Doc:   "one node loses its power: the process ends, and what the operating system had not brought to the disk is gone",
		Holds: "everything; the last moments of writes that were not to be synced are held by others (W of 2 or more)",
		New:   func(t Target) Nemesis { return &powerless{downed{Target: t}} },
	})
}

type powerless struct{ downed }

func (p *powerless) Hurt(ctx context.Context) (string, error) {
	name := p.One()
	what, disk := name+" without power", diskOf(p.Cluster.Dir(), name)
	p.down = []string{name}
	// The disk first: a process that is killed could still write for a moment.
	if err := disk.Fail(); err != nil {
		return what, err
	}
	if err := end(ctx, p.Cluster, name); err != nil {
		return what, err
	}
	return what, disk.Remount(ctx)
}

// end kills a process that may have ended by itself.
func end(ctx context.Context, c *local.Cluster, name string) error {
	err := c.Kill(ctx, name)
	if n, look := c.Node(name); look == nil && n.State == local.Stopped {
		return nil
	}
	return err
}

// diskError breaks a disk under a process.
func diskError() Kind {
	return diskKind(Kind{
		Name: "disk-error", Loses: Unsynced,
		Doc:   "every access of one node to its disk fails (EIO); then the disk is well again, and the process is started again",
		Holds: "everything: a node that cannot write to its disk says so and stops",
		New:   func(t Target) Nemesis { return &broken{Target: t} },
	})
}

type broken struct {
	Target
	node string
}

func (b *broken) Hurt(context.Context) (string, error) {
	b.node = b.One()
	return b.node + " has a disk that fails", diskOf(b.Cluster.Dir(), b.node).Fail()
}

func (b *broken) Heal(ctx context.Context) error {
	if b.node == "" {
		return nil
	}
	if err := end(ctx, b.Cluster, b.node); err != nil {
		return err
	}
	if err := diskOf(b.Cluster.Dir(), b.node).Remount(ctx); err != nil {
		return err
	}
	node := b.node
	b.node = ""
	return b.Cluster.Restart(ctx, node, local.RestartOptions{Ready: -1})
}

// diskFull fills a disk.
func diskFull() Kind {
	return diskKind(Kind{
		Name: "disk-full", Loses: Unsynced,
		Doc:   "somebody else fills the disk of one node, to the last byte or nearly; then there is room again",
		Holds: "everything: a node without room refuses writes by name and serves reads, or stops if even what it had begun does not fit; others take them",
		New:   func(t Target) Nemesis { return &filled{Target: t} },
	})
}

type filled struct {
	Target
	node     string
	left     int64
	giveBack func() error
}

const (
	// fillLeaves is the space that is left at most: less than what a node wants to have
	// before it takes writes.
	fillLeaves = 128 << 20
	// fillEnough is what lets a node go on: what it had begun has a reserve of 64 MiB,
	// and a node that finds less than that stops.
	fillEnough = 80 << 20
)

func (f *filled) Hurt(context.Context) (what string, err error) {
	f.node = f.One()
	if f.left = 0; f.Random.IntN(2) > 0 {
		f.left = 1 + f.Random.Int64N(fillLeaves)
	}
	what = fmt.Sprintf("%s has a disk with %d KiB left", f.node, f.left>>10)
	f.giveBack, err = diskOf(f.Cluster.Dir(), f.node).Fill(f.left)
	return what, err
}

// Heal makes room. A process that met the end of its disk has stopped, or may just be
// about to, so it is started again. One that had enough goes on by itself.
func (f *filled) Heal(ctx context.Context) error {
	if f.giveBack == nil {
		return nil
	}
	if err := f.giveBack(); err != nil {
		return err
	}
	f.giveBack = nil
	if f.left >= fillEnough {
		return nil
	}
	if err := end(ctx, f.Cluster, f.node); err != nil {
		return err
	}
	return f.Cluster.Restart(ctx, f.node, local.RestartOptions{Ready: -1})
}

// diskSlow makes a disk slow.
func diskSlow() Kind {
	k := diskKind(Kind{
		Name:  "disk-slow",
		Doc:   "the disk of one node makes one to five accesses in a second, so that a sync takes up to seconds",
		Holds: "everything; requests that wait for that disk are slow",
		New:   func(t Target) Nemesis { return &slowed{Target: t} },
	})
	k.Needs += ", and the blkio controller of cgroup v1"
	k.Missing = func() error {
		if err := disksMissing(); err != nil {
			return err
		}
		return netns.SlowMissing()
	}
	return k
}

type slowed struct {
	Target
	quick func() error
}

func (s *slowed) Hurt(context.Context) (what string, err error) {
	name, rate := s.One(), 1+s.Random.IntN(5)
	what = fmt.Sprintf("%s has a disk of %d accesses in a second", name, rate)
	n, err := s.Cluster.Node(name)
	if err != nil || n.PID == 0 {
		return what, err
	}
	s.quick, err = diskOf(s.Cluster.Dir(), name).Slow(n.PID, rate)
	return what, err
}

func (s *slowed) Heal(context.Context) error {
	if s.quick == nil {
		return nil
	}
	err := s.quick()
	s.quick = nil
	return err
}
