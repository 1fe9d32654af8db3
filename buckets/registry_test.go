package buckets

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kindredkv/kindred"
)

var update = flag.Bool("update", false, "rewrite the golden bytes")

var epoch = time.UnixMilli(1_790_000_000_123).UTC()

func options(w kindred.Count) kindred.BucketOptions {
	return kindred.BucketOptions{W: w}.Complete(3)
}

func changed(t require.TestingT, r *Registry, bucket string, w kindred.Count, node string) *Registry {
	next, err := r.Change(bucket, options(w), node, epoch)
	if err != nil {
		require.NoError(t, err)
	}
	return next
}

// histories draws what several nodes did to their registries, some of them having
// heard of others in between: the registries that such a cluster can hold.
func histories(t *rapid.T) []*Registry {
	held := make([]*Registry, 4)
	for range rapid.IntRange(0, 20).Draw(t, "events") {
		i := rapid.IntRange(0, 3).Draw(t, "node")
		if rapid.Bool().Draw(t, "hears") {
			held[i], _ = held[i].Merge(held[rapid.IntRange(0, 3).Draw(t, "of")])
			continue
		}
		bucket := fmt.Sprintf("b%d", rapid.IntRange(0, 2).Draw(t, "bucket"))
		held[i] = changed(t, held[i], bucket, kindred.Count(rapid.IntRange(1, 3).Draw(t, "w")), fmt.Sprintf("n%d", i+1))
	}
	return held
}

// TestMergeIsAJoin is B1: order, repetition and grouping do not matter.
func TestMergeIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories(t)
		a, b, c := h[0], h[1], h[2]
		merge := func(x, y *Registry) *Registry { m, _ := x.Merge(y); return m }
		require.Equal(t, merge(a, b).Bytes(), merge(b, a).Bytes(), "commutative")
		require.Equal(t, merge(merge(a, b), c).Bytes(), merge(a, merge(b, c)).Bytes(), "associative")
		require.Equal(t, a.Bytes(), merge(a, a).Bytes(), "idempotent")
		require.Equal(t, merge(a, b).Bytes(), merge(merge(a, b), a).Bytes(), "what was heard twice")
	})
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, r := range histories(t) {
			back, err := Decode(r.Bytes())
			require.NoError(t, err)
			require.Equal(t, r.Bytes(), back.Bytes())
			require.Equal(t, r.Hash(), back.Hash())
			require.Equal(t, r.Buckets(), back.Buckets())
		}
	})
}

// TestOnlyConcurrentChangesAreRivals is B3: who has seen a change and makes another
// one competes with nobody.
func TestOnlyConcurrentChangesAreRivals(t *testing.T) {
	first := changed(t, nil, "carts", 1, "n1")
	second := changed(t, first, "carts", 2, "n2")
	third := changed(t, second, "carts", 3, "n1")
	for _, later := range []*Registry{second, third} {
		merged, rivals := first.Merge(later)
		require.Empty(t, rivals)
		require.Equal(t, later.Bytes(), merged.Bytes())
		_, rivals = later.Merge(first)
		require.Empty(t, rivals)
	}

	elsewhere := changed(t, first, "carts", 1, "n3") // changes nothing, so is no change
	require.Equal(t, first.Bytes(), elsewhere.Bytes())
	elsewhere = changed(t, first, "carts", kindred.CountAll, "n3")
	merged, rivals := third.Merge(elsewhere)
	require.Len(t, rivals, 1)
	require.Equal(t, third.Bytes(), merged.Bytes(), "the longer history goes on")
	require.Equal(t, `bucket "carts" was changed on two sides of a cut: n=3 r=quorum w=3 sloppy=true siblings=keep durability=batch max-value-bytes=8388608 ttl=none goes on (by n1), `+
		`n=3 r=quorum w=all sloppy=true siblings=keep durability=batch max-value-bytes=8388608 ttl=none is dropped (by n3); if that is not what you want, set its options again`, rivals[0].String())
	_, back := elsewhere.Merge(third)
	require.Equal(t, rivals, back, "both sides say the same")

	same := changed(t, first, "carts", 2, "n4")
	_, rivals = same.Merge(second)
	require.Empty(t, rivals, "two who want the same do not quarrel")
}

func TestThePastOfAnEntryIsBounded(t *testing.T) {
	var r *Registry
	for i := range 3 * PastMax {
		r = changed(t, r, "b", kindred.Count(1+i%2), fmt.Sprintf("n%d", i))
	}
	require.Len(t, r.entry("b").Past, PastMax)
	require.Equal(t, Version{3*PastMax - 1, fmt.Sprintf("n%d", 3*PastMax-2)}, r.entry("b").Past[0])
	_, err := Decode(r.Bytes())
	require.NoError(t, err)
}

// TestThereIsALimitOfBuckets is B4.
func TestThereIsALimitOfBuckets(t *testing.T) {
	entries := map[string]*Entry{}
	for i := range kindred.BucketsMax {
		name := fmt.Sprintf("b%d", i)
		entries[name] = &Entry{Bucket: name, Options: options(1), Version: Version{1, "n1"}}
	}
	full := newRegistry(entries)
	_, err := full.Change("one-more", options(1), "n1", epoch)
	require.EqualError(t, err, "invalid: the cluster has its limit of 1000 buckets with options of their own: use one of them, or a bucket with the defaults, which needs no creation")
	require.Equal(t, int64(kindred.BucketsMax), err.Limit)
	_, err = full.Change("b7", options(2), "n1", epoch)
	require.Nil(t, err, "a bucket that is there can be changed")
	other := changed(t, nil, "one-more", 1, "n2")
	merged, _ := full.Merge(other)
	require.Equal(t, kindred.BucketsMax+1, merged.Len(), "what another side has created is not lost")

	entries = map[string]*Entry{}
	for i := range EntriesMax + 1 {
		name := fmt.Sprintf("b%d", i)
		entries[name] = &Entry{Bucket: name, Options: options(1), Version: Version{1, "n1"}}
	}
	_, bad := Decode(newRegistry(entries).Bytes())
	require.EqualError(t, bad, "unreadable bucket registry: 16001 buckets, the limit is 16000")
}

// sample has every field set.
func sample() *Registry {
	e := Entry{
		Bucket: "carts",
		Options: kindred.BucketOptions{
			N: 3, R: kindred.CountAll, W: 2, Sloppy: kindred.Strict, Siblings: kindred.SiblingsLWW,
			Durability: kindred.Sync, ValueBytesMax: 4096, TTL: 90 * time.Minute,
		},
		Version: Version{300, "n2"}, At: epoch.UnixMilli(), Past: []Version{{299, "n1"}, {12, "n3"}},
	}
	return changed(nil, newRegistry(map[string]*Entry{"carts": &e}), "é", 1, "n1")
}

// TestGolden holds the format to the bytes that other versions read. A change of
// it needs a new format byte.
func TestGolden(t *testing.T) {
	got := hex.EncodeToString(sample().Bytes())
	if *update {
		require.NoError(t, os.WriteFile("testdata/registry.hex", []byte(got+"\n"), 0o644))
	}
	want, err := os.ReadFile("testdata/registry.hex")
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(want)), got)
}

func TestUnreadableBytesAreNamed(t *testing.T) {
	whole := sample().Bytes()
	for i := range whole {
		_, err := Decode(whole[:i])
		require.ErrorContains(t, err, "unreadable bucket registry", "cut at %d", i)
	}
	_, err := Decode(append(append([]byte{}, whole...), 0))
	require.EqualError(t, err, "unreadable bucket registry: 1 bytes left over")
	_, err = Decode([]byte{7})
	require.EqualError(t, err, "unreadable bucket registry: format version 7, this program knows 1: upgrade the older node")
	for name, spoil := range map[string]func(e *Entry){
		"has incomplete options":   func(e *Entry) { e.Options.R = 0 },
		"w=4, but":                 func(e *Entry) { e.Options.W = 4 },
		"has the version 0":        func(e *Entry) { e.Version.Counter = 0 },
		"the bucket name is empty": func(e *Entry) { e.Bucket = "" },
		"time to live":             func(e *Entry) { e.Options.TTL = kindred.BucketTTLMax + 1 },
		"a past of 65 nodes":       func(e *Entry) { e.Past = make([]Version, PastMax+1) },
	} {
		e := *sample().entry("carts")
		spoil(&e)
		_, err := Decode(newRegistry(map[string]*Entry{e.Bucket: &e}).Bytes())
		require.ErrorContains(t, err, name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Bytes())
	f.Add([]byte{Format, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Decode(r.Bytes())
		require.NoError(t, err)
		require.Equal(t, r.Bytes(), again.Bytes())
		merged, _ := r.Merge(sample())
		other, _ := sample().Merge(r)
		require.Equal(t, merged.Bytes(), other.Bytes())
	})
}
