package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kindredkv/kindred/recording"
)

// tape is the files of one shard of one start, in order.
type tape struct {
	header recording.Header
	files  []tapeFile
}

type tapeFile struct {
	path   string
	header recording.Header
}

// findTapes finds the recordings that path stands for. What looks like a file of one
// and cannot be read is left out, and said.
func findTapes(path string) (tapes []tape, left []leftOutDoc, err error) {
	names, only, err := filesAt(path)
	if err != nil {
		return nil, nil, err
	}
	byShard, left := map[shardID]*tape{}, []leftOutDoc{}
	var wanted shardID
	for _, name := range names {
		h, err := headerOf(name)
		if _, noFile := errors.AsType[*fs.PathError](err); noFile || err != nil && name == only {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		if err != nil {
			if concerns(name, only) {
				left = append(left, leftOutDoc{File: name, Problem: err.Error(), Torn: errors.Is(err, recording.ErrTorn)})
			}
			continue
		}
		id := shardID{h.Node, h.Actor.String(), h.Shard}
		if name == only {
			wanted = id
		}
		if byShard[id] == nil {
			byShard[id] = &tape{header: h}
		}
		byShard[id].files = append(byShard[id].files, tapeFile{name, h})
	}
	if only != "" {
		byShard = map[shardID]*tape{wanted: byShard[wanted]}
	} else {
		addMissing(byShard)
	}
	if len(byShard)+len(left) == 0 {
		return nil, nil, fmt.Errorf("%s holds no recordings: kvnode --record FOLDER makes them", path)
	}
	return tapesOf(byShard), left, nil
}

// filesAt are the files of recordings in a folder; those beside it, if path is a file,
// which is only then.
func filesAt(path string) (names []string, only string, err error) {
	dir := filepath.Clean(path)
	info, err := os.Stat(dir)
	if err != nil {
		return nil, "", err
	}
	if !info.IsDir() {
		dir, only = filepath.Dir(dir), dir
	}
	names, err = filepath.Glob(filepath.Join(escapeGlob(dir), "*.rec"))
	if only != "" && !slices.Contains(names, only) {
		names = append(names, only)
	}
	return names, only, err
}

// tapesOf sorts recordings by node, start and shard, and the files of each.
func tapesOf(byShard map[shardID]*tape) (tapes []tape) {
	for _, t := range byShard {
		slices.SortFunc(t.files, func(a, b tapeFile) int { return a.header.File - b.header.File })
		if len(t.files) > 0 {
			t.header = t.files[0].header
		}
		tapes = append(tapes, *t)
	}
	slices.SortFunc(tapes, func(a, b tape) int {
		return cmp.Or(strings.Compare(a.header.Node, b.header.Node), a.header.Began.Compare(b.header.Began), a.header.Shard-b.header.Shard)
	})
	return tapes
}

// shardID is one shard of one start of a node.
type shardID struct {
	node, actor string
	shard       int
}

// concerns reports whether a file that cannot be read is one of a recording, by its
// name; of the one that a file stands for, if there is one.
func concerns(name, only string) bool {
	_, tape, ok := recording.ParseFileName(filepath.Base(name))
	if only == "" || !ok {
		return ok
	}
	_, wanted, _ := recording.ParseFileName(filepath.Base(only))
	return tape == wanted
}

// addMissing adds the shards of which there is no file, although others of their start
// have some.
func addMissing(byShard map[shardID]*tape) {
	for id, t := range maps.Clone(byShard) {
		for shard := range t.header.Shards {
			other := shardID{id.node, id.actor, shard}
			if byShard[other] == nil {
				h := t.header
				h.Shard = shard
				byShard[other] = &tape{header: h}
			}
		}
	}
}

// escapeGlob keeps a folder's name from being a pattern.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func headerOf(path string) (recording.Header, error) {
	file, err := os.Open(path)
	if err != nil {
		return recording.Header{}, err
	}
	defer file.Close()
	r, err := recording.NewReader(file)
	if err != nil {
		return recording.Header{}, err
	}
	return r.Header, nil
}

// gap says why a file does not go on with the step that comes next, nothing if it does.
func (f *tapeFile) gap(next uint64) string {
	switch first := f.header.First; {
	case first > next:
		return fmt.Sprintf("steps %d to %d are missing", next, first-1)
	case first < next:
		return fmt.Sprintf("%s begins with step %d, which is in another file as well", filepath.Base(f.path), first)
	}
	return ""
}
