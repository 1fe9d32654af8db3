package pebblestore

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// lockedDirEnv makes this test binary a second process that opens a folder.
const lockedDirEnv = "KINDRED_TEST_OPEN_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(lockedDirEnv); dir != "" {
		_, err := Open(dir, Options{})
		fmt.Print(err)
		return
	}
	os.Exit(m.Run())
}

func TestFolder_OneStoreAtATime(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir, Options{})
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))

	t.Run("in this process, by any path", func(t *testing.T) {
		for _, path := range []string{dir, dir + "/.", link} {
			_, err := Open(path, Options{})
			var locked *storage.LockedError
			require.ErrorAs(t, err, &locked)
			require.Equal(t, dir, locked.Dir)
			require.ErrorContains(t, err, fmt.Sprintf("%s is in use by process %d on ", dir, os.Getpid()))
		}
	})
	t.Run("in another process", func(t *testing.T) {
		other := exec.Command(os.Args[0])
		other.Env = append(os.Environ(), lockedDirEnv+"="+dir)
		said, err := other.CombinedOutput()
		require.NoError(t, err)
		require.Contains(t, string(said), fmt.Sprintf("%s is in use by process %d on ", dir, os.Getpid()))
	})
	require.NoError(t, s.Apply(oneRow("a")), "the first store is not disturbed")
	require.NoError(t, s.Close())

	s, err = Open(link, Options{})
	require.NoError(t, err, "a closed store lets go of its folder")
	require.NoError(t, s.Close())
	_, err = os.Stat(filepath.Join(dir, holderName))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFolder_DiskID(t *testing.T) {
	open := func(fs vfs.FS, dir string) *Store {
		s, err := Open(dir, Options{FS: fs, Random: bytes.NewReader([]byte("0123456789abcdef"))})
		require.NoError(t, err)
		return s
	}
	fs := vfs.NewMem()
	s := open(fs, "node")
	require.Equal(t, "0123456789abcdef", fmt.Sprintf("%s", s.DiskID()))
	require.NoError(t, s.Close())
	again, err := Open("node", Options{FS: fs})
	require.NoError(t, err)
	require.Equal(t, s.DiskID(), again.DiskID(), "the id stays with the folder")
	require.NoError(t, again.Close())

	other, err := Open("other", Options{FS: fs})
	require.NoError(t, err)
	require.NotEqual(t, s.DiskID(), other.DiskID())
	require.NoError(t, other.Close())
}

// What FORMAT looks like is a contract with every later version.
func TestFolder_FormatIsGolden(t *testing.T) {
	fs := vfs.NewMem()
	s, err := Open("node", Options{FS: fs, Random: bytes.NewReader([]byte("0123456789abcdef"))})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	content, err := fs.UnsafeGetFileDataBuffer("node/FORMAT")
	require.NoError(t, err)
	require.Equal(t, "kindred-store 1\ndisk 30313233343536373839616263646566\n", string(content))
}

func TestFolder_UnknownFormat(t *testing.T) {
	for name, rename := range map[string]func(*vfs.MemFS) error{
		"of ours": func(fs *vfs.MemFS) error {
			content, err := fs.UnsafeGetFileDataBuffer("node/FORMAT")
			copy(content, "kindred-store 2")
			return err
		},
		"of Pebble's": func(fs *vfs.MemFS) error {
			file, err := fs.Create("node/db/marker.format-version.999999.999", vfs.WriteCategoryUnspecified)
			require.NoError(t, err)
			return file.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s, err := Open("node", small(fs))
			require.NoError(t, err)
			require.NoError(t, s.Close())
			require.NoError(t, rename(fs))
			_, err = Open("node", small(fs))
			var format *storage.FormatError
			require.ErrorAs(t, err, &format)
			require.ErrorContains(t, err, "start it with the version that wrote it")
		})
	}
}

// A start that is cut off at any point leaves a folder that opens, or says why not.
func TestFolder_MakingIsCutOff(t *testing.T) {
	mem := vfs.NewMem()
	_, err := Open("node", Options{FS: mem, Random: bytes.NewReader(nil)})
	require.ErrorContains(t, err, "draw an id for the disk")
	s, err := Open("node", small(mem))
	require.NoError(t, err, "there is a database without a FORMAT, but no row in it")
	require.NoError(t, s.Close())
}
