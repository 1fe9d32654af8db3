package storage

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func changesOf(t require.TestingT, b *Batch) (changes []string) {
	require.NoError(t, b.Each(func(op Op) error {
		changes = append(changes, fmt.Sprintf("%d %q %q", op.Kind, op.Key, op.Value))
		return nil
	}))
	return changes
}

func TestBatch_ShowsWhatWasAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Batch
		var added []string
		for range rapid.IntRange(0, 20).Draw(t, "changes") {
			key := rapid.SliceOf(rapid.Byte()).Draw(t, "key")
			value := rapid.SliceOf(rapid.Byte()).Draw(t, "value")
			switch kind := rapid.SampledFrom([]OpKind{OpSet, OpDelete, OpDeleteRange}).Draw(t, "kind"); kind {
			case OpSet:
				b.Set(key, value)
				added = append(added, fmt.Sprintf("%d %q %q", kind, key, value))
			case OpDelete:
				b.Delete(key)
				added = append(added, fmt.Sprintf("%d %q %q", kind, key, ""))
			default:
				b.DeleteRange(key, append(key, 0))
				added = append(added, fmt.Sprintf("%d %q %q", kind, key, append(key, 0)))
			}
		}
		require.Equal(t, added, changesOf(t, &b))
		require.Equal(t, len(added), b.Len())
	})
}

func TestBatch_CopiesWhatItIsGiven(t *testing.T) {
	var b Batch
	key, value := []byte("key"), []byte("value")
	b.Set(key, value)
	copy(key, "xxx")
	copy(value, "xxxxx")
	require.Equal(t, []string{`1 "key" "value"`}, changesOf(t, &b))
}

func TestBatch_EmptyRangesAreNotRecorded(t *testing.T) {
	var b Batch
	b.DeleteRange([]byte("b"), []byte("a"))
	b.DeleteRange([]byte("b"), []byte("b"))
	b.DeleteRange([]byte("b"), nil)
	require.Zero(t, b.Len())
	require.Zero(t, b.Bytes())
}

func TestBatch_EachStopsAtAnError(t *testing.T) {
	var b Batch
	b.Delete([]byte("a"))
	b.Delete([]byte("b"))
	stop, seen := errors.New("stop"), 0
	require.ErrorIs(t, b.Each(func(Op) error { seen++; return stop }), stop)
	require.Equal(t, 1, seen)
}

func TestBatch_Essential(t *testing.T) {
	var b Batch
	b.Delete([]byte("a"))
	require.True(t, b.Essential(), "only deletes")
	b.Set([]byte("a"), nil)
	require.False(t, b.Essential())
	b.MarkEssential()
	require.True(t, b.Essential())
	b.Reset()
	b.Set([]byte("a"), nil)
	require.False(t, b.Essential(), "the mark goes with a reset")
}

func TestBatch_Limits(t *testing.T) {
	var b Batch
	require.NoError(t, b.Check())
	large := make([]byte, 64<<20)
	for range BatchBytesMax / len(large) {
		require.NoError(t, b.Check())
		b.Set([]byte("k"), large)
	}
	require.EqualError(t, b.Check(), fmt.Sprintf(
		"storage: a batch of %d bytes is over the limit of 268435456 bytes: split it", b.Bytes()))
	b = Batch{}
	b.DeleteRange([]byte("a"), append([]byte("b"), make([]byte, KeyBytesMax)...))
	require.ErrorContains(t, b.Check(), "storage: a key of 8193 bytes is over the limit of 8192 bytes")
}

func TestBatch_ReuseAllocatesNothing(t *testing.T) {
	var b Batch
	key, value := []byte("key"), make([]byte, 100)
	seen := 0
	visit := func(op Op) error { seen += len(op.Value); return nil }
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b.Reset()
		for range 10 {
			b.Set(key, value)
			b.Delete(key)
		}
		_ = b.Each(visit)
	}))
}

func TestErrors_SayTheThingAndTheFix(t *testing.T) {
	cause := errors.New("checksum mismatch")
	for want, err := range map[string]error{
		`storage: row "o\x00" in db/7.sst is damaged (checksum mismatch): repair it from other replicas; if damage grows, replace the disk`:                                                                   &CorruptError{Key: []byte("o\x00"), File: "db/7.sst", Cause: cause},
		`storage: cannot open /d: db/7.log is damaged (checksum mismatch): move the folder aside, keep it, and start with an empty one; the node then rebuilds from its peers`:                                &DamagedError{Dir: "/d", File: "db/7.log", Cause: cause},
		`storage: the disk of /d is full: 3 MiB free, 257 MiB needed: free space on it or give it more; writes resume by themselves`:                                                                          &FullError{Dir: "/d", FreeBytes: 3 << 20, NeedBytes: 256<<20 + 1},
		`storage: /d is in use by process 7 on h: one folder belongs to one node; stop that one or give this one a folder of its own`:                                                                         &LockedError{Dir: "/d", Holder: "process 7 on h"},
		`storage: /d has the format "kindred-store 9", this program reads "kindred-store 1": start it with the version that wrote it, or give it another folder`:                                              &FormatError{Dir: "/d", Have: `"kindred-store 9"`, Want: `"kindred-store 1"`},
		`storage: the store in /d failed and takes no more writes (checksum mismatch): check the disk, then restart the node`:                                                                                 &FailedError{Dir: "/d", Cause: cause},
		`storage: row "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"… (90 bytes) in an unknown file is damaged (<nil>): repair it from other replicas; if damage grows, replace the disk`: &CorruptError{Key: []byte(fmt.Sprintf("%090d", 0))},
	} {
		if long := (*CorruptError)(nil); errors.As(err, &long) && len(long.Key) > 64 {
			for i := range long.Key {
				long.Key[i] = 'x'
			}
		}
		require.EqualError(t, err, want)
	}
}

func TestBatch_ShowsWhatWasAddedSince(t *testing.T) {
	var b Batch
	b.Set([]byte("a"), []byte("1"))
	before := b.Bytes()
	b.Delete([]byte("b"))
	var keys []string
	require.NoError(t, b.EachSince(before, func(op Op) error {
		keys = append(keys, string(op.Key))
		return nil
	}))
	require.Equal(t, []string{"b"}, keys)
}
