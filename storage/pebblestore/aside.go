package pebblestore

import (
	"errors"
	"fmt"
	"io/fs"
)

// asideMax is how many damaged stores a folder keeps. A disk that has damaged more
// is to be replaced, and what it holds looked at.
const asideMax = 3

// SetAside moves a store that Open refuses as damaged into a folder of its own
// within dir, damaged-1 to damaged-3, and says where. Nothing of it is changed. The
// next Open makes a new store, under another disk id, that holds nothing: whoever
// calls this has to know where to get the rows again, and that this is a disk that
// has lost them. It may be called again after an interruption.
func SetAside(dir string, options Options) (to string, err error) {
	files := options.withDefaults().FS
	if dir, err = canonical(files, dir); err != nil {
		return "", err
	}
	f := &folder{fs: files, dir: dir}
	lock, err := files.Lock(f.path(lockName))
	if err != nil {
		return "", f.lockError(err)
	}
	f.lock = lock
	defer func() { err = errors.Join(err, f.unlock()) }()
	for i := 1; i <= asideMax; i++ {
		to = f.path(fmt.Sprintf("damaged-%d", i))
		if _, err := files.Stat(to); errors.Is(err, fs.ErrNotExist) {
			return to, f.moveTo(to)
		}
	}
	return "", fmt.Errorf("storage: %s holds %d damaged stores already: replace the disk, or look at them and remove them", dir, asideMax)
}

// moveTo moves what makes a folder a store: FORMAT first, so that what an
// interruption leaves is refused as damaged again.
func (f *folder) moveTo(to string) error {
	if err := f.fs.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("storage: make the folder %s: %w", to, err)
	}
	for _, name := range []string{formatName, dbName} {
		err := f.fs.Rename(f.path(name), f.fs.PathJoin(to, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("storage: set %s aside: %w", f.path(name), err)
		}
	}
	return f.syncPath()
}
