package jepsen_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/jepsen"
	"github.com/kindredkv/kindred/jepsen/report"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/vclock"
)

// TestRecordingsAreSorted: by node, and by start. A node that lost its disk counts its
// starts from one again, and that is another start all the same; one that lost the first
// file of any shard has lost its beginning. A file that does not say what it is stays with
// the others.
func TestRecordingsAreSorted(t *testing.T) {
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "run")
	began := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
	write := func(node string, start uint64, actor, shard, file int, first uint64, at time.Duration) string {
		text, err := recording.AppendHeader(nil, recording.Header{
			Node: node, Start: start, Shard: shard, Shards: 2, Actor: vclock.Actor{Disk: 1, Nonce: uint64(actor)}, File: file, First: first, Began: began.Add(at),
		})
		require.NoError(t, err)
		name := fmt.Sprintf("%s-%06d-%08x-%03d-%06d.rec", node, start, actor, shard, file)
		require.NoError(t, os.WriteFile(filepath.Join(from, name), append(text, "steps"...), 0o600))
		return name
	}
	write("n2", 1, 7, 0, 1, 0, 40*time.Second)
	write("n2", 1, 7, 1, 1, 0, 40*time.Second)
	write("n2", 1, 9, 0, 1, 0, -time.Second)
	write("n2", 1, 9, 0, 2, 700, -time.Second)
	write("n2", 1, 9, 1, 3, 800, -time.Second)
	name := write("n10", 3, 2, 0, 1, 0, time.Second)
	require.NoError(t, os.WriteFile(filepath.Join(from, "n2-000002-0000000b-000-000001.rec"), []byte("kindr"), 0o600))

	all, err := jepsen.Recordings(from, dir, began)
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, "n10", all[0].Node)
	require.Equal(t, filepath.Join(dir, jepsen.RecordingsName, "n10"), all[0].Dir)
	info, err := os.Stat(filepath.Join(all[0].Dir, name))
	require.NoError(t, err)
	require.Equal(t, info.Size(), all[0].Bytes)
	require.Equal(t, 6, all[1].Files)
	require.Equal(t, []report.RecordedStart{{Number: 1, Began: -time.Second, Headless: true}, {Number: 1, Began: 40 * time.Second}}, all[1].Starts)
}
