package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// TestLongWorkShowsProgressOnATerminal: how much is done and at what rate is shown
// while it goes on, and is gone when the results come.
func TestLongWorkShowsProgressOnATerminal(t *testing.T) {
	for _, c := range []struct {
		line, row string // a row has a place for its number
		what      string
	}{
		{"import people - --format jsonl --key id", `{"id": "%d"}` + "\n", "records"},
		{"batch - --quiet", `{"op":"put","bucket":"b","key":"k%d","value":"v"}` + "\n", "operations"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newScreen(t, 80)
			var out bytes.Buffer
			rows, in := io.Pipe()
			a := &app{
				in: rows, out: &out, errOut: s.terminal, getenv: func(string) string { return "" },
				dial: func(context.Context, []string, ...client.Option) (cluster, error) { return newFakeCluster(), nil },
			}
			seen := make(chan string)
			go func() {
				seen <- s.await(" " + c.what + ", ")
				seen <- s.await("/s")
			}()
			fed := make(chan bool, 1)
			go func() { fed <- feed(in, c.row, seen) }()
			require.Zero(t, a.run(t.Context(), append(strings.Fields(c.line), "--dir", "none")))
			require.True(t, <-fed, "no progress was shown")
			require.NotContains(t, out.String(), "/s\r", "what is read by programs has none of it")
			fmt.Fprint(s.terminal, "the end")
			left := s.await("the end")
			require.Regexp(t, `\r +\rthe end$`, left, "the line is gone")

			o := runWith(t, newFakeCluster(), fmt.Sprintf(c.row, 1), strings.Fields(c.line)...)
			require.Zero(t, o.exit)
			require.Empty(t, o.stderr, "elsewhere there is none")
		})
	}
}

// TestAnExportShowsProgressOnATerminal: how many keys there are it does not know, so
// it shows how many it has written and at what rate, and no estimate.
func TestAnExportShowsProgressOnATerminal(t *testing.T) {
	f := newFakeCluster()
	require.Zero(t, runWith(t, f, "", "put", "b", "k", "v").exit)
	s := newScreen(t, 80)
	var out bytes.Buffer
	seen := make(chan struct{})
	a := &app{
		out: &out, errOut: s.terminal, getenv: func(string) string { return "" },
		dial: func(context.Context, []string, ...client.Option) (cluster, error) { return endless{f, seen}, nil },
	}
	shown := make(chan string, 1)
	go func() {
		shown <- s.await(" keys, ") + s.await("/s")
		close(seen)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), progressPatience)
	defer cancel()
	require.Zero(t, a.run(ctx, strings.Fields("export b --dir none")), "no progress was shown")
	require.Regexp(t, `\r[0-9,]+ keys, [0-9,]+/s$`, <-shown)
	require.NotContains(t, out.String(), "/s", "what is read by programs has none of it")
	fmt.Fprint(s.terminal, "the end")
	require.Regexp(t, `\r +\r[0-9,]+ keys with [0-9,]+ values, [^\r]*the end$`, s.await("the end"), "the line is gone before the sums")
	require.Empty(t, runWith(t, f, "", "export", "b", t.TempDir()+"/b.jsonl").stderr, "elsewhere there is none")
}

// endless is a cluster whose scans begin anew until something was seen.
type endless struct {
	cluster
	seen <-chan struct{}
}

func (e endless) Bucket(name string) bucket { return endlessBucket{e.cluster.Bucket(name), e.seen} }

type endlessBucket struct {
	bucket
	seen <-chan struct{}
}

func (b endlessBucket) Page(ctx context.Context, _ ...client.ScanOption) (*client.Page, error) {
	page, err := b.bucket.Page(ctx, client.Limit(kindred.ScanPageMax))
	if err != nil {
		return nil, err
	}
	select {
	case <-b.seen:
	case <-ctx.Done():
		return nil, ctx.Err()
	default:
		page.Cursor = []byte("again")
	}
	return page, nil
}

// feed writes rows until progress was seen, which takes a moment of work, and reports
// whether it was.
func feed(in *io.PipeWriter, row string, seen <-chan string) bool {
	defer in.Close()
	late := time.After(progressPatience)
	for i, told := 0, 0; told < 2; i++ {
		select {
		case <-seen:
			told++
		case <-late:
			return false
		default:
			if _, err := fmt.Fprintf(in, row, i%rowsMax); err != nil {
				return false
			}
		}
	}
	return true
}

const (
	// progressPatience is how long progress may take to be shown.
	progressPatience = 20 * time.Second
	// rowsMax bounds what the fake cluster has to keep.
	rowsMax = 1000
)
