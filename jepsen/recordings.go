package jepsen

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/local"
	"github.com/kindredkv/kindred/recording"
)

// RecordingsName is the folder of a run that has a folder of recordings for each node.
const RecordingsName = "recordings"

// recordingName is that of a file of a recording; the node's name is first in it.
var recordingName = regexp.MustCompile(`^(.+)-\d{6,}-[0-9a-f]{8}-\d{3}-\d{6,}\.rec$`)

// Recording is what nodes have to be started with for recordings in a folder, of so
// many bytes of each; 0 leaves that to them.
func Recording(dir string, bytes int64) (args []string) {
	args = []string{"--record", dir}
	if bytes != 0 {
		args = append(args, "--record-bytes", strconv.FormatInt(bytes, 10))
	}
	return args
}

// Recordings moves the recordings of a cluster that has ended into the folder of its
// run, each node's into a folder of its own, and says what there is. Began is when the
// run did.
func Recordings(from, dir string, began time.Time) ([]report.Recording, error) {
	paths, err := filepath.Glob(filepath.Join(from, "*.rec"))
	if err != nil {
		return nil, err
	}
	byNode := map[string][]recordedFile{}
	for _, path := range paths {
		name := recordingName.FindStringSubmatch(filepath.Base(path))
		if name == nil {
			continue
		}
		f, err := recordedFileOf(path)
		if err != nil {
			return nil, err
		}
		to := filepath.Join(dir, RecordingsName, name[1])
		if err := os.MkdirAll(to, 0o700); err != nil {
			return nil, err
		}
		if err := os.Rename(path, filepath.Join(to, filepath.Base(path))); err != nil {
			return nil, err
		}
		byNode[name[1]] = append(byNode[name[1]], f)
	}
	var all []report.Recording
	for _, node := range slices.Sorted(maps.Keys(byNode)) {
		r := report.Recording{Node: node, Dir: filepath.Join(dir, RecordingsName, node), Files: len(byNode[node]), Starts: startsOf(byNode[node], began)}
		for _, f := range byNode[node] {
			r.Bytes += f.bytes
		}
		all = append(all, r)
	}
	return all, nil
}

// recordedFile is one file of a recording. A full disk, or one that is damaged, may
// have left no header.
type recordedFile struct {
	recording.Header
	headed bool
	bytes  int64
}

func recordedFileOf(path string) (f recordedFile, err error) {
	file, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return f, err
	}
	f.bytes = info.Size()
	if r, err := recording.NewReader(file); err == nil {
		f.Header, f.headed = r.Header, true
	}
	return f, nil
}

// startsOf are the starts of a node that files tell of, in order of time.
func startsOf(files []recordedFile, began time.Time) (starts []report.RecordedStart) {
	files = slices.DeleteFunc(slices.Clone(files), func(f recordedFile) bool { return !f.headed })
	slices.SortFunc(files, func(a, b recordedFile) int {
		return cmp.Or(a.Began.Compare(b.Began), a.Actor.Compare(b.Actor), a.Shard-b.Shard, a.File-b.File)
	})
	for i, f := range files {
		if i == 0 || f.Actor != files[i-1].Actor {
			starts = append(starts, report.RecordedStart{Number: f.Start, Began: f.Began.Sub(began)})
		}
		if first := i == 0 || f.Actor != files[i-1].Actor || f.Shard != files[i-1].Shard; first && f.First > 0 {
			starts[len(starts)-1].Headless = true
		}
	}
	return starts
}

// homesMax bounds how long nodes are asked for the homes of keys.
const homesMax = 10 * time.Second

// homes are the nodes that keep a copy of the keys that findings are about. What no
// node says in time is left out.
func (r *run) homes(ctx context.Context) map[history.ID][]string {
	ctx, cancel := context.WithTimeout(ctx, homesMax)
	defer cancel()
	all := map[history.ID][]string{}
	for i := range r.report.Parts {
		for _, v := range r.report.Parts[i].Report.Verdicts {
			for _, f := range v.Findings {
				if _, asked := all[f.Object]; !asked {
					all[f.Object] = homesOf(ctx, r.nodes, f.Object)
				}
			}
		}
	}
	return all
}

// homesOf asks one node after the other.
func homesOf(ctx context.Context, nodes []local.Node, id history.ID) []string {
	for _, n := range nodes {
		var doc struct {
			Replicas []struct {
				Node  string
				Guest bool
			}
		}
		path := "/v1/buckets/" + url.PathEscape(id.Bucket) + "/keys/" + url.PathEscape(id.Key) + "/replicas?timeout=2s"
		if getJSON(ctx, n, path, &doc) != nil || len(doc.Replicas) == 0 {
			continue
		}
		var names []string
		for _, r := range doc.Replicas {
			if !r.Guest {
				names = append(names, r.Node)
			}
		}
		slices.Sort(names)
		return names
	}
	return nil
}

// getJSON reads a document of a node.
func getJSON(ctx context.Context, n local.Node, path string, doc any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(doc)
}
