package history

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	kindred "github.com/kindredkv/kindred"
)

// full is an op of each kind with every field in use.
func full() History {
	return History{
		Header: Header{Workload: "set", Seed: 42, Note: "n2 was cut off <twice>"},
		Ops: []Op{
			{
				Process: 3, Invoke: time.Second, Complete: time.Second + 1, Kind: Put, Bucket: "carts", Key: "alice",
				Write: 7, Seen: []WriteID{5, 6}, Context: []byte{0, 255}, Outcome: kindred.Unknown, Dot: "a:1",
				N: 3, Need: 2, Sloppy: true, Attempts: 2, Node: "n1", Error: "timeout: 1 of 2",
			},
			{
				Process: 4, Invoke: 2, Complete: 3, Kind: Get, Bucket: "carts", Key: "\xff\x00", Outcome: kindred.Applied,
				Siblings: []Sibling{{Write: 7, Dot: "a:1", Set: []WriteID{5, 7}}, {Write: 8}}, N: 3, Need: 3, Final: true,
			},
			{Process: 5, Kind: Delete, Bucket: "carts", Key: "<&>", Write: 9, Outcome: kindred.NotApplied},
		},
	}
}

func written(t testing.TB, h History) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, h.Write(&b))
	return b.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	got, err := Read(bytes.NewReader(written(t, full())))
	require.NoError(t, err)
	require.Equal(t, full(), got)
}

// TestGolden holds the file's form still. To change it, raise Version.
func TestGolden(t *testing.T) {
	file := filepath.Join("testdata", "v1.jsonl")
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(written(t, full())))
}

func TestBadFilesAreRefusedWithTheirLine(t *testing.T) {
	const header = `{"kindred_history":1}` + "\n"
	const get = `{"p":1,"i":0,"c":0,"k":"get","b":"b","key":"k","o":"applied"}` + "\n"
	for _, tt := range []struct{ name, file, want string }{
		{"empty", "", "line 1: the file is empty"},
		{"something else", "{}\n", "line 1: this is not a history"},
		{"later version", `{"kindred_history":2}` + "\n", "line 1: version 2 is not known here"},
		{"unknown field", header + `{"p":1,"x":1}` + "\n", "line 2: json: unknown field"},
		{"not JSON", header + get + "hello\n", "line 3: invalid character"},
		{"two values on a line", header + strings.TrimSpace(get) + "{}\n", "line 2: there is more than one value"},
		{"torn off", header + get + get[:20], "line 3: the line does not end"},
		{"unknown kind", header + strings.Replace(get, `"get"`, `"cas"`, 1), `line 2: "cas" is not a kind`},
		{"unknown outcome", header + strings.Replace(get, `"applied"`, `"maybe"`, 1), `line 2: "maybe" is not an outcome`},
		{"two keys", header + strings.Replace(get, `"key":"k"`, `"key":"k","key64":"aw=="`, 1), "line 2: the op has both"},
		{"blank line", header + "\n" + get, "line 2: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(tt.file))
			var format *FormatError
			require.ErrorAs(t, err, &format)
			require.Contains(t, err.Error(), tt.want)
		})
	}
}

func TestTornFileKeepsWhatStoodBefore(t *testing.T) {
	file := written(t, full())
	h, err := Read(bytes.NewReader(file[:len(file)-2]))
	require.ErrorContains(t, err, "torn off")
	require.Equal(t, full().Ops[:2], h.Ops)
}

func TestLineHasALimit(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"kindred_history":1}`+"\n"), &repeat{'x'})
	_, err := Read(endless)
	require.ErrorContains(t, err, "line 2: the line is longer than 16777216 bytes")
}

type repeat struct{ b byte }

func (r *repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.b
	}
	return len(p), nil
}

func TestReadErrorIsPassedOn(t *testing.T) {
	broken := errors.New("broken disk")
	_, err := Read(io.MultiReader(strings.NewReader(`{"kindred_history":1}`+"\n"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

func TestOpsThatMakeNoSense(t *testing.T) {
	good := Op{Kind: Put, Bucket: "b", Key: "k", Write: 1, Outcome: kindred.Applied}
	require.NoError(t, good.Check())
	for _, tt := range []struct {
		want  string
		spoil func(*Op)
	}{
		{"H1", func(o *Op) { o.Kind = 0 }},
		{"H1", func(o *Op) { o.Kind = 4 }},
		{"H1", func(o *Op) { o.Outcome = 3 }},
		{"H1", func(o *Op) { o.Bucket = "" }},
		{"H1", func(o *Op) { o.Key = "" }},
		{"H2", func(o *Op) { o.Invoke = 1 }},
		{"H2", func(o *Op) { o.Invoke, o.Complete = -2, -1 }},
		{"H3", func(o *Op) { o.Write = 0 }},
		{"H3", func(o *Op) { o.Kind = Get }},
		{"H4", func(o *Op) { o.Siblings = []Sibling{{Write: 1}} }},
		{"H4", func(o *Op) {
			*o = Op{Kind: Get, Bucket: "b", Key: "k", Outcome: kindred.Applied, Siblings: []Sibling{{}}}
		}},
		{"H4", func(o *Op) {
			*o = Op{Kind: Get, Bucket: "b", Key: "k", Outcome: kindred.Unknown, Siblings: []Sibling{{Write: 1}}}
		}},
		{"H4", func(o *Op) { o.Seen = []WriteID{0} }},
		{"H5", func(o *Op) { o.Final = true }},
		{"H6", func(o *Op) { o.N, o.Need = 3, 4 }},
		{"H6", func(o *Op) { o.Attempts = -1 }},
	} {
		op := good
		tt.spoil(&op)
		require.ErrorContains(t, op.Check(), tt.want, "%+v", op)
		h := History{Ops: []Op{op}}
		require.ErrorContains(t, h.Write(io.Discard), tt.want, "a writer refuses what a reader would")
	}
}

// TestRecorderKeepsWhatNeverEnded: a request without an answer may have taken
// effect, so it must not be missing from the history.
func TestRecorderKeepsWhatNeverEnded(t *testing.T) {
	var rec Recorder
	var clients sync.WaitGroup
	for p := range 8 {
		clients.Go(func() {
			for i := range 100 {
				n := rec.Begin(Op{Process: p, Kind: Put, Bucket: "b", Key: "k", Write: WriteID(1 + p*100 + i), Invoke: time.Duration(i)})
				if p > 0 || i < 99 {
					rec.End(n, func(o *Op) { o.Complete, o.Outcome = o.Invoke+1, kindred.Applied })
				}
			}
		})
	}
	clients.Wait()
	h := rec.History(Header{Workload: "blind"}, time.Minute)
	require.Len(t, h.Ops, 800)
	var open []Op
	for _, op := range h.Ops {
		require.NoError(t, op.Check())
		if op.Outcome != kindred.Applied {
			open = append(open, op)
		}
	}
	require.Len(t, open, 1)
	require.Equal(t, kindred.Unknown, open[0].Outcome)
	require.Equal(t, time.Minute, open[0].Complete)
	require.Equal(t, "[99ns..1m0s] p0 put b/k w100 seen{} unknown", open[0].String())
}

func TestObjectsAreInOrderOfInvocation(t *testing.T) {
	h := History{Ops: []Op{
		{Bucket: "b", Key: "x", Invoke: 5}, {Bucket: "b", Key: "y", Invoke: 1},
		{Bucket: "b", Key: "x", Invoke: 2}, {Bucket: "c", Key: "x", Invoke: 0},
	}}
	require.Equal(t, map[ID][]int{{"b", "x"}: {2, 0}, {"b", "y"}: {1}, {"c", "x"}: {3}}, h.Objects())
}

func FuzzRead(f *testing.F) {
	f.Add(written(f, full()))
	f.Add([]byte(`{"kindred_history":1}` + "\n" + `{"p":1,"i":0,"c":0,"k":"get","b":"b","key64":"/w==","o":"applied","sib":[{"w":1,"set":[]}]}` + "\n"))
	f.Add([]byte(`{"kindred_history":9}` + "\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		h, err := Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		once := written(t, h)
		again, err := Read(bytes.NewReader(once))
		require.NoError(t, err)
		require.Equal(t, string(once), string(written(t, again)), "what was read can be written and read again")
	})
}
