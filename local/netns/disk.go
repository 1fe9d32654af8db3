package netns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// DiskBytes is the size of a disk: several times the space below which a node
	// refuses writes. It takes as much of the machine's disk as is written to it.
	DiskBytes = 1 << 30
	// unmountMax is how long a disk may be in use after the process has ended.
	unmountMax = 10 * time.Second
	// blkio is where the kernel takes orders about the speed of disks (cgroup v1).
	blkio = "/sys/fs/cgroup/blkio"
)

// Disk is a file with an ext4 on it that is mounted at a folder, in this sandbox only.
type Disk struct {
	// Image is the file, Folder where it is mounted.
	Image, Folder string
}

// DisksMissing says why there can be no disks in this sandbox.
func DisksMissing() error {
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		return &MissingError{"no file system can be made", "install e2fsprogs", err}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		return &MissingError{"there are no loop devices", "load the kernel module loop, or give the container /dev/loop-control", err}
	}
	return nil
}

// Make makes an empty disk and mounts it; the folder is made if it is missing.
func (d Disk) Make(ctx context.Context) error {
	if err := os.MkdirAll(d.Folder, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(d.Image, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(DiskBytes), f.Close()); err != nil {
		return err
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", d.Image); err != nil {
		return err
	}
	if err := d.mount(ctx); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(filepath.Join(d.Folder, "lost+found")), os.Chmod(d.Folder, 0o700))
}

// Remove unmounts a disk and removes its file.
func (d Disk) Remove() error { return errors.Join(d.unmount(), os.Remove(d.Image)) }

func (d Disk) mount(ctx context.Context) error {
	return run(ctx, "mount", "-n", "-o", "loop,noatime", d.Image, d.Folder)
}

func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("netns: %s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// unmount waits until nobody uses the disk.
func (d Disk) unmount() error {
	for until := time.Now().Add(unmountMax); ; <-time.After(10 * time.Millisecond) {
		err := unix.Unmount(d.Folder, 0)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(until) {
			return fmt.Errorf("netns: unmounting %s: %w", d.Folder, err)
		}
	}
}

// Fail makes every access fail from now on (EIO). What the operating system had not
// brought to the disk never gets there: that is a loss of power, too, once the disk
// has been mounted again. (The order is that of xfstests: EXT4_IOC_SHUTDOWN, without
// a flush of the log.)
func (d Disk) Fail() error {
	const shutdown, withoutLog = 0x8004587d, 2
	f, err := os.Open(d.Folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), shutdown, withoutLog)
}

// Remount takes a disk out and puts it in again, as a start of the machine does: the
// file system goes by its log. Nobody may use it.
func (d Disk) Remount(ctx context.Context) error {
	if err := d.unmount(); err != nil {
		return err
	}
	return d.mount(ctx)
}

// Fill takes all space but so many bytes, until it is told to give it back.
func (d Disk) Fill(leave int64) (giveBack func() error, err error) {
	f, err := os.CreateTemp(d.Folder, "filler")
	if err != nil {
		return nil, err
	}
	giveBack = func() error {
		err := os.Remove(f.Name())
		if errors.Is(err, os.ErrNotExist) {
			err = nil // who empties a disk makes room as well
		}
		return errors.Join(err, d.sync()) // or a loss of power brings it back
	}
	if err := errors.Join(d.fill(f, leave), f.Close()); err != nil {
		return nil, errors.Join(err, giveBack())
	}
	return giveBack, nil
}

// sync brings everything to the disk.
func (d Disk) sync() error {
	f, err := os.Open(d.Folder)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

func (d Disk) fill(f *os.File, leave int64) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(d.Folder, &fs); err != nil {
		return err
	}
	// The file system needs some of it for itself: what does not fit at once does in
	// smaller pieces.
	free := int64(fs.Bavail)*fs.Bsize - leave
	for at, piece := int64(0), free; piece >= fs.Bsize && at < free; {
		n := min(piece, free-at)
		switch err := unix.Fallocate(int(f.Fd()), 0, at, n); {
		case err == nil:
			at += n
		case errors.Is(err, unix.ENOSPC):
			piece /= 2
		default:
			return err
		}
	}
	return nil
}

// SlowMissing says why disks cannot be made slow.
func SlowMissing() error {
	if _, err := os.Stat(filepath.Join(blkio, "cgroup.procs")); err != nil {
		return &MissingError{"the speed of disks cannot be ordered", "mount the blkio controller of cgroup v1 at " + blkio, err}
	}
	return nil
}

// Slow lets a process make so many accesses to the disk in a second, until it is told
// to be quick again. It makes a control group, which is there for all to see, and
// which stays if the sandbox is killed meanwhile: an empty folder.
func (d Disk) Slow(pid, accesses int) (quick func() error, err error) {
	var folder unix.Stat_t
	if err := unix.Stat(d.Folder, &folder); err != nil {
		return nil, err
	}
	group, err := os.MkdirTemp(blkio, "kindred-")
	if err != nil {
		return nil, err
	}
	quick = func() error {
		members, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err != nil {
			return err
		}
		for _, pid := range strings.Fields(string(members)) {
			if err := order(filepath.Join(blkio, "cgroup.procs"), pid); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		return unix.Rmdir(group)
	}
	limit := fmt.Sprintf("%d:%d %d", unix.Major(folder.Dev), unix.Minor(folder.Dev), accesses)
	err = errors.Join(
		order(filepath.Join(group, "blkio.throttle.write_iops_device"), limit),
		order(filepath.Join(group, "blkio.throttle.read_iops_device"), limit),
		order(filepath.Join(group, "cgroup.procs"), fmt.Sprint(pid)))
	if err != nil {
		return nil, errors.Join(err, quick())
	}
	return quick, nil
}

func order(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }
