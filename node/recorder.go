package node

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kindredkv/kindred/recording"
)

const (
	// RecordBytesDefault is how much of its recordings a node keeps.
	RecordBytesDefault = 1 << 30
	// recordBytesMin is the least that makes sense.
	recordBytesMin = 1 << 20
	// recordEvery is how long what was recorded waits to be written with more. It is
	// what a process that is killed has not written.
	recordEvery = 10 * time.Millisecond
	// recordWaitMax bounds what waits to be written for one shard. A disk that falls
	// behind by more ends the recording: no shard waits for it.
	recordWaitMax = 64 << 20
	// recordHurry is what is not waited with.
	recordHurry = 4 << 20
	// filesPerShard is how many files the ring has for each shard, about.
	filesPerShard = 8
)

// recorder writes what the shards of a node are given into files, and deletes the
// oldest of these when they are too many. It stops for good when it cannot go on;
// the node never waits for it, and never stops with it.
type recorder struct {
	dir      string
	bytesMax int64
	log      *slog.Logger

	// writing is held while files are written, before mu.
	writing sync.Mutex
	reels   []*reel
	// files are those of this node in the folder, the oldest first.
	files []recordFile
	bytes int64
	// dropped: a file of this start was deleted.
	dropped bool

	mu   sync.Mutex
	room sync.Cond
	// problem is why it has stopped, nil if it goes on.
	problem atomic.Pointer[string]

	wake, hurry, quit, done chan struct{}
}

type recordFile struct {
	path  string
	bytes int64
	own   bool
	at    time.Time
}

// reel is the recording of one shard. A nil one is of a node that does not record.
type reel struct {
	recorder *recorder
	header   recording.Header
	tape     *recording.Tape

	// waiting are events that are not in a file yet; mu of the recorder guards it.
	waiting []byte

	// file is the one that is written; writing of the recorder guards what follows.
	file  *os.File
	path  string
	bytes int64
	spare []byte
}

// startRecorder begins the recordings of one start of a node.
func startRecorder(cfg Config, self incarnation, log *slog.Logger) (*recorder, error) {
	if err := os.MkdirAll(cfg.Record, 0o700); err != nil {
		return nil, fmt.Errorf("--record: the folder %s cannot be made: %w", cfg.Record, err)
	}
	r := &recorder{
		dir: cfg.Record, bytesMax: cfg.RecordBytes, log: log,
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
	}
	r.room.L = &r.mu
	if err := r.find(cfg.Name); err != nil {
		return nil, fmt.Errorf("--record: %w", err)
	}
	began := time.Now().UTC()
	for i := range cfg.Shards {
		l := &reel{recorder: r, header: recording.Header{
			Version: cfg.Version, Node: cfg.Name, Start: self.Start, Shard: i, Shards: cfg.Shards,
			Actor: self.Actor, Clean: self.Clean, Limits: cfg.Limits, Began: began.Round(0),
		}}
		l.tape = recording.NewTape(began, l.take)
		r.reels = append(r.reels, l)
		if err := l.turn(); err != nil {
			r.close()
			return nil, fmt.Errorf("--record: %w", err)
		}
	}
	log.Warn("this node records what its shards are given: the files hold keys and values", "dir", r.dir, "bytes", r.bytesMax)
	go r.run()
	return r, nil
}

// beginRecording starts the recorder if there is to be one.
func (n *Node) beginRecording() (err error) {
	if n.cfg.Record != "" {
		n.recorder, err = startRecorder(n.cfg, n.self, n.log)
	}
	return err
}

// reel is the recording of shard i, if there is one.
func (r *recorder) reel(i int) (*reel, *recording.Tape) {
	if r == nil {
		return nil, nil
	}
	return r.reels[i], r.reels[i].tape
}

// find lists the files of earlier starts.
func (r *recorder) find(node string) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if of, _, ok := recording.ParseFileName(e.Name()); !ok || of != node {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		r.files = append(r.files, recordFile{path: filepath.Join(r.dir, e.Name()), bytes: info.Size(), at: info.ModTime()})
		r.bytes += info.Size()
	}
	slices.SortStableFunc(r.files, func(a, b recordFile) int {
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.path, b.path))
	})
	return nil
}

// fileBytes is the size at which a file ends.
func (r *recorder) fileBytes(shards int) int64 {
	return max(r.bytesMax/int64(filesPerShard*shards), 4<<10)
}

// take is the tape's: it never waits.
func (l *reel) take(events []byte) bool {
	r := l.recorder
	r.mu.Lock()
	waiting := len(l.waiting)
	fits := waiting == 0 || waiting+len(events) <= recordWaitMax
	if fits && r.problem.Load() == nil {
		l.waiting = append(l.waiting, events...)
	}
	r.mu.Unlock()
	if !fits {
		r.stop(fmt.Sprintf("the disk of %s takes less than is recorded: %d MiB wait", r.dir, recordWaitMax>>20))
	}
	if waiting == 0 {
		signal(r.wake)
	}
	if waiting+len(events) > recordHurry {
		signal(r.hurry)
	}
	return r.problem.Load() == nil
}

// await waits until the files are not far behind. Shards must not call it.
func (l *reel) await() {
	if l == nil {
		return
	}
	r := l.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(l.waiting) > recordHurry && r.problem.Load() == nil {
		signal(r.hurry)
		r.room.Wait()
	}
}

// log is for what a reading of the store finds.
func (l *reel) log(spill func([]byte)) *recording.Log {
	if l == nil || l.recorder.problem.Load() != nil {
		return nil
	}
	return recording.NewLog(spill)
}

// save writes all that the shard has been given.
func (l *reel) save(s *recording.Shard) {
	if l == nil {
		return
	}
	s.Flush()
	l.recorder.write()
}

func (r *recorder) run() {
	defer close(r.done)
	late := time.NewTimer(time.Hour)
	defer late.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-r.wake:
		}
		late.Reset(recordEvery)
		select {
		case <-r.quit:
			return
		case <-r.hurry:
		case <-late.C:
		}
		r.write()
	}
}

// write brings what waits into files.
func (r *recorder) write() {
	r.writing.Lock()
	defer r.writing.Unlock()
	for _, l := range r.reels {
		r.mu.Lock()
		events := l.waiting
		l.waiting = l.spare[:0]
		r.mu.Unlock()
		r.room.Broadcast()
		if r.problem.Load() == nil {
			if err := l.write(events); err != nil {
				r.stop(err.Error())
			}
		}
		if l.spare = events[:0]; cap(events) > 2*recordHurry {
			l.spare = nil
		}
	}
}

// write appends events, to as many files as it takes.
func (l *reel) write(events []byte) error {
	r := l.recorder
	fileBytes := r.fileBytes(len(r.reels))
	for len(events) > 0 {
		if l.bytes >= fileBytes {
			if err := l.turn(); err != nil {
				return err
			}
		}
		n, steps := recording.Whole(events, int(fileBytes-l.bytes))
		if err := l.append(events[:n]); err != nil {
			return err
		}
		l.header.First += uint64(steps)
		events = events[n:]
	}
	return nil
}

// append writes whole events. What a full disk took of them is cut off again.
func (l *reel) append(b []byte) error {
	if _, err := l.file.Write(b); err != nil {
		_ = l.file.Truncate(l.bytes)
		return err
	}
	l.bytes += int64(len(b))
	l.recorder.grow(l.path, int64(len(b)))
	return nil
}

// grow counts bytes, and drops old files to keep to the bound.
func (r *recorder) grow(path string, bytes int64) {
	r.bytes += bytes
	for i := range r.files {
		if r.files[i].path == path {
			r.files[i].bytes += bytes
		}
	}
	for i := 0; i < len(r.files) && r.bytes > r.bytesMax; {
		f := r.files[i]
		if r.isOpen(f.path) {
			i++
			continue
		}
		if err := os.Remove(f.path); err != nil && !os.IsNotExist(err) {
			r.log.Warn("a file of the recordings cannot be deleted", "error", err)
		}
		r.bytes -= f.bytes
		r.files = slices.Delete(r.files, i, i+1)
		if f.own && !r.dropped {
			r.dropped = true
			r.log.Warn("the recordings are full and lose their beginning: from now on their steps can be shown, but not be replayed; a larger --record-bytes keeps more", "bytes", r.bytesMax)
		}
	}
}

func (r *recorder) isOpen(path string) bool {
	return slices.ContainsFunc(r.reels, func(l *reel) bool { return l.path == path })
}

// turn begins the next file.
func (l *reel) turn() error {
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return err
		}
	}
	h, r := &l.header, l.recorder
	h.File++
	l.path = filepath.Join(r.dir, h.FileName())
	header, err := recording.AppendHeader(nil, *h)
	if err != nil {
		return err
	}
	if l.file, err = os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600); err != nil {
		return err
	}
	l.bytes = 0
	r.files = append(r.files, recordFile{path: l.path, own: true})
	return l.append(header)
}

// stop ends the recording for a reason; the node goes on.
func (r *recorder) stop(why string) {
	if r == nil {
		return
	}
	text := "the recording in " + r.dir + " has stopped: " + why + "; the node goes on, and records again once it is restarted"
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.problem.CompareAndSwap(nil, &text) {
		r.log.Error("the recording stops; the node goes on", "dir", r.dir, "reason", why)
		r.room.Broadcast()
	}
}

// trouble is why the recording has stopped, empty if it has not.
func (r *recorder) trouble() string {
	if r == nil {
		return ""
	}
	if why := r.problem.Load(); why != nil {
		return *why
	}
	return ""
}

// close writes what waits and ends.
func (r *recorder) close() {
	r.write()
	r.writing.Lock()
	defer r.writing.Unlock()
	for _, l := range r.reels {
		if err := l.file.Close(); err != nil {
			r.stop(err.Error())
		}
	}
}

// end closes the recorder of a node whose shards have ended.
func (r *recorder) end() {
	close(r.quit)
	<-r.done
	r.close()
}
