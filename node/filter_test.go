package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
)

func TestAFilterForgetsNothingAndStaysWithinItsBounds(t *testing.T) {
	for _, c := range []struct {
		what              string
		bytes, keys       int
		layers, wrongMost int // of 10,000 keys that were never added
	}{
		{"few keys", 1 << 20, 1_000, 1, 1},
		{"layers are added", 32 << 20, 300_000, 3, 100},
		{"full: keys pass that should not", 64 << 10, 200_000, 1, 10_000},
		{"hardly any memory", 0, 100, 1, 10_000},
	} {
		t.Run(c.what, func(t *testing.T) {
			f := newFilter(c.bytes)
			f.whole[replica.ID{}] = true
			row := func(i int) string { return string(binary.BigEndian.AppendUint64([]byte("o"), uint64(i))) }
			for i := range c.keys {
				f.add(f.hash([]byte(row(i))))
			}
			for i := range c.keys {
				require.False(t, f.absent(replica.ID{}, row(i)), "key %d", i)
			}
			wrong := 0
			for i := range 10_000 {
				if !f.absent(replica.ID{}, row(c.keys+i)) {
					wrong++
				}
			}
			t.Logf("%d layers, %d bytes, %d of 10,000 wrong", len(f.layers), f.bytes(), wrong)
			require.LessOrEqual(t, f.bytes(), max(c.bytes, blockBytes))
			require.LessOrEqual(t, wrong, c.wrongMost)
			require.Len(t, f.layers, c.layers)
		})
	}
}

func TestAFilterSpeaksForWholeReplicasOnly(t *testing.T) {
	f := newFilter(1 << 10)
	require.False(t, f.absent(replica.ID{N: 3}, "o-any"))
	f.whole[replica.ID{N: 3}] = true
	require.True(t, f.absent(replica.ID{N: 3}, "o-any"))
	require.False(t, f.absent(replica.ID{N: 2}, "o-any"))
}

// readDisk counts reads of objects; scans of them can be made to fail.
type readDisk struct {
	*memstore.Store
	reads    atomic.Int64
	failScan error
}

func (d *readDisk) Get(key []byte) ([]byte, error) {
	d.reads.Add(1)
	return d.Store.Get(key)
}

func (d *readDisk) Snapshot() (storage.Snapshot, error) {
	s, err := d.Store.Snapshot()
	return &readSnapshot{s, d.failScan}, err
}

type readSnapshot struct {
	storage.Snapshot
	failScan error
}

func (s *readSnapshot) Scan(lo, hi []byte, visit func(key, value []byte) bool) error {
	if lo[0] == storage.TableObject && s.failScan != nil {
		s.Snapshot.Scan(lo, hi, func(key, value []byte) bool { visit(key, value); return false })
		return s.failScan
	}
	return s.Snapshot.Scan(lo, hi, visit)
}

// session runs operations against a worker, one at a time.
type session struct {
	*testing.T
	w *worker
}

func (s session) do(req kindred.Request) *kindred.Response {
	answer := make(chan *kindred.Response, 1)
	req.Bucket = "b"
	s.w.do(&req, func(r *kindred.Response) { answer <- r })
	r := <-answer
	require.Nil(s, r.Err)
	return r
}

func (s session) see(key string) string { return values(s.do(get(key))) }

func TestANewKeyIsWrittenWithoutAReadOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &readDisk{Store: memstore.New()}
		start := func(nonce uint64) (session, func()) {
			w, stop := startSolo(t, disk, nonce, func(err error) { t.Error(err) })
			synctest.Wait() // the survey is over
			return session{t, w}, stop
		}
		s, stop := start(1)
		s.do(put("k", "one"))
		require.Zero(t, disk.reads.Load())
		require.Equal(t, "[]", s.see("other"))
		require.Zero(t, disk.reads.Load())
		s.do(put("k", "two"))
		require.Equal(t, "[one two]", s.see("k"))
		require.Zero(t, disk.reads.Load(), "what was just written is in memory")
		require.EqualValues(t, 2, s.w.cached.Load())
		stop()

		s, stop = start(2)
		defer stop()
		disk.reads.Store(0)
		s.do(put("k", "three"))
		require.EqualValues(t, 1, disk.reads.Load(), "what was stored before the start may exist")
		require.Equal(t, "[one two three]", s.see("k"))
		require.EqualValues(t, 1, disk.reads.Load(), "once")
		disk.reads.Store(0)
		s.do(put("new", "one"))
		require.Zero(t, disk.reads.Load())
		require.EqualValues(t, 1, s.w.absent.Load())
	})
}

// Two puts of one new key in one round: the second finds the first, whose row is
// not in the store yet.
func TestAKeyIsNotNewTwiceInOneRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, stop := soloWorker(t, memstore.New(), func(err error) { t.Error(err) })
		defer stop()
		synctest.Wait()
		hold := make(chan struct{})
		w.inbox.put(func(time.Time, *recording.Shard) { <-hold })
		synctest.Wait()
		answers := make(chan *kindred.Response, 2)
		for _, value := range []string{"one", "two"} {
			req := put("k", value)
			req.Bucket = "b"
			w.do(&req, func(r *kindred.Response) { answers <- r })
		}
		close(hold)
		for range 2 {
			require.Nil(t, (<-answers).Err)
		}
		require.EqualValues(t, 1, w.absent.Load())
		require.Equal(t, "[one two]", session{t, w}.see("k"))
	})
}

// A replica that cannot be read to its end has keys of which nothing is known.
func TestNothingIsTakenForAbsentInAReplicaThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &readDisk{Store: memstore.New()}
		w, stop := soloWorker(t, disk, func(err error) { t.Error(err) })
		session{t, w}.do(put("k1", "one"))
		session{t, w}.do(put("k2", "one"))
		stop()
		disk.failScan = errors.New("a damaged block")
		w, stop = startSolo(t, disk, 2, func(err error) { t.Error(err) })
		defer stop()
		synctest.Wait()
		disk.reads.Store(0)
		for _, key := range []string{"k1", "k2"} {
			session{t, w}.do(put(key, "two"))
			require.Equal(t, "[one two]", session{t, w}.see(key))
		}
		session{t, w}.do(put("new", "one"))
		require.EqualValues(t, 3, disk.reads.Load(), "each key once")
		require.Zero(t, w.absent.Load())
	})
}

// A worker with a filter and one without answer alike, whatever is done and
// however often they start again.
func TestAFilterIsNotToBeSeen(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	history := func(disk storage.Engine) (seen []string, absent uint64) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			for start := range 4 {
				w, stop := startSolo(t, disk, uint64(start+1), func(err error) { t.Error(err) })
				s := session{t, w}
				for range 300 {
					key := fmt.Sprint(random.IntN(200))
					switch random.IntN(4) {
					case 0:
						s.do(put(key, fmt.Sprint(random.IntN(1000))))
					case 1:
						req := put(key, fmt.Sprint(random.IntN(1000)))
						req.Context = s.do(get(key)).Context
						s.do(req)
					case 2:
						s.do(kindred.Request{Op: kindred.OpDelete, Key: key})
					}
					seen = append(seen, s.see(key))
				}
				absent += w.absent.Load()
				stop()
			}
		})
		return seen, absent
	}
	with, absent := history(memstore.New())
	without, none := history(&readDisk{Store: memstore.New(), failScan: errors.New("no survey")})
	require.Equal(t, without, with)
	require.NotZero(t, absent)
	require.Zero(t, none)
}
