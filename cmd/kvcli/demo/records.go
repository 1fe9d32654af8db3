package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kindredkv/kindred/cmd/kvcli/bulk"
	"github.com/kindredkv/kindred/cmd/kvcli/term"
)

const cities = "cities"

// load imports the file and remembers what the cluster acknowledged.
func (d *demo) load(ctx context.Context) error {
	f, err := os.Open(d.Data)
	if err != nil {
		return err
	}
	defer f.Close()
	src, err := bulk.NewSource(f, "csv", d.KeyColumn)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Data, err)
	}
	all, err := readAll(src)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Data, err)
	}
	begin := time.Now()
	progress := term.NewProgress(d.ErrOut, "records")
	sum, err := bulk.Run(ctx, &replay{records: all}, d.client.Bucket(cities), bulk.Options{
		Blind: true, Progress: func(done int64) { progress.Step(done, int64(len(all))) },
	})
	progress.End()
	if err != nil {
		return err
	}
	if sum.Stored != int64(len(all)) {
		return fmt.Errorf("%d of %d records were stored; the first failure: line %d: %w", sum.Stored, len(all), sum.Failures[0].Line, sum.Failures[0].Err)
	}
	for _, r := range all {
		d.expected = append(d.expected, item{bucket: cities, key: r.Key, value: string(r.Value)})
	}
	d.say("%s records of %s stored, %s per second, no failure", term.Count(sum.Stored), d.Data, term.Count(int64(term.Rate(sum.Stored, time.Since(begin)))))
	return nil
}

// readAll refuses a file with bad rows or repeated keys: the demo claims that
// every record is there, one value under each key.
func readAll(src bulk.Source) ([]bulk.Record, error) {
	var all []bulk.Record
	lines := map[string]int{}
	for {
		r, err := src.Next()
		if errors.Is(err, io.EOF) {
			if len(all) == 0 {
				return nil, errors.New("the file holds no records")
			}
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if first, twice := lines[r.Key]; twice {
			return nil, fmt.Errorf("lines %d and %d have the same key %q", first, r.Line, r.Key)
		}
		lines[r.Key] = r.Line
		all = append(all, r)
	}
}

// replay is a source of records in memory.
type replay struct{ records []bulk.Record }

func (s *replay) Next() (bulk.Record, error) {
	if len(s.records) == 0 {
		return bulk.Record{}, io.EOF
	}
	r := s.records[0]
	s.records = s.records[1:]
	return r, nil
}

// readBack looks for everything expected, through all nodes in turns.
func (d *demo) readBack(ctx context.Context) error {
	s, err := d.cluster.Status()
	if err != nil {
		return err
	}
	begin := time.Now()
	progress := term.NewProgress(d.ErrOut, "reads")
	n, err := verify(ctx, s.Nodes, d.expected, progress.Step)
	progress.End()
	if err != nil {
		return err
	}
	d.say("%s keys read, through %d nodes in turns, %s per second: none missing, none different",
		term.Count(n), len(s.Nodes), term.Count(int64(term.Rate(n, time.Since(begin)))))
	return nil
}
