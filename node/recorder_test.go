package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/recording"
)

// recorded are the files of a folder, in order: their numbers have leading zeros.
func recorded(t testing.TB, dir string) []string {
	names, err := filepath.Glob(filepath.Join(dir, "*.rec"))
	require.NoError(t, err)
	return names
}

// replayed plays every recording of a folder from its start, and says how many steps
// each had, by what the names of its files begin with.
func replayed(t testing.TB, dir string) map[string]uint64 {
	steps := map[string]uint64{}
	players := map[string]*recording.Player{}
	for _, name := range recorded(t, dir) {
		which := filepath.Base(name[:strings.LastIndex(name, "-")])
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		reader, err := recording.NewReader(bytes.NewReader(content))
		require.NoError(t, err)
		if players[which] == nil {
			players[which], err = recording.NewPlayer(reader.Header)
			require.NoError(t, err)
		}
		require.Equal(t, steps[which], reader.Header.First, "%s begins where the last file ended", name)
		for {
			step, event, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err, "%s, step %d", name, step)
			_, err = players[which].Play(event)
			require.NoError(t, err, "%s, step %d: %s", name, step, event.Text())
			steps[which]++
		}
	}
	return steps
}

// Three nodes take writes, reads, deletes and scans while one of them is stopped and
// comes back: every shard of every start does the same again.
func TestWhatNodesDidIsDoneAgain(t *testing.T) {
	dir := t.TempDir()
	var nodes []*Node
	var configs []Config
	for i := range 3 {
		cfg := config(t, fmt.Sprintf("n%d", i+1))
		cfg.Expect, cfg.Zone, cfg.Shards, cfg.Record = 3, cfg.Name, 2, filepath.Join(dir, cfg.Name)
		if i > 0 {
			cfg.Join = []string{configs[0].GossipAddr}
		}
		configs = append(configs, cfg)
		nodes = append(nodes, start(t, cfg))
	}
	awaitReady(t, nodes...)
	awaitLinks(t, nodes...)
	work := func(name string, nodes ...*Node) {
		answers := make(chan *kindred.Response, 1000)
		asked := 0
		for i := range 60 {
			for j, op := range []kindred.Op{kindred.OpPut, kindred.OpGet, kindred.OpDelete, kindred.OpScan, kindred.OpInspect} {
				req := kindred.Request{Op: op, Bucket: "b", Key: fmt.Sprint(name, (i+j)%20)}
				if op == kindred.OpPut {
					req.Value = bytes.Repeat([]byte{byte(i)}, 1+i*i*20)
					req.Durability = kindred.Durability(i % 4)
				}
				nodes[(i+j)%len(nodes)].Do(&req, func(r *kindred.Response) { answers <- r })
				asked++
			}
		}
		for range asked {
			<-answers
		}
	}
	work("a", nodes...)
	require.NoError(t, nodes[2].Stop(context.Background()))
	work("b", nodes[:2]...)
	nodes[2] = start(t, configs[2])
	awaitReady(t, nodes...)
	work("a", nodes...)
	for _, n := range nodes {
		require.NoError(t, n.Stop(context.Background()))
	}
	for i, cfg := range configs {
		steps := replayed(t, cfg.Record)
		require.Len(t, steps, []int{2, 2, 4}[i], "a recording for each shard of each start")
		for which, n := range steps {
			require.Greater(t, n, uint64(200), which)
		}
		for _, name := range recorded(t, cfg.Record) {
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode(), "values are in it")
		}
	}
}

// recording1 is a recorder of one shard, and its reel.
func recording1(t *testing.T, bytesMax int64, book *logBook) (*recorder, *reel) {
	cfg := DefaultConfig()
	cfg.Name, cfg.Record, cfg.RecordBytes, cfg.Shards = "n1", filepath.Join(t.TempDir(), "made"), bytesMax, 1
	r, err := startRecorder(cfg, incarnation{Start: 7}, slog.New(slog.NewTextHandler(book, nil)))
	require.NoError(t, err)
	return r, r.reels[0]
}

func coreConfig(l *reel) core.Config {
	h := l.header
	return core.Config{Node: h.Node, Start: h.Actor, Clean: h.Clean, Limits: h.Limits}
}

// events records requests until they are so many bytes, in takes.
func events(l *reel, bytesMin int) {
	s := recording.New(coreConfig(l), l.tape)
	value := bytes.Repeat([]byte("v"), 1000)
	for done := 0; done < bytesMin; done += len(value) {
		now := s.Now(time.Now())
		s.Request(now, uint64(done), &kindred.Request{Op: kindred.OpPut, Bucket: "b", Key: "k", Value: value})
		s.Take().Reset()
	}
}

func TestTheRingOfRecordingsKeepsItsBound(t *testing.T) {
	var book logBook
	const bound = 1 << 20
	r, l := recording1(t, bound, &book)
	for range 20 {
		events(l, bound/10)
		r.write()
		total := int64(0)
		for _, name := range recorded(t, r.dir) {
			info, err := os.Stat(name)
			require.NoError(t, err)
			total += info.Size()
		}
		require.LessOrEqual(t, total, int64(bound))
		require.Equal(t, r.bytes, total, "what is counted is what is there")
	}
	r.end()
	require.Contains(t, book.String(), "lose their beginning")
	require.Equal(t, 1, strings.Count(book.String(), "lose their beginning"), "said once")
	names := recorded(t, r.dir)
	require.Greater(t, len(names), filesPerShard/2)
	content, err := os.ReadFile(names[0])
	require.NoError(t, err)
	reader, err := recording.NewReader(bytes.NewReader(content))
	require.NoError(t, err)
	require.NotZero(t, reader.Header.First)
	_, err = recording.NewPlayer(reader.Header)
	require.ErrorContains(t, err, "are not here")
	step, event, err := reader.Next()
	require.NoError(t, err, "what is left can be shown")
	require.Equal(t, reader.Header.First, step)
	require.NotEmpty(t, event.Text())
}

// Recordings of earlier starts are the first to go, those of other nodes stay.
func TestRecordingsOfEarlierStartsGoFirst(t *testing.T) {
	var book logBook
	r, _ := recording1(t, 1<<20, &book)
	r.end()
	foreign, old := filepath.Join(r.dir, "n1-x-000001-0000abcd-000-000001.rec"), filepath.Join(r.dir, "n1-000001-0000abcd-000-000001.rec")
	for _, name := range []string{foreign, old} {
		require.NoError(t, os.WriteFile(name, make([]byte, 1<<20), 0o600))
		require.NoError(t, os.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)))
	}
	cfg := DefaultConfig()
	cfg.Name, cfg.Record, cfg.RecordBytes, cfg.Shards = "n1", r.dir, 1<<20, 1
	again, err := startRecorder(cfg, incarnation{Start: 8}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	again.end()
	require.NoFileExists(t, old)
	require.FileExists(t, foreign)
	require.FileExists(t, r.reels[0].path, "there is room for it")
}

// A disk that is full ends the recording, and not the node: what was written whole is
// there, and the node says so.
func TestAFullDiskEndsTheRecordingAndNotTheNode(t *testing.T) {
	cfg := config(t, "n1")
	cfg.Record = t.TempDir()
	n := start(t, cfg)
	awaitReady(t, n)
	require.Nil(t, do(t, n, put("k", "before")).Err)
	for _, l := range n.recorder.reels {
		n.recorder.writing.Lock()
		require.NoError(t, l.file.Close()) // as good as full: no write succeeds
		n.recorder.writing.Unlock()
	}
	require.Nil(t, do(t, n, put("k", "after")).Err)
	require.Eventually(t, func() bool {
		return strings.Contains(fmt.Sprint(n.Cluster().Problems), "the recording in "+cfg.Record+" has stopped")
	}, patience, 10*time.Millisecond)
	require.Contains(t, values(do(t, n, get("k"))), "after")
	require.NoError(t, n.Stop(context.Background()))
	for _, steps := range replayed(t, cfg.Record) {
		require.NotZero(t, steps)
	}
}

// A shard that panics has written down what it panicked at.
func TestAShardThatPanicsIsRecorded(t *testing.T) {
	var book logBook
	r, l := recording1(t, 1<<20, &book)
	s := recording.New(coreConfig(l), l.tape)
	func() {
		defer func() { require.Equal(t, "a law is broken", recover()) }()
		defer l.save(s)
		s.Seen(s.Now(time.Now()), 5, l.log(nil), func(time.Time) { panic("a law is broken") })
	}()
	content, err := os.ReadFile(recorded(t, r.dir)[0])
	require.NoError(t, err)
	reader, err := recording.NewReader(bytes.NewReader(content))
	require.NoError(t, err)
	_, event, err := reader.Next()
	require.NoError(t, err)
	require.Equal(t, recording.Seen, event.Kind)
	r.end()
}

func TestARecorderThatFallsBehindStops(t *testing.T) {
	var book logBook
	r, l := recording1(t, 1<<20, &book)
	r.writing.Lock() // a disk that is stuck
	events(l, recordWaitMax+1<<20)
	require.Contains(t, r.trouble(), "takes less than is recorded")
	require.LessOrEqual(t, len(l.waiting), recordWaitMax)
	l.await() // does not wait for ever
	r.writing.Unlock()
	r.end()
}
