package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/bulk"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

func (a *app) batchCommand() *cobra.Command {
	var write writeFlags
	b := &batch{app: a}
	var name string
	c := &cobra.Command{
		Use: "batch FILE", Short: "Carry out many puts and deletes from a file", Args: cobra.ExactArgs(1),
		Long: fmt.Sprintf(`Batch carries out the operations of a file, one JSON object per line, and says for
each line what became of it. FILE may be - for standard input.

  {"op":"put","bucket":"carts","key":"alice","value":"milk"}
  {"op":"put","bucket":"carts","key":"bob","value":"tea","context":"TOKEN"}
  {"op":"put","bucket":"carts","key":"new","value":"x","blind":true,"ttl":"30m"}
  {"op":"del","bucket":"carts","key":"carol"}

Each is what kvcli put and kvcli del are: without context or blind the key is read
first, and what was read is replaced. key_base64 and value_base64 are for what is not
text; content_type, expires_at and request_id are known too. Operations on one key are
done in the order of the file, others side by side, %d lines after another.

It is no transaction: each line succeeds or fails by itself. Exit code: 0 if all are
done, else the gravest of 4 (some unknown), 6 (some not done), 5 (some refused), 1
(some lines mean nothing). 'kvcli export' writes such files.`, kindred.BatchMax),
		Example: `  kvcli batch changes.jsonl
  kvcli export carts | kvcli batch - --cluster other:7400 --quiet
  echo '{"op":"del","key":"alice"}' | kvcli batch - --bucket carts`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if b.opts, err = write.options(); err != nil {
				return err
			}
			if b.concurrency < 1 || b.concurrency > bulk.ConcurrencyMax {
				return usageError{c, fmt.Errorf("--concurrency %d: use 1 to %d", b.concurrency, bulk.ConcurrencyMax)}
			}
			in, err := a.openInput(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			return a.withCluster(c.Context(), func(cl cluster) error {
				b.cluster, b.in, b.source = cl, in, bulk.NewOperations(in, name)
				return b.run(c.Context())
			})
		},
	}
	write.registerHolding(c)
	c.Flags().StringVar(&name, "bucket", "", "bucket of the lines that name none")
	c.Flags().IntVar(&b.concurrency, "concurrency", bulk.ConcurrencyDefault, "operations in flight")
	c.Flags().BoolVar(&b.quiet, "quiet", false, "only show what was not done, and the sums")
	return c
}

// batchSums end the document of kvcli batch, after its results. They count lines:
// Operations is the sum of the four after it.
type batchSums struct {
	Operations int64 `json:"operations"`
	Applied    int64 `json:"applied"`
	// Nothing are deletes of keys without a value.
	Nothing  int64   `json:"nothing_to_do"`
	BadLines int64   `json:"bad_lines"`
	Failed   int64   `json:"failed"`
	Seconds  float64 `json:"seconds"`
}

// operationDoc is what became of one line.
type operationDoc struct {
	Line   int    `json:"line"`
	Op     string `json:"op"`
	Bucket string `json:"bucket"`
	keyDoc
	Applied bool   `json:"applied"`
	Dot     string `json:"dot"`
	Stage   string `json:"stage"`
	Context string `json:"context"`
	// Error is missing if the line was done.
	Error *errorDoc `json:"error,omitempty"`
}

// batchBytes bounds the values that are read ahead of their operations.
const batchBytes = kindred.ObjectBytesMax

// batch is one run of the command.
type batch struct {
	*app
	cluster     cluster
	in          *input
	source      *bulk.Operations
	opts        []client.CallOption
	concurrency int
	quiet       bool

	results stream
	sums    batchSums
	// worst is the exit code of the gravest failure.
	worst int
}

// run does a part of the file after another; the results are printed in the order
// of the lines.
func (b *batch) run(ctx context.Context) error {
	begin := time.Now()
	b.results = stream{app: b.app, name: "results"}
	progress := b.progressBeside("operations", b.quiet)
	var ended error
	for more := true; more && ended == nil; {
		var lines []batchLine
		lines, more, ended = b.readPart()
		b.perform(ctx, lines)
		if err := b.show(lines); err != nil {
			return err
		}
		progress.Step(b.sums.Operations, b.in.total())
		if ctx.Err() != nil && more {
			ended = context.Cause(ctx)
		}
	}
	progress.End()
	b.sums.Seconds = time.Since(begin).Seconds()
	if err := b.results.end(b.sums, b.writeSums); err != nil {
		return err
	}
	if ended != nil {
		return fmt.Errorf("the batch ended before the file: %w", ended)
	}
	return b.result()
}

// batchLine is a line, and what became of it.
type batchLine struct {
	op      bulk.Operation
	receipt *client.Receipt // nil if there was nothing to delete
	err     error
}

// readPart reads as many lines as are done side by side.
func (b *batch) readPart() (part []batchLine, more bool, err error) {
	for bytes := 0; len(part) < kindred.BatchMax && bytes < batchBytes; {
		op, err := b.source.Next()
		var row *bulk.RowError
		switch {
		case errors.Is(err, io.EOF):
			return part, false, nil
		case errors.As(err, &row):
			op.Line = row.Line
		case err != nil:
			return part, false, err
		}
		b.in.count()
		bytes += len(op.Value)
		part = append(part, batchLine{op: op, err: err})
	}
	return part, true, nil
}

// perform gives every key to one worker, so that what is done to it is done in the
// order of the file.
func (b *batch) perform(ctx context.Context, lines []batchLine) {
	seed := maphash.MakeSeed()
	shares := make([][]*batchLine, b.concurrency)
	for i := range lines {
		if l := &lines[i]; l.err == nil {
			at := maphash.Comparable(seed, [2]string{l.op.Bucket, l.op.Key}) % uint64(len(shares))
			shares[at] = append(shares[at], l)
		}
	}
	var workers sync.WaitGroup
	for _, share := range shares {
		if len(share) > 0 {
			workers.Go(func() {
				for _, l := range share {
					l.receipt, l.err = b.do(ctx, &l.op)
				}
			})
		}
	}
	workers.Wait()
}

// do carries out one operation. Without a receipt there was nothing to delete.
func (b *batch) do(ctx context.Context, op *bulk.Operation) (*client.Receipt, error) {
	if ctx.Err() != nil {
		return nil, &kindred.Error{Code: kindred.CodeStopping, Outcome: kindred.NotApplied, Message: "the batch was interrupted before this line"}
	}
	bucket := b.cluster.Bucket(op.Bucket)
	opts := append(op.Opts, b.opts...)
	if !op.Blind {
		c, n, err := seen(ctx, bucket, op.Key, op.Context)
		if err != nil {
			return nil, err
		}
		if n == 0 && op.Op == kindred.OpDelete {
			return nil, nil
		}
		opts = append(opts, client.Seen(c))
	}
	if op.Op == kindred.OpDelete {
		return bucket.Delete(ctx, op.Key, opts...)
	}
	return bucket.Put(ctx, op.Key, op.Value, opts...)
}

// show prints the results of lines and counts them.
func (b *batch) show(lines []batchLine) error {
	for i := range lines {
		l := &lines[i]
		doc := l.document()
		b.sums.Operations++
		var row *bulk.RowError
		switch {
		case errors.As(l.err, &row):
			b.sums.BadLines++
		case l.err != nil:
			b.sums.Failed++
		case l.receipt == nil:
			b.sums.Nothing++
		default:
			b.sums.Applied++
		}
		if l.err != nil {
			b.worst = graver(b.worst, doc.Error.Exit)
		} else if b.quiet {
			continue
		}
		if err := b.results.add(doc, func(w io.Writer) error { return b.writeLine(w, l, &doc) }); err != nil {
			return err
		}
	}
	return nil
}

// graver orders exit codes: a write of unknown outcome is graver than one that did
// not happen, and that than one which never could.
func graver(x, y int) int {
	for _, exit := range []int{exitUnknown, exitUnavailable, exitUnsafe, exitError} {
		if x == exit || y == exit {
			return exit
		}
	}
	return exitDone
}

func (l *batchLine) document() operationDoc {
	doc := operationDoc{Line: l.op.Line, Bucket: l.op.Bucket, keyDoc: newKeyDoc(l.op.Key)}
	switch l.op.Op {
	case kindred.OpPut:
		doc.Op = "put"
	case kindred.OpDelete:
		doc.Op = "del"
	}
	var row *bulk.RowError
	switch {
	case errors.As(l.err, &row):
		doc.Error = &errorDoc{Code: "bad_rows", Message: row.Problem, Exit: exitError}
	case l.err != nil:
		d := describe(l.err)
		doc.Error = &d
	case l.receipt != nil:
		doc.Applied, doc.Dot, doc.Stage, doc.Context = true, l.receipt.Dot, l.receipt.Stage.String(), l.receipt.Context.String()
	}
	return doc
}

func (b *batch) writeLine(w io.Writer, l *batchLine, doc *operationDoc) error {
	text := ""
	switch {
	case doc.Error != nil:
		text = b.style().Bad(doc.Error.Message)
		if doc.Error.Exit == exitUnknown {
			text += " (repeat it with request_id " + doc.Error.RequestID + ")"
		}
	case l.receipt == nil:
		text = "has no value: nothing to delete"
	default:
		text = doc.Stage + ", dot " + doc.Dot
	}
	what := ""
	if doc.Op != "" {
		what = fmt.Sprintf("%s %s/%s: ", doc.Op, shown(doc.Bucket), shown(l.op.Key))
	}
	_, err := fmt.Fprintf(w, "line %d: %s%s\n", doc.Line, what, text)
	return err
}

func (b *batch) writeSums(w io.Writer) error {
	s := &b.sums
	took := time.Duration(s.Seconds * float64(time.Second))
	_, err := fmt.Fprintf(w, "%s in %s (%s/s): %s applied, %s with nothing to do, %s, %s failed\n",
		term.Counted(s.Operations, "operation"), took.Round(time.Millisecond), term.Count(int64(term.Rate(s.Operations, took))),
		term.Count(s.Applied), term.Count(s.Nothing), term.Counted(s.BadLines, "bad line"), term.Count(s.Failed))
	return err
}

// result is how the command ends.
func (b *batch) result() error {
	code := map[int]string{exitUnknown: "unknown", exitUnavailable: string(kindred.CodeUnavailable), exitUnsafe: "unsafe", exitError: "bad_rows"}[b.worst]
	if code == "" {
		return nil
	}
	return &result{exit: b.worst, code: code, message: fmt.Sprintf(
		"%s of %s lines were not done: the result of each says why", term.Count(b.sums.BadLines+b.sums.Failed), term.Count(b.sums.Operations))}
}
