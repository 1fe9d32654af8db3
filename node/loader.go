package node

import (
	"sync"
	"time"

	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// Readers is the number of goroutines that read the store for one shard. More
// keep a slow disk busier and cost nothing when idle.
const Readers = 4

// loader reads objects for a shard, so that the shard never waits for the disk.
// Each reader takes what has gathered, up to a share, and gives the answers back
// as one event.
type loader struct {
	engine storage.Engine
	inbox  *inbox
	// cache takes what was read; it is the worker's, as the events are.
	cache *cache
	reel  *reel

	mu      sync.Mutex
	ready   sync.Cond
	waiting []awaited
	closed  bool
	readers sync.WaitGroup
}

// loadsPerTurn bounds what one reader takes at once, so that one slow read does
// not hold up many others.
const loadsPerTurn = 32

// loadedBytes is how much of what was read goes back as one event. The shard
// writes an object whole, and commits between two events only.
const loadedBytes = 8 << 20

// awaited is an object that is to be read, with all the rows that were noted then.
type awaited struct {
	core.Load
	noted uint64
}

type loaded struct {
	awaited
	object wire.Object
	stored []byte
	reads  *recording.Log
	err    error
}

// rowReader reads an object and remembers its row.
type rowReader struct {
	storage.Engine
	row []byte
}

// Get implements replica.Reader.
func (r *rowReader) Get(key []byte) ([]byte, error) {
	row, err := r.Engine.Get(key)
	if key[0] == storage.TableObject {
		r.row = row
	}
	return row, err
}

type pageRead struct {
	number uint64
	ask    *wire.ScanRead
	id     replica.ID
	base   vclock.DotSet
}

func startLoader(engine storage.Engine, answers *inbox, cache *cache, reel *reel) *loader {
	l := &loader{engine: engine, inbox: answers, cache: cache, reel: reel}
	l.ready.L = &l.mu
	for range Readers {
		l.readers.Go(l.read)
	}
	return l
}

func (l *loader) add(loads []core.Load) {
	if len(loads) == 0 {
		return
	}
	l.mu.Lock()
	for _, load := range loads {
		l.waiting = append(l.waiting, awaited{load, l.cache.noted})
	}
	l.mu.Unlock()
	l.ready.Signal()
}

// take waits for loads and copies a share of them to turn.
func (l *loader) take(turn []awaited) []awaited {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 && !l.closed {
		l.ready.Wait()
	}
	n := min(len(l.waiting), loadsPerTurn)
	turn = append(turn[:0], l.waiting[:n]...)
	rest := copy(l.waiting, l.waiting[n:])
	clear(l.waiting[rest:])
	l.waiting = l.waiting[:rest]
	if rest > 0 {
		l.ready.Signal()
	}
	return turn
}

func (l *loader) read() {
	var turn []awaited
	for {
		turn = l.take(turn)
		if len(turn) == 0 {
			return
		}
		answers, bytes := make([]loaded, 0, len(turn)), 0
		for _, load := range turn {
			from := rowReader{Engine: l.engine}
			reads := l.reel.log(nil)
			object, err := replica.Load(reads.Reader(&from), load.Replica, load.Bucket, load.Key)
			answers = append(answers, loaded{load, object, from.row, reads, err})
			for _, v := range object.Versions {
				bytes += len(v.Value.Value)
			}
			if bytes > loadedBytes {
				l.answer(answers)
				answers, bytes = nil, 0
			}
		}
		l.answer(answers)
	}
}

func (l *loader) answer(answers []loaded) {
	if len(answers) == 0 {
		return
	}
	l.inbox.put(func(now time.Time, s *recording.Shard) {
		for _, a := range answers {
			if a.err == nil {
				l.cache.add(a.Row, a.stored, a.noted)
			}
			s.Loaded(now, a.Row, a.object, a.reads, a.err)
		}
	})
}

// pages reads pages of keys from the snapshot and closes it.
func (l *loader) pages(snapshot storage.Snapshot, reads []pageRead) {
	l.readers.Go(func() {
		defer snapshot.Close()
		for _, r := range reads {
			page := replica.Page(snapshot, r.id, r.base, r.ask)
			l.inbox.put(func(now time.Time, s *recording.Shard) { s.Paged(now, r.number, r.ask, page) })
		}
	})
}

// look carries out readings of one snapshot, numbered from first on, and closes it.
func (l *loader) look(snapshot storage.Snapshot, first uint64, readings []core.Reading) {
	l.readers.Go(func() {
		defer snapshot.Close()
		for i, read := range readings {
			number := first + uint64(i)
			reads := l.reel.log(func(part []byte) { l.keep(number, part) })
			seen := read(reads.Snapshot(snapshot))
			l.inbox.put(func(now time.Time, s *recording.Shard) { s.Seen(now, number, reads, seen) })
		}
	})
}

// keep has a part of a large reading recorded before the rest is read.
func (l *loader) keep(number uint64, part []byte) {
	l.reel.await()
	l.inbox.putSized(func(_ time.Time, s *recording.Shard) { s.Reads(number, part) }, len(part))
}

// stop waits for the readers to end; what waits is not read.
func (l *loader) stop() {
	l.mu.Lock()
	l.closed, l.waiting = true, nil
	l.mu.Unlock()
	l.ready.Broadcast()
	l.readers.Wait()
}
