package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/antientropy/hashtree"
	"github.com/kindredkv/kindred/core"
	"github.com/kindredkv/kindred/hintedhandoff"
	"github.com/kindredkv/kindred/recording"
	"github.com/kindredkv/kindred/replica"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/pebblestore"
	"github.com/kindredkv/kindred/vclock"
	"github.com/kindredkv/kindred/wire"
)

// damageRig is three nodes that all hold the same keys, those of n1 in tables.
type damageRig struct {
	t      *testing.T
	nodes  []*Node
	keys   []string
	values map[string]string
}

func newDamageRig(t *testing.T, keys int) *damageRig { return newDamageRigOf(t, 16, keys) }

func newDamageRigOf(t *testing.T, partitions, keys int) *damageRig {
	nodes, _ := threeOf(t, partitions)
	r := &damageRig{t: t, nodes: nodes, values: map[string]string{}}
	random := rand.NewChaCha8([32]byte{1}) // nothing to compress: it lies in the tables as it is
	for i := range keys {
		key, value := fmt.Sprintf("key-%05d", i), make([]byte, 150)
		_, _ = random.Read(value)
		require.Nil(t, do(t, nodes[0], kindred.Request{Op: kindred.OpPut, Key: key, Value: value, W: kindred.CountAll}).Err)
		r.keys, r.values[key] = append(r.keys, key), string(value)
	}
	r.restart(0, func() {}) // a start turns the log into tables
	return r
}

// restart stops a node in order, does something to its folder, and starts it.
func (r *damageRig) restart(i int, meanwhile func()) {
	cfg := r.nodes[i].cfg
	require.NoError(r.t, r.nodes[i].Stop(context.Background()))
	meanwhile()
	if i == 0 {
		cfg.Join = []string{r.nodes[1].cfg.GossipAddr}
	}
	r.nodes[i] = start(r.t, cfg)
	awaitReady(r.t, r.nodes...)
	awaitLinks(r.t, r.nodes...)
}

// tables are the tables of a node's store.
func (r *damageRig) tables(i int) []string {
	names, err := filepath.Glob(filepath.Join(r.nodes[i].cfg.DataDir, "db", "*.sst"))
	require.NoError(r.t, err)
	return names
}

// spoil flips a bit of a value in a table.
func (r *damageRig) spoil(i int, key string) {
	for _, name := range r.tables(i) {
		content, err := os.ReadFile(name)
		require.NoError(r.t, err)
		if at := bytes.Index(content, []byte(r.values[key])); at >= 0 {
			content[at+70] ^= 1
			require.NoError(r.t, os.WriteFile(name, content, 0o600))
			return
		}
	}
	r.t.Fatalf("%s is in no table of node %d", key, i)
}

// damaged counts the leaves that a node does not speak for, and sums its audits.
func (r *damageRig) audits(i int) (damaged int, sum core.AuditStats) {
	for _, w := range r.nodes[i].workers {
		done := make(chan struct{})
		w.inbox.put(func(_ time.Time, s *recording.Shard) {
			for _, status := range s.Core().Audits() {
				damaged += status.Damaged
			}
			sum = core.Stats{AuditStats: sum}.Plus(core.Stats{AuditStats: s.Stats().AuditStats}).AuditStats
			close(done)
		})
		<-done
	}
	return damaged, sum
}

// stored is what a node's disk holds of all replicas, and the sum of their trees.
func (r *damageRig) stored(i int) (roots []uint64, err error) {
	snapshot, err := r.nodes[i].store.Snapshot()
	require.NoError(r.t, err)
	defer snapshot.Close()
	for p := range uint32(r.nodes[i].cfg.Partitions) {
		var tree *hashtree.Tree
		if tree, err = replica.Recount(snapshot, replica.ID{Partition: p, N: 3}); err != nil {
			return nil, err
		}
		roots = append(roots, tree.Root())
	}
	return roots, nil
}

// awaitEqual waits until all nodes store the same, readable, and nobody is
// damaged.
func (r *damageRig) awaitEqual() {
	require.Eventually(r.t, func() bool {
		first, err := r.stored(0)
		for i := range r.nodes {
			roots, bad := r.stored(i)
			damaged, _ := r.audits(i)
			if err != nil || bad != nil || damaged > 0 || fmt.Sprint(roots) != fmt.Sprint(first) {
				return false
			}
		}
		return true
	}, mending, 100*time.Millisecond)
	for key, value := range r.values {
		require.Eventually(r.t, func() bool { return values(do(r.t, r.nodes[0], get(key))) == "["+value+"]" },
			patience, 10*time.Millisecond, key) // a node that has just started links first
	}
}

// C12, R20: a block that rots is never served and never spread. The read that meets
// it is answered by others; its rows are restored from them, and nothing else is.
func TestARottenBlockIsRestoredFromTheOthers(t *testing.T) {
	r := newDamageRig(t, 400)
	victim := r.keys[200]
	r.restart(0, func() { r.spoil(0, victim) })
	require.Eventually(t, func() bool { return values(do(t, r.nodes[0], get(victim))) == "["+r.values[victim]+"]" },
		patience, 10*time.Millisecond, "the cluster answers")
	r.awaitEqual()
	_, found := r.audits(0)
	require.Positive(t, found.UnreadableRanges)
	require.Positive(t, found.Restored)
	require.Less(t, found.Restored, uint64(64), "a block of 4 KiB")
	require.Zero(t, found.Diverged)
	r.restart(0, func() {})
	r.awaitEqual()
}

// With little data in many partitions a block has rows of dozens of replicas, and ends
// between two. It can go only when each of them has noted what it loses, so none may
// keep the others waiting.
func TestARottenBlockOfManyReplicasIsRestored(t *testing.T) {
	for _, partitions := range []int{16, 32, 128, 256} {
		t.Run(fmt.Sprint(partitions), func(t *testing.T) {
			r := newDamageRigOf(t, partitions, 100)
			victim := r.middle()
			r.restart(0, func() { r.spoil(0, victim) })
			require.Eventually(t, func() bool { return values(do(t, r.nodes[0], get(victim))) == "["+r.values[victim]+"]" },
				patience, 10*time.Millisecond, "the cluster answers")
			require.Eventually(t, func() bool {
				damaged, found := r.audits(0)
				return damaged == 0 && found.Restored > 0
			}, mending, 100*time.Millisecond)
			r.awaitEqual()
			_, found := r.audits(0)
			require.Less(t, found.Restored, uint64(50), "a block of 4 KiB")
			t.Logf("%+v, the damage was met %d times", found, r.nodes[0].corruptions.Load())
		})
	}
}

// mending is how long a machine may take on which everything takes ten times as long.
const mending = 6 * patience

// middle is the key in the middle of the tables: the blocks at their ends hold rows of
// other kinds too.
func (r *damageRig) middle() string {
	layout := r.nodes[0].layout.Load()
	row := func(key string) string {
		return string(storage.ObjectKey(nil, uint32(layout.PartitionOf("b", key)), 3, "b", key))
	}
	keys := slices.SortedFunc(slices.Values(r.keys), func(a, b string) int { return strings.Compare(row(a), row(b)) })
	return keys[len(keys)/2]
}

// A row that is gone from the disk without a trace is found by the audit, if nobody
// has read the key before.
func TestARowThatVanishedIsRestoredFromTheOthers(t *testing.T) {
	r := newDamageRig(t, 100)
	var gone storage.Batch
	for p := range uint32(16) {
		gone.Delete(storage.ObjectKey(nil, p, 3, "b", r.keys[50]))
	}
	require.NoError(t, r.nodes[2].store.Apply(&gone))
	r.nodes[2].auditRange(nil, nil)
	require.Eventually(t, func() bool {
		_, found := r.audits(2)
		return found.Restored == 1
	}, patience, 20*time.Millisecond)
	r.awaitEqual()
}

// A table that was cut off keeps the store from opening. It is set aside, and the
// node is rebuilt as one that lost its disk.
func TestATruncatedTableIsSetAside(t *testing.T) {
	r := newDamageRig(t, 100)
	r.restart(0, func() {
		for _, name := range r.tables(0) {
			require.NoError(t, os.Truncate(name, 100))
		}
	})
	aside, err := filepath.Glob(filepath.Join(r.nodes[0].cfg.DataDir, "damaged-1", "db", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, aside, "what was there is kept")
	r.awaitEqual()
}

// A block of the dot log is rotten, which every start reads: the store can be opened, and
// the node ends. What is left is set aside, and the next start is rebuilt. Until it has
// ended people ask what it holds, as they do all the time.
func TestAStoreWhoseDotLogIsRottenIsSetAside(t *testing.T) {
	r := newDamageRig(t, 400)
	cfg := r.nodes[0].cfg
	var owed storage.Batch
	for p := range uint32(cfg.Partitions) {
		var h hintedhandoff.Hint
		h.Owe(wire.AllSlots(3), wire.Delta{Dots: vclock.NewDotSet(vclock.Dot{Actor: vclock.Actor{Disk: 7, Nonce: 7}, Counter: 1})}, nil, time.Now())
		h.Save(wire.Head{Partition: p, N: 3}, "b", "owed", &owed)
	}
	require.NoError(t, r.nodes[0].store.Apply(&owed))
	cfg.Join, cfg.Record = []string{r.nodes[1].cfg.GossipAddr}, ""
	require.NoError(t, r.nodes[0].Stop(context.Background()))
	r.spoilWhere(0, r.hasRottenLog)
	n, err := Start(context.Background(), cfg)
	require.NoError(t, err)
	for late := time.After(patience); ; {
		n.Hints()
		select {
		case <-n.Done():
		case <-late:
			t.Fatal("it goes on")
		default:
			continue
		}
		break
	}
	var aside *AsideError
	require.ErrorAs(t, n.Err(), &aside)
	require.FileExists(t, filepath.Join(aside.To, "FORMAT"), "what was there is kept")

	r.nodes[0] = start(t, cfg)
	awaitReady(t, r.nodes...)
	awaitLinks(t, r.nodes...)
	r.awaitEqual()
}

// What a node knows of itself cannot be read either. That shows before it has started.
func TestAStoreThatDoesNotKnowItsNodeIsSetAside(t *testing.T) {
	r := newDamageRig(t, 100)
	r.restart(0, func() { r.spoilWhere(0, hasRottenName) })
	aside, err := filepath.Glob(filepath.Join(r.nodes[0].cfg.DataDir, "damaged-1", "db", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, aside, "what was there is kept")
	r.awaitEqual()
}

// Who knows no others keeps what there is, and says so.
func TestALoneNodeKeepsADamagedStore(t *testing.T) {
	cfg := config(t, "n1")
	cfg.Expect, cfg.Replicas = 1, 1
	n := start(t, cfg)
	awaitReady(t, n)
	require.NoError(t, n.Stop(context.Background()))
	r := &damageRig{t: t, nodes: []*Node{start(t, cfg)}} // its log is tables now
	require.NoError(t, r.nodes[0].Stop(context.Background()))
	r.spoilWhere(0, hasRottenName)
	_, err := Start(context.Background(), cfg)
	var corrupt *storage.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.NoDirExists(t, filepath.Join(cfg.DataDir, "damaged-1"))
}

// spoilWhere flips a bit in a table so that the store can be opened and is rotten in
// some way. Where that is only trying shows.
func (r *damageRig) spoilWhere(i int, rotten func(*pebblestore.Store) bool) {
	for _, name := range r.tables(i) {
		content, err := os.ReadFile(name)
		require.NoError(r.t, err)
		for at := 64; at < len(content); at += 256 {
			content[at] ^= 1
			require.NoError(r.t, os.WriteFile(name, content, 0o600))
			if r.is(i, rotten) {
				return
			}
			content[at] ^= 1
		}
		require.NoError(r.t, os.WriteFile(name, content, 0o600))
	}
	r.t.Fatal("what is to be rotten is in no table")
}

// is reports whether a copy of a node's store opens, and is rotten.
func (r *damageRig) is(i int, rotten func(*pebblestore.Store) bool) bool {
	cfg, copied := r.nodes[i].cfg, filepath.Join(r.t.TempDir(), "copy")
	require.NoError(r.t, os.CopyFS(copied, os.DirFS(cfg.DataDir)))
	store, err := pebblestore.Open(copied, cfg.Store)
	if err != nil {
		return false
	}
	defer store.Close()
	return rotten(store)
}

func hasRottenName(store *pebblestore.Store) bool {
	_, err := loadMeta(store, metaName)
	var corrupt *storage.CorruptError
	return errors.As(err, &corrupt)
}

func (r *damageRig) hasRottenLog(store *pebblestore.Store) bool {
	snapshot, err := store.Snapshot()
	require.NoError(r.t, err)
	defer snapshot.Close()
	for p := range uint32(r.nodes[0].cfg.Partitions) {
		_, err := replica.Recover(replica.ID{Partition: p, N: 3}, vclock.Actor{Disk: 1, Nonce: 1}, replica.NewRecent(1), snapshot)
		if corrupt := (*storage.CorruptError)(nil); errors.As(err, &corrupt) {
			return true
		}
	}
	return false
}
