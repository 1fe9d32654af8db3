package nemesis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kindredkv/kindred/local"
)

// image gives a node its disk as it was some time ago.
func image() Kind {
	return Kind{
		Name: "image", Touches: Nodes, Loses: Disk, NodesMin: 2,
		Doc:   "the process of one node ends at once, its disk is as it was seconds ago, and it is started again",
		Holds: "everything: what it has lost it fetches from the others, and until then it counts toward no read",
		New:   func(t Target) Nemesis { return &imaged{downed: downed{Target: t}} },
	}
}

type imaged struct{ downed }

// imageAge is how old the image is at most.
const imageAge = 3 * time.Second

func (i *imaged) Hurt(ctx context.Context) (what string, err error) {
	name := i.One()
	what = name + " killed"
	n, err := i.Cluster.Node(name)
	if err != nil {
		return what, err
	}
	copied := n.DataDir + ".image"
	defer func() { err = errors.Join(err, os.RemoveAll(copied)) }()
	age, err := i.copyOf(ctx, n, copied)
	if err != nil {
		return what, err
	}
	i.down = []string{name}
	if err := i.Cluster.Kill(ctx, name); err != nil {
		return what, err
	}
	if err := i.Cluster.Wipe(ctx, name); err != nil {
		return what, err
	}
	return fmt.Sprintf("%s, its disk is %v old", what, age), os.CopyFS(n.DataDir, os.DirFS(copied))
}

// copyOf copies the folder of a node while the process is frozen: the copy is what a
// kill at that moment would have left. Then it lets the node live for a while.
func (i *imaged) copyOf(ctx context.Context, n local.Node, to string) (age time.Duration, err error) {
	if err := i.Cluster.Pause(ctx, n.Name); err != nil {
		return 0, err
	}
	err = os.CopyFS(to, os.DirFS(n.DataDir))
	if resumed := i.Cluster.Resume(context.WithoutCancel(ctx), n.Name); err != nil || resumed != nil {
		return 0, errors.Join(err, resumed)
	}
	age = time.Duration(1 + i.Random.Int64N(int64(imageAge))).Round(time.Millisecond)
	return age, wait(ctx, age)
}

// rot spoils a file of a node.
func rot() Kind {
	return Kind{
		Name: "rot", Touches: Nodes, Loses: Disk, NodesMin: 2,
		Doc:   "the process of one node ends at once; a bit of its table, log or manifest is wrong, or one of them has lost its end; and it is started again",
		Holds: "everything: what cannot be read is not served, and is mended from the others; a node that cannot read what every start has to is rebuilt as one that lost its disk",
		New:   func(t Target) Nemesis { return &rotten{downed: downed{Target: t}} },
	}
}

type rotten struct{ downed }

// rotting are the files of the engine that may go bad.
var rotting = []string{"*.sst", "*.log", "MANIFEST-*"}

func (r *rotten) Hurt(ctx context.Context) (what string, err error) {
	name := r.One()
	what = name + " killed"
	n, err := r.Cluster.Node(name)
	if err != nil {
		return what, err
	}
	r.down = []string{name}
	if err := r.Cluster.Kill(ctx, name); err != nil {
		return what, err
	}
	// A node keeps a few damaged stores for a person to look at. Nobody will.
	aside, err := filepath.Glob(filepath.Join(n.DataDir, "damaged-*"))
	for _, dir := range aside {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return what, err
	}
	spoilt, err := r.spoil(filepath.Join(n.DataDir, "db"))
	return what + ", " + spoilt, err
}

// spoil spoils one file of a folder.
func (r *rotten) spoil(dir string) (string, error) {
	for _, at := range r.Random.Perm(len(rotting)) {
		files, err := filepath.Glob(filepath.Join(dir, rotting[at]))
		if err != nil {
			return "", err
		}
		for _, k := range r.Random.Perm(len(files)) {
			info, err := os.Stat(files[k])
			if err != nil {
				return "", err
			}
			if info.Size() > 0 {
				return r.spoilFile(files[k], info.Size())
			}
		}
	}
	return "nothing to spoil", fmt.Errorf("%s has no file to spoil", dir)
}

func (r *rotten) spoilFile(path string, size int64) (string, error) {
	at := r.Random.Int64N(size)
	if r.Random.IntN(3) == 0 {
		return fmt.Sprintf("%s cut short after %d of %d bytes", filepath.Base(path), at, size), os.Truncate(path, at)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return "", err
	}
	b[0] ^= 1 << r.Random.IntN(8)
	_, err = f.WriteAt(b, at)
	return fmt.Sprintf("a bit of %s turned over", filepath.Base(path)), err
}
