package pebblestore

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/kindredkv/kindred/storage"
)

// KINDRED_BENCH_DIR puts the folders on a disk of choice; without it they are
// wherever temporary files are.
func benchStore(b *testing.B) *Store {
	dir, err := os.MkdirTemp(os.Getenv("KINDRED_BENCH_DIR"), "kindred-bench")
	if err != nil {
		b.Fatal(err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// cpu reports the processor time of the whole process per operation: Pebble works
// in other goroutines too.
func cpu(b *testing.B) func() {
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	return func() {
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after)
		spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(spent)/float64(b.N)/1e3, "cpu-µs/op")
	}
}

func BenchmarkApply(b *testing.B) {
	s, value := benchStore(b), make([]byte, 100)
	var batch storage.Batch
	key := make([]byte, 0, 16)
	b.ReportAllocs()
	defer cpu(b)()
	for i := 0; b.Loop(); i++ {
		batch.Reset()
		key = fmt.Appendf(key[:0], "%08d", (i*7919)%1_000_000)
		batch.Set(key, value)
		if err := s.Apply(&batch); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkApplyAndSync(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s, value := benchStore(b), make([]byte, 100)
			b.ReportAllocs()
			defer cpu(b)()
			var all sync.WaitGroup
			for c := range callers {
				all.Go(func() {
					var batch storage.Batch
					for i := c; i < b.N; i += callers {
						batch.Reset()
						batch.Set(fmt.Appendf(nil, "%08d", i), value)
						if err := errors.Join(s.Apply(&batch), s.Sync()); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
		})
	}
}

func filled(b *testing.B, rows int) *Store {
	s := benchStore(b)
	var batch storage.Batch
	for i := range rows {
		batch.Set(fmt.Appendf(nil, "%08d", i), make([]byte, 100))
	}
	if err := s.Apply(&batch); err != nil {
		b.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkGetCached(b *testing.B) {
	const rows = 100_000
	s := filled(b, rows)
	key := make([]byte, 0, 16)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key = fmt.Appendf(key[:0], "%08d", (i*7919)%rows)
		if _, err := s.Get(key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshotGet(b *testing.B) {
	s := filled(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		snapshot, err := s.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := snapshot.Get([]byte("00000500")); err != nil {
			b.Fatal(err)
		}
		if err := snapshot.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	const rows = 1000
	s := filled(b, rows)
	snapshot, err := s.Snapshot()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = snapshot.Close() }()
	b.ReportAllocs()
	for b.Loop() {
		seen := 0
		if err := snapshot.Scan(nil, nil, func(_, _ []byte) bool { seen++; return true }); err != nil || seen != rows {
			b.Fatal(seen, err)
		}
	}
}
