package memstore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

func set(key, value string) *storage.Batch {
	var b storage.Batch
	b.Set([]byte(key), []byte(value))
	return &b
}

func keep(n int) func(int) int { return func(int) int { return n } }

func TestCrash_KeepsThePrefixThatIsAsked(t *testing.T) {
	for kept := range 5 {
		s := New()
		require.NoError(t, s.Apply(set("k", "synced")))
		require.NoError(t, s.Sync())
		for i := range 4 {
			require.NoError(t, s.Apply(set("k", fmt.Sprint(i))))
		}
		require.Equal(t, 4, s.Unsynced())
		var offered int
		after := s.Crash(func(unsynced int) int { offered = unsynced; return kept })
		require.Equal(t, 4, offered)
		value, err := after.Get([]byte("k"))
		require.NoError(t, err)
		require.Equal(t, []string{"synced", "0", "1", "2", "3"}[kept], string(value))
		require.Zero(t, after.Unsynced(), "what a restart finds is on the disk")
		require.ErrorIs(t, s.Apply(set("k", "ghost")), storage.ErrClosed)
	}
}

func TestCrash_AnswersOutOfRangeAreTheEnds(t *testing.T) {
	for answer, want := range map[int]int{-5: 0, 7: 1} {
		s := New()
		require.NoError(t, s.Apply(set("k", "v")))
		require.Equal(t, want, s.Crash(keep(answer)).Rows())
	}
}

func TestCrash_TakesBackRangesAndDeletes(t *testing.T) {
	s := New()
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, s.Apply(set(key, "1")))
	}
	require.NoError(t, s.Sync())
	var b storage.Batch
	b.Set([]byte("b"), []byte("2"))
	b.DeleteRange([]byte("a"), []byte("c"))
	b.Set([]byte("b"), []byte("3"))
	b.Delete([]byte("c"))
	require.NoError(t, s.Apply(&b))
	require.Equal(t, 1, s.Rows())
	after := s.Crash(keep(0))
	require.Equal(t, 3, after.Rows())
	value, err := after.Get([]byte("b"))
	require.NoError(t, err)
	require.Equal(t, "1", string(value))
}

// An open snapshot costs one copy of what is written after it, and a closed one
// costs nothing.
func TestSnapshot_SharesRows(t *testing.T) {
	s := New()
	require.NoError(t, s.Apply(set("k", "v")))
	before := s.current
	first, err := s.Snapshot()
	require.NoError(t, err)
	require.NoError(t, first.Close())
	require.NoError(t, s.Apply(set("k", "w")))
	require.Same(t, before, s.current, "nobody looks: written in place")
	second, err := s.Snapshot()
	require.NoError(t, err)
	require.NoError(t, s.Apply(set("k", "x")))
	require.NotSame(t, before, s.current)
	value, err := second.Get([]byte("k"))
	require.NoError(t, err)
	require.Equal(t, "w", string(value))
	require.NoError(t, second.Close())
}

func TestFaults(t *testing.T) {
	s := New()
	require.NoError(t, s.Apply(set("k", "v")))
	full := &storage.FullError{Dir: "memory"}
	s.FailApply(full)
	require.ErrorIs(t, s.Apply(set("k", "w")), full)
	_, err := s.Get([]byte("k"))
	require.NoError(t, err, "reads go on")
	s.FailApply(nil)

	broken := errors.New("broken")
	s.FailSync(broken)
	require.ErrorIs(t, s.Sync(), broken)
	require.Equal(t, 1, s.Unsynced())
	s.FailSync(nil)
	require.NoError(t, s.Sync())
	require.NoError(t, s.Sync())
	require.Equal(t, 1, s.Syncs(), "the second had nothing to do")
}

func TestRot(t *testing.T) {
	s := New()
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, s.Apply(set(key, "1")))
	}
	s.Rot([]byte("b"))
	s = s.Crash(keep(3))
	var corrupt *storage.CorruptError
	_, err := s.Get([]byte("b"))
	require.ErrorAs(t, err, &corrupt)
	snapshot, err := s.Snapshot()
	require.NoError(t, err)
	var visited []string
	visit := func(key, _ []byte) bool { visited = append(visited, string(key)); return true }
	require.ErrorAs(t, snapshot.Scan(nil, nil, visit), &corrupt)
	require.Equal(t, []string{"a"}, visited)
	require.Equal(t, "b", string(corrupt.Key))
	require.NoError(t, snapshot.Scan(corrupt.High, nil, visit), "it goes on behind the damage")
	require.Equal(t, []string{"a", "c"}, visited)
	require.NoError(t, snapshot.Close())

	require.NoError(t, s.Apply(set("b", "repaired")))
	value, err := s.Get([]byte("b"))
	require.NoError(t, err)
	require.Equal(t, "repaired", string(value))
}

func BenchmarkApply(b *testing.B) {
	for _, snapshots := range []bool{false, true} {
		b.Run(fmt.Sprintf("100B,snapshots=%v", snapshots), func(b *testing.B) {
			s, value := New(), make([]byte, 100)
			var batch storage.Batch
			key := make([]byte, 0, 16)
			last, _ := s.Snapshot()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if snapshots { // one is open at every write
					_ = last.Close()
					last, _ = s.Snapshot()
				}
				batch.Reset()
				key = fmt.Appendf(key[:0], "%08d", (i*7919)%100_000)
				batch.Set(key, value)
				if s.Apply(&batch) != nil || i%64 == 0 && s.Sync() != nil {
					b.Fatal("a write failed")
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := New()
	for i := range 100_000 {
		if s.Apply(set(fmt.Sprintf("%08d", i), "value")) != nil {
			b.Fatal("a write failed")
		}
	}
	key := make([]byte, 0, 16)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		key = fmt.Appendf(key[:0], "%08d", (i*7919)%100_000)
		if _, err := s.Get(key); err != nil {
			b.Fatal(err)
		}
	}
}
