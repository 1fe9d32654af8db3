package pebblestore

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/storage"
)

// A compaction that has worked for a moment lets requests go first for a longer one,
// unless tables pile up, the store is not open yet, or it is being closed.
func TestACompactionRests(t *testing.T) {
	free, pressed := func() bool { return false }, func() bool { return true }
	for _, c := range []struct {
		what    string
		pressed func() bool
		worked  time.Duration
		rests   time.Duration
	}{
		{"too short to rest", free, workAtOnce - 1, 0},
		{"some", free, 3 * time.Millisecond, 3 * restPerWork * time.Millisecond},
		{"long", free, time.Second, restMax},
		{"pressed", pressed, time.Second, 0},
		{"not open yet", nil, time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &rests{ended: make(chan struct{})}
			if c.pressed != nil {
				r.begin(c.pressed)
			}
			s := &scheduler{work: &work{rests: r}}
			s.Started()
			for range 3 {
				time.Sleep(c.worked)
				before := time.Now()
				s.CumulativeStats(pebble.CompactionGrantHandleStats{})
				require.Equal(t, c.rests, time.Since(before), c.what)
				if c.rests == 0 {
					s.Started()
				}
			}
			require.Equal(t, 3*c.rests, time.Duration(r.rested.Load()))
		})
	}
}

func TestWhoRestsIsWokenByTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		r := &rests{ended: ended}
		r.begin(func() bool { return false })
		w := &work{rests: r}
		w.begin()
		time.Sleep(time.Second)
		done := make(chan struct{})
		go func() { w.pause(); close(done) }()
		synctest.Wait()
		before := time.Now()
		close(ended)
		<-done
		require.Zero(t, time.Since(before))
	})
}

// It is looked at now and then whether tables pile up, for that costs something.
func TestWorkNoticesThatTablesPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks, pile := 0, false
		r := &rests{ended: make(chan struct{})}
		r.begin(func() bool { looks++; return pile })
		w := &work{rests: r}
		w.begin()
		rested := func() bool {
			before := r.rested.Load()
			time.Sleep(workAtOnce)
			w.pause()
			return r.rested.Load() > before
		}
		require.True(t, rested())
		pile = true
		require.True(t, rested(), "it was looked at a moment ago")
		require.Equal(t, 1, looks)
		time.Sleep(pressedEvery)
		require.False(t, rested())
		pile = false
		time.Sleep(pressedEvery)
		require.True(t, rested())
	})
}

// Rows come at a pace at which nothing piles up, and in their order, so that nothing
// is to be compacted, until a flush of some length has rested.
func TestAFlushRests(t *testing.T) {
	s, err := Open(t.TempDir(), Options{MemTableBytes: 4 << 20})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	row := uint64(0)
	require.Eventually(t, func() bool {
		var batch storage.Batch
		for range 1000 {
			row++
			batch.Set(binary.BigEndian.AppendUint64([]byte{storage.TableObject}, row), make([]byte, 100))
		}
		require.NoError(t, s.Apply(&batch))
		m := s.Metrics()
		require.Zero(t, m.Compactions)
		return m.Rested > 0
	}, 30*time.Second, 5*time.Millisecond)
}

// What compactions free is waited for where space is short.
func TestNobodyRestsWhereSpaceIsShort(t *testing.T) {
	files := newMeteredFS(1 << 40)
	s, err := Open("disk", Options{FS: files, SpaceFloorBytes: 1 << 30})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	look := func() bool {
		s.space.mu.Lock()
		s.space.measure(0)
		s.space.mu.Unlock()
		return s.pressed()
	}
	require.False(t, look())
	files.free.Store(1<<31 - 1)
	require.True(t, look())
}
