package history

import (
	"bytes"
	"encoding/base64"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	kindred "github.com/kindredkv/kindred"
)

var updateGolden = flag.Bool("update", false, "write the golden files of EDN again")

func inEDN(t testing.TB, h History, form Form) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, h.WriteEDN(&b, form))
	return b.String()
}

// cart is a short history of the workload set: two clients add to a cart, each beside
// the other; one does not hear how an add ended and goes on.
func cart() History {
	op := func(process int, kind Kind, from, to time.Duration, outcome kindred.Outcome, rest Op) Op {
		rest.Outcome, rest.Process, rest.Kind, rest.Invoke, rest.Complete, rest.Bucket, rest.Key = outcome, process, kind, from, to, "carts", "alice"
		return rest
	}
	const ok, refused, unknown = kindred.Applied, kindred.NotApplied, kindred.Unknown
	return History{Header: Header{Workload: "set"}, Ops: []Op{
		op(0, Get, 0, 10, ok, Op{}),
		op(1, Get, 5, 10, ok, Op{}),
		op(0, Put, 10, 20, ok, Op{Write: 1}),
		op(1, Put, 12, 30, unknown, Op{Write: 2, Error: "timeout: 1 of 2"}),
		op(0, Get, 21, 25, ok, Op{Siblings: []Sibling{{Write: 1}, {Write: 2}}}),
		op(0, Put, 26, 40, ok, Op{Write: 3, Seen: []WriteID{1, 2}}),
		op(1, Put, 31, 40, refused, Op{Write: 4, Seen: []WriteID{2}, Error: "n2 refuses"}),
		op(1, Put, 41, 41, ok, Op{Write: 5, Seen: []WriteID{3}}),
		op(1, Get, 41, 50, unknown, Op{}),
		op(2, Get, 60, 70, ok, Op{Siblings: []Sibling{{Write: 5, Set: []WriteID{1, 2, 3, 5}}}, Final: true}),
	}}
}

// TestGoldenEDN holds the forms still: others read them.
func TestGoldenEDN(t *testing.T) {
	for _, form := range Forms() {
		file := filepath.Join("testdata", string(form)+".edn")
		if *updateGolden {
			require.NoError(t, os.WriteFile(file, []byte(inEDN(t, cart(), form)), 0o644))
		}
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, string(want), inEDN(t, cart(), form))
	}
}

// A value that does not hold what its writer had put into it is what the checkers of
// others are to find: the set of a read is what was found, where that is known.
func TestASetInEDNIsWhatWasFound(t *testing.T) {
	put := func(process int, w WriteID, seen ...WriteID) Op {
		return Op{Process: process, Invoke: time.Duration(w), Complete: time.Duration(w), Kind: Put, Bucket: "set", Key: "k", Write: w, Seen: seen, Outcome: kindred.Applied}
	}
	read := Op{Invoke: 9, Complete: 9, Kind: Get, Bucket: "set", Key: "k", Outcome: kindred.Applied, Siblings: []Sibling{{Write: 2}}}
	h := History{Ops: []Op{put(0, 1), put(1, 2, 1), read}}
	require.Contains(t, inEDN(t, h, FormSet), ":f :read, :value [1 2]}")
	h.Ops[2].Final, h.Ops[2].Siblings = true, []Sibling{{Write: 2, Set: []WriteID{2}}}
	require.Contains(t, inEDN(t, h, FormSet), ":f :read, :value [2]}")
}

// Everything of every op can be read again, by somebody who knows EDN alone.
func TestOpsInEDNSayEverything(t *testing.T) {
	for _, h := range []History{full(), cart()} {
		var got []Op
		var began []map[keyword]any
		for _, v := range readEDN(t, inEDN(t, h, FormOps)) {
			m := v.(map[keyword]any)
			if m["type"] == keyword("invoke") {
				began = append(began, m)
				continue
			}
			i := slices.IndexFunc(began, func(b map[keyword]any) bool { return b["process"] == m["process"] })
			got = append(got, opOf(t, began[i], m))
			began = slices.Delete(began, i, i+1)
		}
		require.Empty(t, began)
		require.ElementsMatch(t, h.Ops, got)
	}
}

func opOf(t *testing.T, begin, end map[keyword]any) Op {
	number := func(v any) uint64 {
		n, err := strconv.ParseUint(v.(string), 10, 64)
		require.NoError(t, err)
		return n
	}
	ids := func(v any) (ids []WriteID) {
		if v != nil {
			for _, id := range v.([]any) {
				ids = append(ids, WriteID(number(id)))
			}
		}
		return ids
	}
	text := func(k keyword) string { s, _ := end[k].(string); return s }
	count := func(k keyword) int {
		if end[k] == nil {
			return 0
		}
		return int(number(end[k]))
	}
	raw := func(k keyword) []byte {
		b, err := base64.StdEncoding.DecodeString(text(k))
		require.NoError(t, err)
		return b
	}
	op := Op{
		Process: count("client"), Invoke: time.Duration(number(begin["time"])), Complete: time.Duration(number(end["time"])),
		Kind: Kind(slices.Index(kinds[:], string(end["f"].(keyword)))), Bucket: text("bucket"), Key: text("key"),
		Seen: ids(end["seen"]), Dot: text("dot"), Node: text("node"), Error: text("error"),
		N: count("n"), Need: count("need"), Attempts: count("attempts"), Sloppy: end["sloppy"] == true, Final: end["final"] == true,
	}
	if len(raw("context")) > 0 {
		op.Context = raw("context")
	}
	if end["key64"] != nil {
		op.Key = string(raw("key64"))
	}
	if op.IsWrite() {
		op.Write = WriteID(number(end["value"]))
	}
	op.Outcome = outcomes[slices.IndexFunc(outcomes[:], func(o kindred.Outcome) bool { return o.String() == text("outcome") })]
	if siblings, some := end["siblings"].([]any); some {
		for _, v := range siblings {
			s := v.(map[keyword]any)
			dot, _ := s["dot"].(string)
			op.Siblings = append(op.Siblings, Sibling{Write: WriteID(number(s["write"])), Dot: dot, Set: ids(s["set"])})
		}
	}
	return op
}

// What Jepsen demands of a history: indices without gaps, time that does not go back,
// processes that do one thing at a time and end with an op of unknown outcome.
func TestEveryFormIsAHistoryOfJepsen(t *testing.T) {
	for _, form := range Forms() {
		open, dead := map[any]any{}, map[any]bool{}
		last := ""
		for i, v := range readEDN(t, inEDN(t, cart(), form)) {
			m := v.(map[keyword]any)
			require.Equal(t, strconv.Itoa(i), m["index"], form)
			at := m["time"].(string)
			require.True(t, len(last) < len(at) || len(last) == len(at) && last <= at, "%s: %s after %s", form, at, last)
			last = at
			p := m["process"]
			require.False(t, dead[p], "%s: process %v goes on after it has ended", form, p)
			require.Contains(t, m, keyword("value"))
			if m["type"] == keyword("invoke") {
				require.Nil(t, open[p], "%s: process %v does two things at a time", form, p)
				open[p] = m["f"]
				continue
			}
			require.Contains(t, []any{keyword("ok"), keyword("fail"), keyword("info")}, m["type"])
			require.Equal(t, m["f"], open[p])
			open[p] = nil
			dead[p] = m["type"] == keyword("info")
		}
		require.Contains(t, dead, "1", form)
	}
}

// At one moment ops begin before those of others end, or a checker would think that
// one was over when the other began.
func TestAtOneMomentOpsOverlap(t *testing.T) {
	h := History{Ops: []Op{
		{Process: 0, Invoke: 0, Complete: 10, Kind: Get, Bucket: "b", Key: "k"},
		{Process: 1, Invoke: 10, Complete: 10, Kind: Get, Bucket: "b", Key: "k"},
		{Process: 0, Invoke: 10, Complete: 20, Kind: Get, Bucket: "b", Key: "k"},
	}}
	var order []any
	for _, v := range readEDN(t, inEDN(t, h, FormOps)) {
		m := v.(map[keyword]any)
		order = append(order, m["process"].(string)+" "+string(m["type"].(keyword)))
	}
	require.Equal(t, []any{"0 invoke", "1 invoke", "0 fail", "1 fail", "0 invoke", "0 fail"}, order)
}

func TestOnlyOneObject(t *testing.T) {
	h := full()
	one := h.Only(ID{"carts", "alice"})
	require.Equal(t, History{Header: h.Header, Ops: h.Ops[:1]}, one)
	inEDN(t, one, FormSet)
}

func TestWhatAFormCannotHoldIsRefused(t *testing.T) {
	two := History{Ops: []Op{
		{Process: 1, Complete: 5, Kind: Get, Bucket: "b", Key: "k"},
		{Process: 1, Invoke: 4, Complete: 6, Kind: Get, Bucket: "b", Key: "k"},
	}}
	keys := cart()
	keys.Ops[3].Key = "bob"
	deleted := full()
	bad := History{Ops: []Op{{Kind: Put, Bucket: "b", Key: "k"}}}
	for _, tt := range []struct {
		h    History
		form Form
		want string
	}{
		{two, FormOps, "process 1 begins op 1 before op 0 has ended"},
		{keys, FormSet, "op 3 is of carts/bob and op 0 of carts/alice"},
		{deleted, FormRegister, "op 2 is a delete"},
		{bad, FormOps, "op 0: invariant H3"},
		{cart(), "json", `"json" is not a form: use one of [ops set register]`},
	} {
		require.ErrorContains(t, tt.h.WriteEDN(io.Discard, tt.form), tt.want)
	}
}

func TestEDNWriteErrorIsPassedOn(t *testing.T) {
	h := cart()
	require.ErrorIs(t, h.WriteEDN(brokenDisk{}, FormOps), os.ErrClosed)
}

type brokenDisk struct{}

func (brokenDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestExportsAreWhatTheHistoryFits(t *testing.T) {
	names := func(h History) (names []string) {
		files, err := h.Exports("x")
		require.NoError(t, err)
		for name := range files {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	h := cart()
	h.Ops[9].Key = "a/b" // a key is no folder
	require.Equal(t, []string{"x.a%2Fb.set.edn", "x.alice.set.edn", "x.edn", "x.register.edn"}, names(h))
	h.Header.Workload = "blind"
	require.Equal(t, []string{"x.edn", "x.register.edn"}, names(h))
	h.Header.Workload = "blind+" + Expiring
	require.Equal(t, []string{"x.edn"}, names(h))
	require.Equal(t, []string{"x.edn"}, names(full()), "it deletes")
	_, err := (&History{Ops: []Op{{}}}).Exports("x")
	require.ErrorContains(t, err, "H1")
}
