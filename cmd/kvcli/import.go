package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/cmd/kvcli/bulk"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

func (a *app) importCommand() *cobra.Command {
	var keyColumn, format string
	var o bulk.Options
	c := &cobra.Command{
		Use: "import BUCKET FILE", Short: "Store the records of a CSV or JSON-lines file", Args: cobra.ExactArgs(2),
		Long: `Import stores every record of a file as a JSON object, under the text in its key
column: the rows of a CSV file with a header line, or one JSON object per line.
FILE may be - for standard input.

It reads every key first: a record that is already there with the same value is
left alone, and another value is replaced. --blind is faster for keys that are
new. Rows that cannot be read are named by their line, and the others stored;
the exit code is then 1. Rows that could not be stored make it 4 or 6.`,
		Example: `  kvcli import cities data/world-cities.csv --key geonameid
  kvcli import people people.jsonl --key email --concurrency 16`,
		RunE: func(c *cobra.Command, args []string) error {
			if bad := kindred.CheckBucket(args[0]); bad != nil {
				return bad
			}
			if o.Concurrency < 1 || o.Concurrency > bulk.ConcurrencyMax {
				return usageError{c, fmt.Errorf("--concurrency %d: use 1 to %d", o.Concurrency, bulk.ConcurrencyMax)}
			}
			in, err := a.openImport(c.Context(), args[1], format, keyColumn)
			if err != nil {
				return err
			}
			defer in.Close()
			return a.withCluster(c.Context(), func(cl cluster) error {
				return a.importAll(c.Context(), cl.Bucket(args[0]), args[0], in, o)
			})
		},
	}
	c.Flags().StringVar(&keyColumn, "key", "", "column or field that holds the key (required)")
	c.Flags().StringVar(&format, "format", "", "csv or jsonl (default: by the file's name)")
	c.Flags().IntVar(&o.Concurrency, "concurrency", bulk.ConcurrencyDefault, "records in flight")
	c.Flags().BoolVar(&o.Blind, "blind", false, "do not read first: for keys that are new")
	if err := c.MarkFlagRequired("key"); err != nil {
		panic(err) // the flag is defined three lines above
	}
	return c
}

// importFile is a source and how far it was read.
type importFile struct {
	*input
	source bulk.Source
}

func (a *app) openImport(ctx context.Context, path, format, keyColumn string) (*importFile, error) {
	file, err := a.openInput(ctx, path)
	if err != nil {
		return nil, err
	}
	in := &importFile{input: file}
	if err := in.begin(path, format, keyColumn); err != nil {
		in.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return in, nil
}

func (in *importFile) begin(path, format, keyColumn string) (err error) {
	if format == "" {
		if format, err = bulk.FormatOf(path); err != nil {
			return err
		}
	}
	in.source, err = bulk.NewSource(in, format, keyColumn)
	return err
}

// Next implements bulk.Source.
func (in *importFile) Next() (bulk.Record, error) {
	r, err := in.source.Next()
	in.count()
	return r, err
}

// importDoc is the document of kvcli import.
type importDoc struct {
	Bucket string `json:"bucket"`
	// Records is how many rows were seen; the next four add up to it.
	Records   int64 `json:"records"`
	Stored    int64 `json:"stored"`
	Unchanged int64 `json:"unchanged"`
	BadRows   int64 `json:"bad_rows"`
	Failed    int64 `json:"failed"`
	// Replaced of those stored superseded another value.
	Replaced int64   `json:"replaced"`
	Seconds  float64 `json:"seconds"`
	// Failures are the first 100 of both kinds.
	Failures []importFailure `json:"failures"`
}

type importFailure struct {
	Line  int       `json:"line"`
	Key   string    `json:"key,omitempty"`
	Error *errorDoc `json:"error"`
}

func (a *app) importAll(ctx context.Context, b bucket, name string, in *importFile, o bulk.Options) error {
	begin := time.Now()
	progress := term.NewProgress(a.errOut, "records")
	o.Progress = func(done int64) { progress.Step(done, in.total()) }
	sum, err := bulk.Run(ctx, in, b, o)
	progress.End()
	doc := newImportDoc(name, sum, time.Since(begin))
	printErr := a.print(doc, func(w io.Writer) error { return a.writeImport(w, doc, sum) })
	if err != nil {
		return fmt.Errorf("the import ended before the file: %w", err)
	}
	if printErr != nil {
		return printErr
	}
	return importResult(sum)
}

// writeImport prints the summary, and the rows that are not stored on the
// other stream.
func (a *app) writeImport(w io.Writer, doc importDoc, sum bulk.Summary) error {
	for _, f := range sum.Failures {
		fmt.Fprintf(a.errOut, "line %d: %s\n", f.Line, failureText(f))
	}
	if rest := sum.BadRows + sum.Failed - int64(len(sum.Failures)); rest > 0 {
		fmt.Fprintf(a.errOut, "and %s more\n", term.Count(rest))
	}
	took := time.Duration(doc.Seconds * float64(time.Second))
	_, err := fmt.Fprintf(w, "%s records in %s (%s/s): %s stored (%s of them replaced another value), %s unchanged, %s bad rows, %s failed\n",
		term.Count(doc.Records), took.Round(time.Millisecond), term.Count(int64(term.Rate(doc.Records, took))),
		term.Count(doc.Stored), term.Count(doc.Replaced), term.Count(doc.Unchanged), term.Count(doc.BadRows), term.Count(doc.Failed))
	return err
}

func failureText(f bulk.Failure) string {
	if row, ok := f.Err.(*bulk.RowError); ok {
		return row.Problem
	}
	return fmt.Sprintf("key %s: %v", shown(f.Key), f.Err)
}

func newImportDoc(bucket string, sum bulk.Summary, took time.Duration) importDoc {
	doc := importDoc{
		Bucket: bucket, Records: sum.Stored + sum.Unchanged + sum.BadRows + sum.Failed,
		Stored: sum.Stored, Unchanged: sum.Unchanged, Replaced: sum.Replaced, BadRows: sum.BadRows, Failed: sum.Failed,
		Seconds: took.Seconds(), Failures: []importFailure{},
	}
	for _, f := range sum.Failures {
		d := describe(f.Err)
		doc.Failures = append(doc.Failures, importFailure{Line: f.Line, Key: f.Key, Error: &d})
	}
	return doc
}

// importResult is the exit code: the gravest thing that happened. A write of
// unknown outcome is graver than one that did not happen.
func importResult(sum bulk.Summary) error {
	if sum.BadRows+sum.Failed == 0 {
		return nil
	}
	worst := &result{exit: exitError, code: "bad_rows", message: fmt.Sprintf("%s rows could not be read as records", term.Count(sum.BadRows))}
	if sum.Failed > 0 {
		worst = &result{exit: exitUnavailable, code: string(kindred.CodeUnavailable), message: fmt.Sprintf("%s records could not be stored: run the import again, what is there is left alone", term.Count(sum.Failed))}
	}
	for _, f := range sum.Failures {
		if describe(f.Err).Exit == exitUnknown {
			worst.exit, worst.code = exitUnknown, "unknown"
		}
	}
	return worst
}
