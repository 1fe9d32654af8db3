package workload

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	kindred "github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/jepsen/history"
)

// memory is a store of one copy in which every operation succeeds at once. The
// context of a read names the key and the versions that were there.
type memory struct {
	t    *testing.T
	live map[string][]Found
	next int
}

func (m *memory) carryOut(i Intent) Result {
	if i.Kind != history.Get {
		seen := m.read(i)
		m.live[i.Key] = slices.DeleteFunc(m.live[i.Key], func(f Found) bool { return slices.Contains(seen, f.Dot) })
		m.next++
		dot := fmt.Sprintf("d%d", m.next)
		if i.Kind == history.Put {
			m.live[i.Key] = append(m.live[i.Key], Found{Value: i.Value, Dot: dot})
		}
		return Result{Outcome: kindred.Applied, Context: []byte(i.Key + " " + dot), Dot: dot}
	}
	r := Result{Outcome: kindred.Applied, Siblings: slices.Clone(m.live[i.Key])}
	context := i.Key
	for _, f := range r.Siblings {
		context += " " + f.Dot
	}
	r.Context = []byte(context)
	return r
}

// read checks L2: the context belongs to the key, and what was visible there is
// what the intent says.
func (m *memory) read(i Intent) []string {
	if len(i.Context) == 0 {
		require.Empty(m.t, i.Seen, "a blind write has seen nothing")
		return nil
	}
	words := strings.Fields(string(i.Context))
	require.Equal(m.t, i.Key, words[0], "the context of another key was passed on")
	require.Len(m.t, i.Seen, len(words)-1)
	return words[1:]
}

// work lets some clients take turns for a while and returns what each did.
func work(t *testing.T, kind Kind, seed uint64, clients, rounds int) [][]Intent {
	store := &memory{t: t, live: map[string][]Found{}}
	cfg := Config{Bucket: "b", Keys: 4, Nodes: 3, SetElements: 30}
	did := make([][]Intent, clients)
	var all []*Client
	for n := range clients {
		c, err := NewClient(kind, cfg, n, rand.New(rand.NewPCG(seed, uint64(n))))
		require.NoError(t, err)
		all = append(all, c)
	}
	last := make([]Result, clients)
	for range rounds {
		for n, c := range all {
			i := c.Next(last[n])
			did[n] = append(did[n], i)
			last[n] = store.carryOut(i)
		}
	}
	return did
}

func TestSameSeedSameRun(t *testing.T) {
	for _, kind := range Kinds() {
		require.Equal(t, work(t, kind, 7, 3, 200), work(t, kind, 7, 3, 200), kind)
		require.NotEqual(t, work(t, kind, 7, 3, 200), work(t, kind, 8, 3, 200), kind)
	}
}

func TestWriteIDsAreUniqueAndInTheirValues(t *testing.T) {
	for _, kind := range Kinds() {
		ids := map[history.WriteID]bool{}
		for _, did := range work(t, kind, 1, 5, 300) {
			for _, i := range did {
				if !i.IsWrite() {
					continue
				}
				require.False(t, ids[i.Write], "%s: w%d twice", kind, i.Write)
				ids[i.Write] = true
				if i.Kind == history.Put {
					id, _, err := ParseValue(i.Value)
					require.NoError(t, err)
					require.Equal(t, i.Write, id)
				}
			}
		}
	}
}

// share counts how many of the intents are as asked, in percent.
func share(did [][]Intent, is func(Intent) bool) int {
	n, all := 0, 0
	for _, i := range slices.Concat(did...) {
		all++
		if is(i) {
			n++
		}
	}
	return 100 * n / all
}

func blindPut(i Intent) bool { return i.Kind == history.Put && len(i.Seen) == 0 }

func TestSetsGrowByMerging(t *testing.T) {
	did := work(t, Set, 1, 4, 400)
	most := 0
	for _, i := range slices.Concat(did...) {
		if i.Kind == history.Put {
			_, set, err := ParseValue(i.Value)
			require.NoError(t, err)
			require.Contains(t, set, i.Write, "a writer adds its own element")
			for _, s := range i.Seen {
				require.Contains(t, set, s, "and keeps what it has read")
			}
			most = max(most, len(set))
		}
	}
	require.Equal(t, 30, most, "a set grows to its limit and not beyond")
	require.Zero(t, share(did, func(i Intent) bool { return i.Kind == history.Delete }))
}

func TestBlindWritersMergeBeforeSiblingsPileUp(t *testing.T) {
	did := work(t, Blind, 1, 4, 500)
	require.Greater(t, share(did, blindPut), 60)
	merges := 0
	for _, i := range slices.Concat(did...) {
		require.Less(t, len(i.Seen), 4*SiblingsHigh)
		if len(i.Seen) >= SiblingsHigh {
			merges++
		}
	}
	require.Positive(t, merges)
}

func TestRegistersUseOldContextsNowAndThen(t *testing.T) {
	did := work(t, Register, 1, 4, 500)
	require.Greater(t, share(did, func(i Intent) bool { return i.Kind == history.Put && len(i.Seen) > 0 }), 40)
	old := 0
	for _, mine := range did {
		for n, i := range mine {
			if n > 0 && i.Kind == history.Put && len(i.Seen) > 0 && i.Key != mine[n-1].Key {
				old++
			}
		}
	}
	require.Positive(t, old)
}

func TestRecreateDeletesAndWritesAgain(t *testing.T) {
	did := work(t, Recreate, 1, 4, 500)
	require.Greater(t, share(did, func(i Intent) bool { return i.Kind == history.Delete && len(i.Context) > 0 }), 20)
	require.Greater(t, share(did, blindPut), 5)
	require.Greater(t, share(did, func(i Intent) bool { return i.Kind == history.Put && len(i.Context) > 0 }), 5)
	require.Zero(t, share(did, func(i Intent) bool { return i.Kind == history.Delete && len(i.Context) == 0 }))
}

func TestSessionsChangeNodeEachTimeAndReadBack(t *testing.T) {
	for _, mine := range work(t, Sessions, 1, 4, 300) {
		back := 0
		for n := 1; n < len(mine); n++ {
			require.NotEqual(t, mine[n-1].Node, mine[n].Node)
			if mine[n-1].IsWrite() && mine[n].Kind == history.Get && mine[n].Key == mine[n-1].Key {
				back++
			}
		}
		require.Greater(t, back, 60)
	}
}

// TestFailuresMakeClientsReadAgain: after an unknown outcome nobody may go on
// with a context that he does not have.
func TestFailuresMakeClientsReadAgain(t *testing.T) {
	for _, kind := range []Kind{Set, Register, Recreate, Sessions} {
		c, err := NewClient(kind, Config{Bucket: "b", Keys: 1, Nodes: 2}, 0, rand.New(rand.NewPCG(1, 1)))
		require.NoError(t, err)
		for range 100 {
			i := c.Next(Result{Outcome: kindred.Unknown, Context: []byte("leftover")})
			require.Equal(t, history.Get, i.Kind, kind)
		}
	}
}

func TestForeignValuesAreRecordedAsSuch(t *testing.T) {
	i := Intent{Kind: history.Get, Bucket: "b", Key: "k", Final: true}
	op := i.Begin(3, time.Second)
	r := Result{
		Outcome: kindred.Applied, N: 3, Need: 2, Attempts: 1, Node: "n1",
		Siblings: []Found{{Value: Value(7, []history.WriteID{5, 7}), Dot: "d1"}, {Value: []byte("hello"), Dot: "d2"}},
	}
	r.End(&op, 2*time.Second)
	require.NoError(t, op.Check())
	require.Equal(t, []history.Sibling{{Write: 7, Dot: "d1", Set: []history.WriteID{5, 7}}, {Write: Foreign, Dot: "d2"}}, op.Siblings)
	require.Equal(t, 2*time.Second, op.Complete)

	failed := i.Begin(3, 0)
	r.Outcome = kindred.Unknown
	r.End(&failed, 1)
	require.Empty(t, failed.Siblings, "a get that failed found nothing")
	require.NoError(t, failed.Check())
}

func TestFinalReadsAskEveryNodeForEveryKey(t *testing.T) {
	reads := Config{Bucket: "b", Keys: 2, Nodes: 3}.FinalReads()
	require.Len(t, reads, 6)
	require.Equal(t, Intent{Kind: history.Get, Bucket: "b", Key: "key-1", Node: 2, Final: true}, reads[5])
}

func TestBadSettingsAreNamed(t *testing.T) {
	good := Config{Bucket: "b", Keys: 1, Nodes: 1}
	for _, tt := range []struct {
		want   string
		kind   Kind
		number int
		spoil  func(*Config)
	}{
		{"the bucket is empty", Set, 0, func(c *Config) { c.Bucket = "" }},
		{"0 keys", Set, 0, func(c *Config) { c.Keys = 0 }},
		{"0 nodes", Set, 0, func(c *Config) { c.Nodes = 0 }},
		{"-1 set elements", Set, 0, func(c *Config) { c.SetElements = -1 }},
		{"client -1", Set, -1, func(*Config) {}},
		{"client 1073741824", Set, ClientsMax, func(*Config) {}},
		{`"sets" is not a workload: use one of [set blind register recreate sessions]`, "sets", 0, func(*Config) {}},
	} {
		cfg := good
		tt.spoil(&cfg)
		_, err := NewClient(tt.kind, cfg, tt.number, rand.New(rand.NewPCG(1, 1)))
		require.ErrorContains(t, err, tt.want)
	}
}

// TestDamagedBytesAreNoticed flips every bit of a value.
func TestDamagedBytesAreNoticed(t *testing.T) {
	value := Value(4294967297, []history.WriteID{3, 5, 4294967297})
	require.Equal(t, "4294967297;3 5 4294967297;28eb2a58", string(value))
	for i := range value {
		for bit := range 8 {
			damaged := bytes.Clone(value)
			damaged[i] ^= 1 << bit
			_, _, err := ParseValue(damaged)
			require.Error(t, err, "%q", damaged)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	f.Add(Value(1, nil))
	f.Add(Value(7, []history.WriteID{3, 5, 7}))
	f.Add([]byte("1;;"))
	f.Add([]byte("0;+1  2;00000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, set, err := ParseValue(b)
		if err == nil {
			require.Equal(t, b, Value(id, set), "one value has one form")
		}
	})
}
