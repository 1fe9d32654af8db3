package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/bulk"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

// exportReads is how many keys are read side by side. All their values are in
// memory at a time.
const exportReads = 64

func (a *app) exportCommand() *cobra.Command {
	var read readFlags
	var prefix string
	c := &cobra.Command{
		Use: "export BUCKET [FILE]", Short: "Write all keys of a bucket as a batch", Args: cobra.RangeArgs(1, 2),
		Long: `Export writes every key of a bucket with all its values, as the lines that 'kvcli
batch' takes back: to standard output, or to a new file. Siblings become several
lines, so that a batch of them makes siblings again. Content types and expiries are
kept; dots and contexts are not, for a batch writes anew.

Every key that exists throughout is written, as a read quorum shows it. A key that
changes meanwhile is written as it is when it is read: an export is no snapshot. FILE
has its name only when it is complete. The exit code is 6 if it could not be.`,
		Example: `  kvcli export carts > carts.jsonl
  kvcli export carts carts.jsonl --prefix user:
  kvcli export carts | kvcli batch - --cluster other:7400 --quiet`,
		RunE: func(c *cobra.Command, args []string) error {
			if bad := kindred.CheckBucket(args[0]); bad != nil {
				return bad
			}
			opts, err := read.options()
			if err != nil {
				return err
			}
			return a.withCluster(c.Context(), func(cl cluster) error {
				e := &export{app: a, bucket: cl.Bucket(args[0]), prefix: prefix, opts: opts}
				e.doc.Bucket = args[0]
				if len(args) > 1 {
					return e.toFile(c.Context(), args[1])
				}
				if err := e.write(c.Context(), a.out); err != nil {
					return err
				}
				a.note("%s", e.summary())
				return nil
			})
		},
	}
	read.register(c)
	c.Flags().StringVar(&prefix, "prefix", "", "only keys that begin so")
	return c
}

// exportDoc is the document of kvcli export with a FILE.
type exportDoc struct {
	Bucket string `json:"bucket"`
	File   string `json:"file"`
	Keys   int64  `json:"keys"`
	// Values is the number of lines: more than Keys if there are siblings.
	Values  int64   `json:"values"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
}

// export is one run of the command.
type export struct {
	*app
	bucket bucket
	prefix string
	opts   []client.CallOption
	doc    exportDoc
}

// toFile gives the file its name when it is complete: half an export must not be
// taken for one.
func (e *export) toFile(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return &result{exit: exitUnsafe, code: "unsafe", message: path + " exists: export to another file, or remove it first"}
	}
	part := path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	defer os.Remove(part) // gone already if all went well
	if err := errors.Join(e.write(ctx, f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	e.doc.File = path
	return e.print(e.doc, func(w io.Writer) error { _, err := fmt.Fprintln(w, e.summary()); return err })
}

func (e *export) summary() string {
	took := time.Duration(e.doc.Seconds * float64(time.Second))
	return fmt.Sprintf("%s with %s, %s, in %s (%s/s)",
		term.Counted(e.doc.Keys, "key"), term.Counted(e.doc.Values, "value"), term.Counted(e.doc.Bytes, "byte"),
		took.Round(time.Millisecond), term.Count(int64(term.Rate(e.doc.Keys, took))))
}

// write scans and reads side by side, some keys after others.
func (e *export) write(ctx context.Context, to io.Writer) error {
	begin := time.Now()
	progress := e.progressBeside("keys", false)
	defer progress.End()
	w := bufio.NewWriterSize(to, 64<<10)
	var part []string
	flush := func() error {
		err := e.writeKeys(ctx, w, part)
		part = part[:0]
		progress.Step(e.doc.Keys, 0)
		return err
	}
	_, err := walk(ctx, e.bucket, scanFlags{prefix: e.prefix}, nil, 0, func(entry client.Entry) error {
		if part = append(part, entry.Key); len(part) < exportReads {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	err = errors.Join(err, w.Flush())
	e.doc.Seconds = time.Since(begin).Seconds()
	if err != nil {
		return fmt.Errorf("the export is not complete, it ended after %s keys: %w", term.Count(e.doc.Keys), err)
	}
	return nil
}

// writeKeys reads keys and writes them in their order.
func (e *export) writeKeys(ctx context.Context, w io.Writer, keys []string) error {
	found, errs := make([]*client.Object, len(keys)), make([]error, len(keys))
	var reads sync.WaitGroup
	for i, key := range keys {
		reads.Go(func() { found[i], errs[i] = e.bucket.Get(ctx, key, e.opts...) })
	}
	reads.Wait()
	for i, key := range keys {
		if errs[i] != nil {
			return errs[i]
		}
		if err := e.writeKey(w, key, found[i].Siblings); err != nil {
			return err
		}
	}
	return nil
}

// writeKey writes a line per value: the first replaces what a batch finds, the
// others are blind and become its siblings. A key that is gone has none.
func (e *export) writeKey(w io.Writer, key string, siblings []kindred.Sibling) error {
	for i := range siblings {
		line, err := marshal(bulk.PutLine(e.doc.Bucket, key, &siblings[i], i > 0))
		if err != nil {
			return err
		}
		n, err := w.Write(append(line, '\n'))
		if err != nil {
			return err
		}
		e.doc.Bytes += int64(n)
		e.doc.Values++
	}
	if len(siblings) > 0 {
		e.doc.Keys++
	}
	return nil
}
