//go:build !race

package bench

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/storage/pebblestore"
)

const (
	// EmptiedWithin bounds the time from the last delete to the last row and byte:
	// logs are pruned in strides of a minute, and the disk is reclaimed as often.
	EmptiedWithin = 3 * time.Minute
	// EmptyShareMax is what the tables may still take, of what was deleted.
	EmptyShareMax = 0.01
)

// TestDeletesLeaveNothing puts values of 1 KiB, deletes them all, waits until that
// is settled, and looks into the stores: there is no object, no tombstone and no
// row of a log, and the disk is free again.
func TestDeletesLeaveNothing(t *testing.T) {
	keys := int64(3_000)
	if *million {
		keys = 100_000
	}
	cluster := startCluster(t, 3)
	bucket := dial(t, cluster).Bucket("emptied")
	ctx := context.Background()
	each(t, keys, func(n int64) error {
		value := make([]byte, 1<<10)
		rand.Read(value) // nothing for the engine to compress
		_, err := bucket.Put(ctx, keyOf(0, n), value)
		return err
	})
	deleted := keys << 10
	each(t, keys, func(n int64) error {
		obj, err := bucket.Get(ctx, keyOf(0, n))
		if err != nil {
			return err
		}
		_, err = bucket.Delete(ctx, keyOf(0, n), client.Seen(obj.Context))
		return err
	})
	began := time.Now()
	full := func() bool {
		return summed(t, cluster, "kindred_log_rows")+summed(t, cluster, "kindred_replica_unsettled_dots") > 0 ||
			*million && summed(t, cluster, "kindred_store_table_bytes") > int64(EmptyShareMax*float64(3*deleted))
	}
	for full() && time.Since(began) < EmptiedWithin {
		<-time.After(200 * time.Millisecond)
	}
	t.Logf("%d keys deleted; logs and tables were empty after %v", keys, time.Since(began).Round(time.Second))
	require.False(t, full(), "%d log rows, %d bytes in tables", summed(t, cluster, "kindred_log_rows"), summed(t, cluster, "kindred_store_table_bytes"))

	status, err := cluster.Status()
	require.NoError(t, err)
	_, err = cluster.Stop(ctx, 10*time.Second)
	require.NoError(t, err)
	for _, n := range status.Nodes {
		store, err := pebblestore.Open(n.DataDir, pebblestore.Options{})
		require.NoError(t, err)
		rows := rowsByTable(t, store)
		table := store.Metrics().TableBytes
		t.Logf("%s: rows %v, tables of %d bytes, %.2f %% of what was deleted", n.Name, rows, table, 100*float64(table)/float64(deleted))
		require.NoError(t, store.Close())
		for _, table := range []byte{storage.TableObject, storage.TableLog, storage.TableValue, storage.TableHint, storage.TableExpiry} {
			require.Zero(t, rows[string(table)], "table %c of %s", table, n.Name)
		}
		if *million {
			require.Less(t, float64(table), EmptyShareMax*float64(deleted))
		}
	}
}

func rowsByTable(t *testing.T, store *pebblestore.Store) map[string]int {
	snapshot, err := store.Snapshot()
	require.NoError(t, err)
	defer snapshot.Close()
	rows := map[string]int{}
	for table := byte('a'); table <= 'z'; table++ {
		low, high := storage.TableRange(table)
		require.NoError(t, snapshot.Scan(low, high, func(key, value []byte) bool {
			rows[string(table)]++
			return true
		}))
	}
	return rows
}
