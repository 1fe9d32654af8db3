package jepsen

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kindredkv/kindred/jepsen/history"
	"github.com/kindredkv/kindred/jepsen/report"
)

// Names of the files of a run.
const (
	PageName     = "report.html"
	DocumentName = "report.json"
	ednName      = "edn"
)

// Folder is the name that the folder of a run has among others: they sort by time.
func Folder(began time.Time, seed uint64) string {
	return fmt.Sprintf("%s-%d", began.UTC().Format("20060102T150405Z"), seed)
}

// Save writes a run to a folder: the document, the page, and each history for this
// checker; and in the folder edn of it for those of Jepsen. On a disk that runs full
// the verdict is what should be there: it comes first, and what can be made of the
// others last. What fails keeps nothing else from being written.
func Save(r *report.Run, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, ednName), 0o755); err != nil {
		return err
	}
	errs := []error{
		saved(filepath.Join(dir, DocumentName), func(f *os.File) error { return r.JSON(f) }),
		saved(filepath.Join(dir, PageName), func(f *os.File) error { return r.HTML(f) }),
	}
	for i := range r.Parts {
		p := &r.Parts[i]
		errs = append(errs, saved(filepath.Join(dir, p.Workload+".jsonl"), func(f *os.File) error { return p.History.Write(f) }))
	}
	for i := range r.Parts {
		p := &r.Parts[i]
		errs = append(errs, saveEDN(&p.History, filepath.Join(dir, ednName, p.Workload)))
	}
	return errors.Join(errs...)
}

// saveEDN writes a history in every form that holds it, under names that begin with
// path.
func saveEDN(h *history.History, path string) error {
	files, err := h.Exports(filepath.Base(path))
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(path), name), text, 0o644))
	}
	return err
}

// saved writes a file that is there as a whole or not at all: of a document that breaks
// off nobody could tell what the verdict was.
func saved(path string, write func(*os.File) error) error {
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// Saved is a run in a folder.
type Saved struct {
	Dir      string  `json:"dir"`
	Verdict  string  `json:"verdict"`
	Headline string  `json:"headline"`
	Began    string  `json:"began"`
	Seed     uint64  `json:"seed"`
	Worked   float64 `json:"worked_seconds"`
	Command  string  `json:"command"`
}

// Runs are the runs that were saved in folders below one, oldest first. A folder
// without a document is no run; one whose document cannot be read is named in err.
func Runs(dir string) (runs []Saved, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", DocumentName))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	var errs []error
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var doc struct {
			Version int `json:"kindred_jepsen"`
			Saved
		}
		if err := json.Unmarshal(b, &doc); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		if doc.Version != report.Version {
			errs = append(errs, fmt.Errorf("%s: this is not a report of version %d, the only one that is known here", path, report.Version))
			continue
		}
		doc.Dir = filepath.Dir(path)
		runs = append(runs, doc.Saved)
	}
	return runs, errors.Join(errs...)
}
