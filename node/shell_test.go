package node

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/memstore"
	"github.com/kindredkv/kindred/vclock"
)

// slowDisk takes time to sync and counts; it can be told to fail.
type slowDisk struct {
	*memstore.Store
	syncs     atomic.Int64
	syncTime  time.Duration
	failSync  error
	failApply atomic.Pointer[error]
}

func (d *slowDisk) Sync() error {
	time.Sleep(d.syncTime) // virtual time in a bubble
	d.syncs.Add(1)
	if d.failSync != nil {
		return d.failSync
	}
	return d.Store.Sync()
}

func (d *slowDisk) Apply(b *storage.Batch) error {
	if err := d.failApply.Load(); err != nil {
		return *err
	}
	return d.Store.Apply(b)
}

func TestWhatIsAppliedIsSyncedWithinThePromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{Store: memstore.New(), syncTime: 10 * time.Millisecond}
		c := startCommitter(disk, func(err error) { t.Error(err) })
		for range 100 {
			c.touch()
		}
		time.Sleep(BatchSyncWithin)
		require.EqualValues(t, 1, disk.syncs.Load())
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, disk.syncs.Load(), "an idle store is left alone")
		c.stop()
	})
}

func TestOneSyncServesAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{Store: memstore.New(), syncTime: 10 * time.Millisecond}
		c := startCommitter(disk, func(err error) { t.Error(err) })
		var served atomic.Int64
		c.after(func() { served.Add(1) })
		synctest.Wait() // the first sync is under way
		for range 50 {
			c.after(func() { served.Add(1) })
		}
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 1, served.Load(), "who came later waits for the next sync")
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 51, served.Load())
		require.EqualValues(t, 2, disk.syncs.Load())
		c.stop()
	})
}

func TestAFailedSyncServesNobodyAndStopsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the disk is gone")
		disk := &slowDisk{Store: memstore.New(), failSync: broken}
		var failed atomic.Pointer[error]
		c := startCommitter(disk, func(err error) { failed.Store(&err) })
		c.after(func() { t.Error("nothing is durable") })
		synctest.Wait()
		require.ErrorIs(t, *failed.Load(), broken)
		c.stop()
	})
}

// soloWorker is a worker of a cluster of one.
func soloWorker(t *testing.T, disk storage.Engine, fail func(error)) (*worker, func()) {
	return startSolo(t, disk, 1, fail)
}

// startSolo is that start of a soloWorker's node.
func startSolo(t *testing.T, disk storage.Engine, start uint64, fail func(error)) (*worker, func()) {
	layout, err := ring.New([16]byte{1}, 1, 1, []ring.Node{{Name: "n1", Capacity: 1}})
	require.NoError(t, err)
	c := startCommitter(disk, fail)
	shard := recording.New(core.Config{Node: "n1", Start: vclock.Actor{Disk: 1, Nonce: start}, Limits: core.DefaultLimits()}, nil)
	w := newWorker(shard, disk, newQuarantine(disk, func() {}), c, nil, 1, nil, fail)
	quit := make(chan struct{})
	go w.run(quit)
	w.inbox.put(func(_ time.Time, s *recording.Shard) {
		snapshot, err := disk.Snapshot()
		require.NoError(t, err)
		defer snapshot.Close()
		r, err := s.Recover(replica.ID{N: 1}, snapshot)
		require.NoError(t, err)
		w.work(s, ring.Steady(layout), []*replica.Replica{r})
	})
	return w, func() {
		close(quit)
		w.stop()
		c.stop()
	}
}

func TestABatchThatCannotBeAppliedIsNeverAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{Store: memstore.New()}
		var failed atomic.Pointer[error]
		w, stop := soloWorker(t, disk, func(err error) { failed.CompareAndSwap(nil, &err) })
		ok := make(chan *kindred.Response, 1)
		w.do(&kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k"}, func(r *kindred.Response) { ok <- r })
		require.Nil(t, (<-ok).Err)

		broken := errors.New("input/output error")
		disk.failApply.Store(&broken)
		answer := make(chan *kindred.Response, 1)
		w.do(&kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k2"}, func(r *kindred.Response) { answer <- r })
		synctest.Wait()
		require.ErrorIs(t, *failed.Load(), broken)
		require.Len(t, answer, 1, "a drain that waits for it ends")
		err := (<-answer).Err
		require.NotNil(t, err, "the request gets an answer, and not a good one")
		require.Equal(t, kindred.Unknown, err.Outcome)
		w.do(&kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k3"}, func(r *kindred.Response) { answer <- r })
		require.Equal(t, kindred.NotApplied, (<-answer).Err.Outcome)
		stop()
		require.Empty(t, answer)
	})
}

// TestABrokenShardIsGivenNothingMore: it could not be recovered as a whole. Whatever
// waits behind that, in the same round or later, might find half of what it needs; who
// asks learns that the shard has ended.
func TestABrokenShardIsGivenNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed error
		w, stop := soloWorker(t, memstore.New(), func(err error) { failed = errors.Join(failed, err) })
		synctest.Wait()
		broken := errors.New("a row cannot be read")
		w.inbox.put(func(_ time.Time, _ *recording.Shard) {
			w.broken = broken
			w.inbox.put(func(time.Time, *recording.Shard) { t.Error("it is asked in a later round") })
		})
		w.inbox.put(func(time.Time, *recording.Shard) { t.Error("it is asked in the same round") })
		answer := make(chan *kindred.Response, 1)
		w.do(&kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k"}, func(r *kindred.Response) { answer <- r })
		synctest.Wait()
		require.ErrorIs(t, failed, broken)
		err := (<-answer).Err
		require.NotNil(t, err)
		require.Equal(t, kindred.CodeStopping, err.Code)
		require.False(t, w.inbox.put(nil))
		require.Zero(t, (&Node{workers: []*worker{w}}).Hints(), "a shard that has ended is left out")
		stop()
	})
}

// largeBatch notes the largest batch that was applied.
type largeBatch struct {
	*memstore.Store
	bytes int
}

func (d *largeBatch) Apply(b *storage.Batch) error {
	d.bytes = max(d.bytes, b.Bytes())
	return d.Store.Apply(b)
}

// Many objects written at once are several batches: one that is larger
// than the store takes would stop the node.
func TestARoundIsNoLargerThanABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &largeBatch{Store: memstore.New()}
		w, stop := soloWorker(t, disk, func(err error) { t.Error(err) })
		value := bytes.Repeat([]byte("v"), replica.ApartBytes-1) // in the object's own row
		const keys, siblings = 500, 2
		for i := range siblings {
			disk.bytes = 0
			answers := make(chan *kindred.Response, keys)
			for i := range keys {
				req := &kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: fmt.Sprint(i), Value: value}
				w.do(req, func(r *kindred.Response) { answers <- r })
			}
			for range keys {
				require.Nil(t, (<-answers).Err, "write %d", i)
			}
		}
		require.Less(t, disk.bytes, RoundBytesMax+2*loadedBytes, "of %d bytes in all", keys*siblings*len(value))
		stop()
	})
}

// A shard that never runs out of work ends all the same.
func TestABusyWorkerStops(t *testing.T) {
	w, stop := soloWorker(t, memstore.New(), func(err error) { t.Error(err) })
	var again event
	again = func(time.Time, *recording.Shard) { w.inbox.put(again) }
	again(time.Time{}, nil)
	stop()
}

// Between the moment when a shard has its layout and the one when the node has
// it, the node cannot know whose a key is.
func TestBeforeTheNodeHasALayoutNoShardIsAsked(t *testing.T) {
	w, stop := soloWorker(t, memstore.New(), func(err error) { t.Error(err) })
	defer stop()
	n := &Node{cfg: Config{Name: "n1"}, workers: []*worker{w}}
	req := get("k")
	require.Equal(t, kindred.CodeNoLayout, do(t, n, req).Err.Code)
}

func TestARequestThatNobodyAnswersExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &slowDisk{Store: memstore.New(), syncTime: time.Hour}
		w, stop := soloWorker(t, disk, func(err error) { t.Error(err) })
		answer := make(chan *kindred.Response, 1)
		req := &kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k", Durability: kindred.Sync, Timeout: time.Second}
		w.do(req, func(r *kindred.Response) { answer <- r })
		begin := time.Now()
		err := (<-answer).Err
		require.Equal(t, kindred.CodeTimeout, err.Code)
		require.Equal(t, kindred.Unknown, err.Outcome)
		require.InDelta(t, 1, time.Since(begin).Seconds(), 0.1)
		time.Sleep(2 * time.Hour) // let the sync end
		stop()
	})
}

func TestAFullInboxHoldsUpTheLinkAndNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newInbox()
		nothing := func(time.Time, *recording.Shard) {}
		require.True(t, b.putSized(nothing, InboxBytesMax))
		var through atomic.Bool
		go func() {
			b.putSized(nothing, 1)
			through.Store(true)
		}()
		synctest.Wait()
		require.False(t, through.Load(), "a link waits")
		require.True(t, b.put(nothing), "a client's request does not")
		require.Len(t, b.take(nil), 2)
		synctest.Wait()
		require.True(t, through.Load())
		b.close()
		require.False(t, b.put(nothing))
	})
}

func TestAnIncarnationIsDurableBeforeItIsUsed(t *testing.T) {
	disk := memstore.New()
	random := rand.NewChaCha8([32]byte{1})
	first, err := beginIncarnation(disk, [16]byte{9}, random)
	require.NoError(t, err)
	disk = disk.Crash(func(int) int { return 0 })
	second, err := beginIncarnation(disk, [16]byte{9}, random)
	require.NoError(t, err)
	require.EqualValues(t, 2, second.Start, "the first start survived the power loss")
	require.Equal(t, first.Actor.Disk, second.Actor.Disk)
	require.NotEqual(t, first.Actor.Nonce, second.Actor.Nonce)

	_, err = beginIncarnation(disk, [16]byte{9}, bytes.NewReader(nil))
	require.ErrorContains(t, err, "drawing a new incarnation")
	require.NoError(t, saveMeta(disk, metaIncarnation, []byte("nonsense")))
	_, err = beginIncarnation(disk, [16]byte{9}, random)
	require.ErrorContains(t, err, "damaged")
}

// A start knows whether the one before it ended in good order (R17): the mark is
// of that start, and gone before anything else happens.
func TestAnOrderlyStopIsKnownAtTheNextStartAndAtNoLaterOne(t *testing.T) {
	disk := memstore.New()
	random := rand.NewChaCha8([32]byte{1})
	begin := func() incarnation {
		now, err := beginIncarnation(disk, [16]byte{9}, random)
		require.NoError(t, err)
		disk = disk.Crash(func(int) int { return 0 })
		return now
	}
	first := begin()
	require.False(t, first.Clean, "an empty disk may be one that was lost")
	require.NoError(t, saveMeta(disk, metaClean, cleanMark(first.Start)))
	require.True(t, begin().Clean)
	third := begin()
	require.False(t, third.Clean, "the mark is of the start before the last")
	require.NoError(t, saveMeta(disk, metaClean, cleanMark(first.Start)))
	require.False(t, begin().Clean, "a mark of an older start, from wherever it came, is none")
}
