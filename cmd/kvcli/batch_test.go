package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/cmd/kvcli/bulk"
)

// batchDoc is the document of kvcli batch, whose parts are printed as they come.
type batchDoc struct {
	Results []operationDoc `json:"results"`
	batchSums
}

// contents are the values of a bucket, by key, with what is stored beside them.
func contents(f *fakeCluster, bucket string) map[string][]string {
	out := map[string][]string{}
	for at, siblings := range f.objects {
		if key, ok := strings.CutPrefix(at, bucket+"/"); ok {
			for _, s := range siblings {
				out[key] = append(out[key], string(s.Value)+" "+s.ContentType+" "+moment(s.ExpiresAt))
			}
		}
	}
	return out
}

// Whatever a bucket holds, a batch of its export makes it again, also in a bucket
// that holds something else under the same keys.
func TestAnExportIsABatch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		from, to := newFakeCluster(), newFakeCluster()
		for range rapid.IntRange(0, 200).Draw(rt, "writes") {
			key := rapid.OneOf(rapid.StringMatching(`[^ ]{1,3}`), rapid.SampledFrom([]string{"a", "b", "\xff"})).Draw(rt, "key")
			value := rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(rt, "value")
			opts := []client.CallOption{client.ContentType(rapid.SampledFrom([]string{"", "text/plain"}).Draw(rt, "type"))}
			_, err := from.Bucket("b").Put(t.Context(), key, value, opts...)
			require.NoError(rt, err)
			if rapid.Bool().Draw(rt, "already there") {
				_, err := to.Bucket("b").Put(t.Context(), key, []byte("before"))
				require.NoError(rt, err)
			}
		}
		lines := runWith(t, from, "", "export", "b")
		require.Zero(rt, lines.exit, "%s", lines)
		for range 2 { // once more changes nothing
			o := runWith(t, to, lines.stdout, "batch", "-", "--quiet")
			require.Zero(rt, o.exit, "%s", o)
			require.Equal(rt, contents(from, "b"), contents(to, "b"))
		}
	})
}

func TestAnExportHasItsNameWhenItIsComplete(t *testing.T) {
	f := two(t)
	path := filepath.Join(t.TempDir(), "carts.jsonl")
	o := runWith(t, f, "", "export", "carts", path, "-o", "json")
	require.Zero(t, o.exit, "%s", o)
	var doc exportDoc
	require.NoError(t, decode(o.stdout, &doc))
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, exportDoc{Bucket: "carts", File: path, Keys: 1, Values: 2, Bytes: int64(len(b)), Seconds: doc.Seconds}, doc)

	path = filepath.Join(t.TempDir(), "down.jsonl")
	require.Equal(t, 6, runWith(t, f, "", "export", "down", path).exit)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Empty(t, left, "half an export must not be taken for one")
}

// A line longer than the limit is named, and what follows is done.
func TestALineThatIsTooLong(t *testing.T) {
	f := newFakeCluster()
	long := `{"op":"put","bucket":"b","key":"k","value":"` + strings.Repeat("x", bulk.OperationBytesMax) + `"}`
	o := runWith(t, f, long+"\n"+`{"op":"put","bucket":"b","key":"k","value":"short"}`, "batch", "-")
	require.Equal(t, 1, o.exit)
	require.Contains(t, o.stdout, "line 1: longer than 16777216 bytes, the limit of a line\nline 2: put b/k: replicated")
}

// A batch of more lines than are read at a time, which is interrupted on the way:
// what was done is said, and nothing after it is tried.
func TestAnInterruptedBatchSaysWhatWasDone(t *testing.T) {
	f := newFakeCluster()
	ctx, interrupt := context.WithCancel(t.Context())
	in, lines := io.Pipe()
	var out, errOut bytes.Buffer
	a := &app{
		in: in, out: &out, errOut: &errOut, getenv: func(string) string { return "" },
		dial: func(context.Context, []string, ...client.Option) (cluster, error) { return f, nil },
	}
	exit := make(chan int)
	go func() { exit <- a.run(ctx, []string{"batch", "-", "--quiet", "--dir", "none"}) }()
	for range 1001 {
		_, err := io.WriteString(lines, `{"op":"put","bucket":"b","key":"k","value":"v"}`+"\n")
		require.NoError(t, err)
	}
	_, err := io.WriteString(lines, "\n") // the first thousand is done before this is read
	require.NoError(t, err)
	interrupt()
	require.Equal(t, 1, <-exit)
	require.Contains(t, out.String(), "1,000 applied")
	require.Contains(t, errOut.String(), "the batch ended before the file")
	lines.Close()
}
