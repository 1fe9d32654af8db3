package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/storage"
	"github.com/kindredkv/kindred/wire"
)

func lasting(q kindred.Request, ttl time.Duration) kindred.Request {
	q.TTL = ttl
	return q
}

// expiryRows counts the objects and the rows of the index in the whole cluster.
func (r *rig) expiryRows() (objects, index int) {
	for _, n := range r.nodes {
		snapshot, err := n.engine.Snapshot()
		require.NoError(r.t, err)
		for _, c := range []struct {
			table byte
			count *int
		}{{storage.TableObject, &objects}, {storage.TableExpiry, &index}} {
			lo, hi := storage.TableRange(c.table)
			require.NoError(r.t, snapshot.Scan(lo, hi, func([]byte, []byte) bool { *c.count++; return true }))
		}
		require.NoError(r.t, snapshot.Close())
	}
	return objects, index
}

// passFor lets time go by in steps, as a shell with timers does.
func (r *rig) passFor(d, step time.Duration) {
	for ; d > 0; d -= step {
		r.pass(min(step, d))
	}
}

func TestAValueExpires(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	written := r.do("n1", lasting(put("k", "v"), time.Minute))
	require.Nil(t, written.Err)
	until := r.now.Add(time.Minute)
	require.True(t, until.Equal(written.Receipt.ExpiresAt), "the receipt says when")
	shown := r.do("n2", get("k"))
	require.Equal(t, []string{"v"}, values(shown))
	require.True(t, until.Equal(shown.Siblings[0].ExpiresAt))
	inspected := r.do("n3", kindred.Request{Op: kindred.OpInspect, Bucket: "b", Key: "k"})
	require.True(t, until.Equal(inspected.Replicas[0].Siblings[0].ExpiresAt))

	r.passFor(time.Minute, time.Second)
	gone := r.do("n2", get("k"))
	require.Empty(t, gone.Siblings, "to the millisecond")
	require.NotEmpty(t, gone.Context, "what was written then is still known")
	objects, index := r.expiryRows()
	require.Equal(t, 3, objects)
	require.Equal(t, 3, index)

	r.passFor(DefaultLimits().ExpiryGrace+2*time.Second, time.Second)
	objects, index = r.expiryRows()
	require.Zero(t, objects, "nothing is left of it")
	require.Zero(t, index)
	ended := uint64(0)
	for _, n := range r.nodes {
		ended += n.shard.Stats().Expiries
	}
	require.EqualValues(t, 1, ended, "one home does it for all")
	r.idle()
}

// A context that was given after the expiry replaces the expired value, and a
// value that was put again stays.
func TestAnExpiredValueCanBeReplaced(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", lasting(put("k", "old"), time.Second))
	r.pass(2 * time.Second)
	gone := r.do("n1", get("k"))
	require.Empty(t, gone.Siblings)
	require.Nil(t, r.do("n1", seen(put("k", "new"), gone.Context)).Err)
	_, index := r.expiryRows()
	require.Zero(t, index, "nothing is left to end")
	r.passFor(5*time.Minute, time.Second)
	require.Equal(t, []string{"new"}, values(r.do("n2", get("k"))))
}

func TestScansShowWhatHasNotExpired(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", lasting(put("goes", "v"), time.Second))
	r.do("n1", lasting(put("stays", "a"), time.Minute))
	r.do("n2", put("stays", "b"))
	r.do("n1", lasting(put("later", "v"), time.Hour))
	scan := func() (found []string) {
		for cursor := []byte(nil); ; {
			resp := r.do("n3", kindred.Request{Op: kindred.OpScan, Bucket: "b", Scan: kindred.Scan{Cursor: cursor}})
			require.Nil(t, resp.Err)
			for _, k := range resp.Keys {
				found = append(found, fmt.Sprintf("%s %d %v", k.Key, k.Siblings, !k.ExpiresAt.IsZero()))
			}
			if cursor = resp.Cursor; len(cursor) == 0 {
				return found
			}
		}
	}
	require.ElementsMatch(t, []string{"goes 1 true", "stays 2 false", "later 1 true"}, scan())
	r.pass(2 * time.Second)
	require.ElementsMatch(t, []string{"stays 2 false", "later 1 true"}, scan())
	r.pass(2 * time.Minute)
	require.ElementsMatch(t, []string{"stays 1 false", "later 1 true"}, scan())
}

// One wrong clock hides values from those who ask its node. It removes nothing.
func TestOneWrongClockRemovesNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", lasting(put("k", "v"), time.Hour))
	for _, wrong := range []time.Duration{24 * time.Hour, 200 * 365 * 24 * time.Hour} {
		r.nodes["n2"].shard.SetWall(wrong)
		r.passFor(5*time.Minute, time.Second)
		require.Equal(t, []string{"v"}, values(r.do("n1", get("k"))))
		require.Empty(t, r.do("n2", get("k")).Siblings)
	}
	require.Zero(t, r.nodes["n2"].shard.Stats().Expiries)
	// Nor does one that is far behind keep them for ever.
	r.nodes["n2"].shard.SetWall(time.Unix(0, 0).Sub(r.now))
	r.passFor(time.Hour, 10*time.Second)
	objects, _ := r.expiryRows()
	require.Zero(t, objects)
}

// A home that does the work may be away; then the next one does it.
func TestAnotherHomeEndsWhatTheFirstCannot(t *testing.T) {
	for _, away := range []string{"n1", "n2", "n3"} {
		r := newRig(t, 3, DefaultLimits())
		r.do("n1", lasting(put("k", "v"), time.Second))
		r.cut(away)
		limits := DefaultLimits()
		r.passFor(limits.ExpiryGrace+2*limits.ExpiryStagger+time.Minute, time.Second)
		objects, _ := r.expiryRows()
		require.Equal(t, 1, objects, "%s still has it, for it has no majority", away)
		r.heal()
		r.passFor(limits.ExpiryGrace+2*limits.ExpiryStagger+time.Minute, time.Second)
		objects, index := r.expiryRows()
		require.Zero(t, objects+index)
	}
}

// A start finds what expires by the index, also what expired while it was down.
func TestAStartEndsWhatExpiredMeanwhile(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	for i := range 2 * expiriesPerRound {
		require.Nil(t, r.do("n1", lasting(put(fmt.Sprint("key-", i), "v"), time.Second)).Err)
	}
	r.now = r.now.Add(time.Hour)
	for i, name := range r.names {
		r.boot(name, uint64(i+1)<<32|1, DefaultLimits())
	}
	for _, a := range r.names {
		for _, b := range r.names {
			if a != b {
				r.nodes[a].shard.SetLink(r.now, b, true)
			}
		}
	}
	r.passFor(10*time.Second, 10*time.Millisecond)
	objects, index := r.expiryRows()
	require.Zero(t, objects+index)
	r.idle()
}

// What a rebuild brings is ended when it expires, also where every home has it by a
// rebuild only, and no key is written after it.
func TestWhatARebuildBringsExpires(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	require.Nil(t, r.do("n1", lasting(put("key", "v"), time.Hour)).Err)
	for i, name := range r.names {
		r.wipe(name, uint64(i+1)<<32|1)
		r.rebuild(name, r.names[(i+1)%3])
		r.passFor(time.Minute, 10*time.Millisecond)
	}
	objects, index := r.expiryRows()
	require.Equal(t, 6, objects+index, "every home has it again")
	r.now = r.now.Add(time.Hour)
	r.passFor(2*time.Minute, 10*time.Millisecond)
	objects, index = r.expiryRows()
	require.Zero(t, objects+index)
	r.idle()
}

// A home whose disk is full ends nothing, and does not ask to be woken for it all
// the time; the others go on without it.
func TestAFullHomeEndsNothing(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	r.do("n1", lasting(put("k", "v"), time.Second))
	for _, n := range r.nodes {
		n.shard.SetFull(&kindred.Error{Code: kindred.CodeDiskFull})
	}
	r.pass(time.Hour)
	for _, n := range r.nodes {
		if at, ok := n.shard.Deadline(); ok {
			require.True(t, at.After(r.now))
		}
		require.Zero(t, n.shard.Stats().Expiries)
		n.shard.SetFull(nil)
	}
	r.passFor(2*time.Minute, time.Second)
	objects, _ := r.expiryRows()
	require.Zero(t, objects)
}

func TestAnExpiryThatCannotBeIsRefused(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	past, far := put("k", "v"), put("k", "v")
	past.ExpiresAt, far.ExpiresAt = r.now.Add(-time.Millisecond), time.Unix(kindred.ExpiryUnixMax+1, 0)
	both := lasting(put("k", "v"), time.Second)
	both.ExpiresAt = r.now.Add(time.Hour)
	for _, c := range []struct {
		field string
		q     kindred.Request
	}{
		{"expires_at", past}, {"expires_at", far}, {"ttl", both},
		{"ttl", lasting(del("k"), time.Second)}, {"ttl", lasting(put("k", "v"), time.Nanosecond)},
	} {
		err := r.do("n1", c.q).Err
		require.NotNil(t, err)
		require.Equal(t, kindred.CodeInvalid, err.Code)
		require.Equal(t, kindred.NotApplied, err.Outcome)
		require.Equal(t, c.field, err.Field)
	}
	soon := put("k", "v")
	soon.ExpiresAt = r.now.Add(time.Millisecond)
	require.Nil(t, r.do("n1", soon).Err)
}

// A clock's answer to an earlier question says nothing about this one (R10).
func TestAnOldClockCountsNowhere(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	var told []wire.TimeTell
	r.lose = func(_, _ string, m wire.Message) bool {
		if m, ok := m.(*wire.TimeTell); ok {
			told = append(told, *m)
		}
		return wire.KindOf(m) == wire.KindTimeTell
	}
	r.do("n1", lasting(put("k", "v"), time.Second))
	r.passFor(3*time.Minute, time.Second)
	require.NotEmpty(t, told)
	for _, n := range r.nodes {
		require.Zero(t, n.shard.Stats().Expiries, "no majority has spoken")
		for _, m := range told[:1] {
			for _, from := range r.names {
				n.shard.Message(r.now, from, &m)
			}
		}
		require.Zero(t, n.shard.Stats().Expiries)
	}
}

// The causes that a coordinator sees are stored with the write.
func TestAWriteKeepsItsCauses(t *testing.T) {
	r := newRig(t, 4, DefaultLimits())
	key, stranger := "k", ""
	homes := r.layout.Homes(r.layout.PartitionOf("b", key), 3)
	for _, n := range r.names {
		if n != homes[0] && n != homes[1] && n != homes[2] {
			stranger = n
		}
	}
	causes := func() (all []kindred.Causes) {
		for _, s := range r.do(homes[0], get(key)).Siblings {
			all = append(all, s.Causes)
		}
		return all
	}
	r.do(homes[0], put(key, "a"))
	require.Equal(t, []kindred.Causes{kindred.CauseBlind}, causes())
	again := put(key, "b")
	again.Resent = true
	r.do(homes[0], again)
	require.Contains(t, causes(), kindred.CauseBlind|kindred.CauseBeside|kindred.CauseRetry)
	context := r.do(homes[0], get(key)).Context
	r.do(stranger, seen(put(key, "c"), context))
	require.Equal(t, []kindred.Causes{kindred.CauseMerge | kindred.CauseForwarded}, causes())
	context = r.do(homes[0], get(key)).Context
	r.cut(homes[2])
	r.do(homes[0], seen(put(key, "d"), context))
	require.Equal(t, []kindred.Causes{kindred.CauseCut}, causes())
}

// One id on a put and on a delete of a key are two intentions: the delete is done.
func TestAnIdOfAPutServesADeleteToo(t *testing.T) {
	r := newRig(t, 3, DefaultLimits())
	id := kindred.RequestID{7}
	write, remove := put("k", "v"), del("k")
	write.RequestID, remove.RequestID = id, id
	first := r.do("n1", write)
	require.Nil(t, first.Err)
	removed := r.do("n2", remove)
	require.Nil(t, removed.Err)
	require.NotEqual(t, first.Receipt.Dot, removed.Receipt.Dot)
	require.Empty(t, r.do("n3", get("k")).Siblings)
	require.Equal(t, removed.Receipt.Dot, r.do("n3", remove).Receipt.Dot, "and a retry of it is a retry")
	require.Equal(t, first.Receipt.Dot, r.do("n3", write).Receipt.Dot)
	require.Empty(t, r.do("n3", get("k")).Siblings)
}
