package pebblestore

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/kindredkv/kindred/storage"
)

// The names in a folder.
const (
	formatName  = "FORMAT"
	lockName    = "LOCK"
	holderName  = "LOCK.holder"
	ballastName = "BALLAST"
	keptName    = "KEPT" // rows that Discard writes anew
	dbName      = "db"
)

// formatLine is the first line of FORMAT. What follows it is this version's.
func formatLine() string { return fmt.Sprintf("kindred-store %d", storage.FormatVersion) }

// folder is the directory of a store, locked.
type folder struct {
	fs     vfs.FS
	dir    string
	lock   io.Closer
	diskID [16]byte
	isNew  bool // there is no FORMAT yet
}

// lockFolder makes the directory if need be, locks it and reads its FORMAT.
func lockFolder(files vfs.FS, dir string) (*folder, error) {
	f := &folder{fs: files, dir: dir}
	if err := files.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("storage: make the folder %s: %w", dir, err)
	}
	lock, err := files.Lock(f.path(lockName))
	if err != nil {
		return nil, f.lockError(err)
	}
	f.lock = lock
	if err := f.readFormat(); err != nil {
		return nil, errors.Join(err, f.unlock())
	}
	f.writeHolder()
	return f, nil
}

func (f *folder) path(name string) string { return f.fs.PathJoin(f.dir, name) }

// lockError tells a lock that another holds from one that cannot be made.
func (f *folder) lockError(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return fmt.Errorf("storage: lock the folder %s: %w", f.dir, err)
	}
	holder, _ := f.read(holderName)
	return &storage.LockedError{Dir: f.dir, Holder: strings.TrimSpace(string(holder)), Cause: err}
}

// writeHolder says who holds the lock, for the message of the next. It may fail,
// on a full disk for example: the lock is held all the same.
func (f *folder) writeHolder() {
	host, err := os.Hostname()
	if err != nil {
		host = "an unknown host"
	}
	_ = f.write(holderName, fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host))
}

func (f *folder) unlock() error {
	_ = f.fs.Remove(f.path(holderName))
	if err := f.lock.Close(); err != nil {
		return fmt.Errorf("storage: unlock the folder %s: %w", f.dir, err)
	}
	return nil
}

// readFormat reads the version and the disk's id, or finds that the folder is
// new.
func (f *folder) readFormat() error {
	content, err := f.read(formatName)
	if errors.Is(err, fs.ErrNotExist) {
		f.isNew = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("storage: read %s: %w", f.path(formatName), err)
	}
	first, rest, _ := strings.Cut(string(content), "\n")
	if !strings.HasPrefix(first, "kindred-store ") {
		return f.damaged(fmt.Errorf("it begins with %q, not with %q", shorten(first), formatLine()))
	}
	if first != formatLine() {
		return &storage.FormatError{Dir: f.dir, Have: fmt.Sprintf("%q", shorten(first)), Want: fmt.Sprintf("%q", formatLine())}
	}
	text, ended := strings.CutSuffix(rest, "\n")
	id, err := hex.DecodeString(strings.TrimPrefix(text, "disk "))
	if err != nil || len(id) != len(f.diskID) || !ended {
		return f.damaged(fmt.Errorf("its second line %q does not hold the disk's id", shorten(rest)))
	}
	f.diskID = [16]byte(id)
	return nil
}

func shorten(text string) string { return text[:min(len(text), 40)] }

func (f *folder) damaged(cause error) error {
	return &storage.DamagedError{Dir: f.dir, File: f.path(formatName), Cause: cause}
}

// writeFormat ends the making of a folder: from here on it has a database.
func (f *folder) writeFormat(random io.Reader) error {
	if _, err := io.ReadFull(random, f.diskID[:]); err != nil {
		return fmt.Errorf("storage: draw an id for the disk: %w", err)
	}
	content := fmt.Appendf(nil, "%s\ndisk %x\n", formatLine(), f.diskID)
	temporary := formatName + ".new"
	err := f.write(temporary, content)
	if err == nil {
		err = f.fs.Rename(f.path(temporary), f.path(formatName))
	}
	if err == nil {
		err = f.syncPath()
	}
	if err != nil {
		return fmt.Errorf("storage: write %s: %w", f.path(formatName), err)
	}
	f.isNew = false
	return nil
}

func (f *folder) read(name string) ([]byte, error) {
	file, err := f.fs.Open(f.path(name))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, 4<<10))
	return content, errors.Join(err, file.Close())
}

func (f *folder) write(name string, content []byte) error {
	file, err := f.fs.Create(f.path(name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncPath makes the names in the folder durable, and the folder's own name, and
// those of the folders above it, any of which may be new. Folders above that may
// not be opened were there before.
func (f *folder) syncPath() error {
	for dir, last := f.dir, ""; dir != last; dir, last = f.fs.PathDir(dir), dir {
		opened, err := f.fs.OpenDir(dir)
		if dir != f.dir && errors.Is(err, fs.ErrPermission) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(opened.Sync(), opened.Close()); err != nil {
			return err
		}
	}
	return nil
}

// canonical gives every way to name a folder one name. The lock tells stores of
// one process apart by name only, and a folder can have many.
func canonical(files vfs.FS, dir string) (string, error) {
	if files != vfs.Default {
		return dir, nil
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("storage: find the folder %s: %w", dir, err)
	}
	real, err := filepath.EvalSymlinks(absolute)
	if errors.Is(err, fs.ErrNotExist) {
		return absolute, nil
	}
	if err != nil {
		return "", fmt.Errorf("storage: find the folder %s: %w", dir, err)
	}
	return real, nil
}

// isFull reports whether the disk said that it has no space.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) }
