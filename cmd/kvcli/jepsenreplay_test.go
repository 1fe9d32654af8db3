package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/node"
)

// recordedNode runs a node that records, with two shards, and returns its recordings.
func recordedNode(t *testing.T, bytesMax int64, values int) string {
	cfg := node.DefaultConfig()
	cfg.Name, cfg.DataDir, cfg.Expect, cfg.Partitions, cfg.Replicas, cfg.Shards = "n1", t.TempDir(), 1, 4, 1, 2
	cfg.Record, cfg.RecordBytes = filepath.Join(t.TempDir(), "rec"), bytesMax
	for _, addr := range []*string{&cfg.ClientAddr, &cfg.PeerAddr, &cfg.GossipAddr, &cfg.HTTPAddr} {
		*addr = "127.0.0.1:0"
	}
	n, err := node.Start(t.Context(), cfg)
	require.NoError(t, err)
	defer n.Stop(context.Background())
	require.NoError(t, n.AwaitReady(t.Context()))
	for i := range values {
		for _, op := range []kindred.Op{kindred.OpPut, kindred.OpGet} {
			req := kindred.Request{Op: op, Bucket: "carts", Key: fmt.Sprint("key-", i%50)}
			if op == kindred.OpPut {
				req.Value = bytes.Repeat([]byte("secret"), 200)
			}
			answer := make(chan *kindred.Response, 1)
			n.Do(&req, func(r *kindred.Response) { answer <- r })
			require.Nil(t, (<-answer).Err)
		}
	}
	require.NoError(t, n.Stop(context.Background()))
	return cfg.Record
}

func replayOf(t *testing.T, args ...string) (outcome, replayDoc) {
	o := runWith(t, newFakeCluster(), "", append([]string{"jepsen", "replay", "-o", "json"}, args...)...)
	var doc replayDoc
	require.NoError(t, decode(o.stdout, &doc), o.stderr)
	return o, doc
}

// TestReplay: what a node did is done again, and shown.
func TestReplay(t *testing.T) {
	dir := recordedNode(t, 64<<20, 100)
	o, doc := replayOf(t, dir)
	require.Zero(t, o.exit, o.stderr)
	require.Len(t, doc.Recordings, 2)
	for i, d := range doc.Recordings {
		require.Equal(t, "exact", d.Verdict, d.Problem)
		require.Equal(t, i, d.Shard)
		require.Greater(t, d.Steps, uint64(50))
		require.Empty(t, d.Shown)
	}
	require.NotEqual(t, doc.Recordings[0].Sum, doc.Recordings[1].Sum)

	files, err := filepath.Glob(filepath.Join(dir, "*.rec"))
	require.NoError(t, err)
	_, one := replayOf(t, files[0], "--key", "key-7")
	require.Len(t, one.Recordings, 1, "a file stands for its shard")
	_, other := replayOf(t, files[1], "--key", "key-7")
	steps := append(one.Recordings[0].Shown, other.Recordings[0].Shown...)
	require.NotEmpty(t, steps)
	text := fmt.Sprint(steps)
	require.Contains(t, text, `put carts/"key-7", 1200 bytes`)
	require.Contains(t, text, `writes object carts/"key-7"`)
	require.Contains(t, text, "is replicated, held by n1")
	require.NotContains(t, text, `"key-8"`)

	_, some := replayOf(t, files[0], "--from", "3", "--to", "5")
	require.Len(t, some.Recordings[0].Shown, 3)
	o = runWith(t, newFakeCluster(), "", "jepsen", "replay", dir, "--steps")
	require.Zero(t, o.exit)
	require.Contains(t, o.stdout, "exact, sum ")
	require.Contains(t, o.stdout, "n1, start 1, shard 1, began ")
	require.NotContains(t, o.stdout, "secret", "values are not printed")
	require.Equal(t, 1, runWith(t, newFakeCluster(), "", "jepsen", "replay", dir, "--step", "1", "--steps").exit)
	o = runWith(t, newFakeCluster(), "", "jepsen", "replay", t.TempDir())
	require.Equal(t, 1, o.exit)
	require.Contains(t, o.stderr, "holds no recordings")

	// A file that breaks off is played up to there; a byte that changed is named.
	content, err := os.ReadFile(files[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files[0], content[:len(content)-3], 0o600))
	o, doc = replayOf(t, files[0])
	require.Zero(t, o.exit)
	require.True(t, doc.Recordings[0].Torn)
	require.Equal(t, one.Recordings[0].Steps-1, doc.Recordings[0].Steps)
	content[len(content)/2] ^= 1
	require.NoError(t, os.WriteFile(files[0], content, 0o600))
	o, doc = replayOf(t, files[0])
	require.Equal(t, exitBroken, o.exit)
	require.Equal(t, "damaged", doc.Recordings[0].Verdict)
	require.Equal(t, doc.Recordings[0].Steps, doc.Recordings[0].Step)
	require.Contains(t, doc.Recordings[0].Problem, "checksum")
}

// What cannot be read is never passed over in silence: that a file could not be read
// says nothing of what it held.
func TestReplaySaysWhatIsNotThere(t *testing.T) {
	dir := recordedNode(t, 64<<20, 100)
	files, err := filepath.Glob(filepath.Join(dir, "*.rec"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	content, err := os.ReadFile(files[0])
	require.NoError(t, err)
	put := func(b []byte) { require.NoError(t, os.WriteFile(files[0], b, 0o600)) }

	// A file may be named in any way.
	for _, name := range []string{dir + "/./" + filepath.Base(files[0]), dir + "//" + filepath.Base(files[0])} {
		o, doc := replayOf(t, name)
		require.Zero(t, o.exit, "%s", o)
		require.Equal(t, 1, doc.Recordings[0].Files)
	}

	// A header that is damaged.
	spoilt := bytes.Clone(content)
	spoilt[60] ^= 1
	put(spoilt)
	o, doc := replayOf(t, dir)
	require.Equal(t, exitBroken, o.exit)
	require.Contains(t, o.stderr, "1 file cannot be read, and was left out")
	require.Equal(t, []string{"missing", "exact"}, []string{doc.Recordings[0].Verdict, doc.Recordings[1].Verdict})
	require.Len(t, doc.LeftOut, 1)
	require.Equal(t, files[0], doc.LeftOut[0].File)
	require.Contains(t, doc.LeftOut[0].Problem, "checksum")
	o = runWith(t, newFakeCluster(), "", "jepsen", "replay", dir)
	require.Contains(t, o.stdout, files[0]+" was left out: ")
	_, doc = replayOf(t, files[1])
	require.Empty(t, doc.LeftOut, "it is of another recording")
	require.Equal(t, exitError, runWith(t, newFakeCluster(), "", "jepsen", "replay", files[0]).exit)

	// A file that had just been begun when its node was killed.
	put(content[:30])
	o, doc = replayOf(t, dir)
	require.Equal(t, exitUnavailable, o.exit, "%s", o)
	require.True(t, doc.LeftOut[0].Torn)

	// A file that is gone.
	require.NoError(t, os.Remove(files[0]))
	o, doc = replayOf(t, dir)
	require.Equal(t, exitUnavailable, o.exit, "%s", o)
	require.Equal(t, "missing", doc.Recordings[0].Verdict)
	require.Contains(t, doc.Recordings[0].Problem, "of a start with 2 shards")

	// One that is there twice, and others that are nobody's.
	put(content)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "copy.rec"), content, 0o600))
	o, doc = replayOf(t, dir)
	require.Equal(t, exitBroken, o.exit)
	require.Contains(t, doc.Recordings[0].Problem, "which is in another file as well")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "copy.rec"), []byte("a film"), 0o600))
	o, _ = replayOf(t, dir)
	require.Zero(t, o.exit, "%s", o)

	// Steps that are not there.
	require.Contains(t, runWith(t, newFakeCluster(), "", "jepsen", "replay", dir, "--step", "999999").stderr, "There is no such step.")
	require.Contains(t, runWith(t, newFakeCluster(), "", "jepsen", "replay", dir, "--from", "9", "--to", "3").stderr, "--to 3 is before --from 9")

	enough, interrupt := context.WithCancel(t.Context())
	interrupt()
	o = kvcli(enough, "jepsen", "replay", dir)
	require.Equal(t, exitError, o.exit)
	require.Contains(t, o.stderr, "context canceled")
}

// A recording that has lost its beginning is shown, and said not to be played.
func TestReplayWithoutABeginning(t *testing.T) {
	dir := recordedNode(t, 1<<20, 600)
	o, doc := replayOf(t, dir, "--key", "key-49")
	require.Equal(t, exitUnavailable, o.exit)
	shown := 0
	for _, d := range doc.Recordings {
		require.Equal(t, "headless", d.Verdict)
		require.NotZero(t, d.First)
		require.NotZero(t, d.Steps)
		for _, s := range d.Shown {
			require.Empty(t, s.Out)
			shown++
		}
	}
	require.NotZero(t, shown)
	require.Contains(t, o.stderr, "lost their beginning")
	require.True(t, strings.Contains(o.stderr, `"exit":6`), o.stderr)
}
