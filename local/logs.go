package local

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"time"
)

// TailLines returns the last n lines of a file.
func TailLines(path string, n int) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	from, err := tailOffset(f, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, from, 1<<62))
	if err != nil || len(b) == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"), nil
}

// tailOffset finds where the last n lines begin, reading backwards: a log may
// be large.
func tailOffset(f *os.File, n int) (int64, error) {
	const block = 32 << 10
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n <= 0 {
		return end, err
	}
	buf := make([]byte, block)
	lines := 0
	for at := end; at > 0; {
		size := min(at, block)
		at -= size
		if _, err := f.ReadAt(buf[:size], at); err != nil && err != io.EOF {
			return 0, err
		}
		chunk := buf[:size]
		if at+size == end {
			chunk = bytes.TrimSuffix(chunk, []byte("\n")) // the last line's own end
		}
		for {
			i := bytes.LastIndexByte(chunk, '\n')
			if i < 0 {
				break
			}
			if lines++; lines == n {
				return at + int64(i) + 1, nil
			}
			chunk = chunk[:i]
		}
	}
	return 0, nil
}

// LogOptions select what of a node's log to write.
type LogOptions struct {
	// Tail is the number of lines from the end; negative means all.
	Tail int
	// Follow goes on with what is appended until the context is over.
	Follow bool
}

const followPoll = 100 * time.Millisecond

// Logs writes a node's log to w. A follower returns nil when ctx is over.
func (c *Cluster) Logs(ctx context.Context, name string, o LogOptions, w io.Writer) error {
	n, err := c.Node(name)
	if err != nil {
		return err
	}
	f, err := os.Open(n.LogFile)
	if err != nil {
		return err
	}
	defer f.Close()
	var from int64
	if o.Tail >= 0 {
		if from, err = tailOffset(f, o.Tail); err != nil {
			return err
		}
	}
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err
	}
	tick := time.NewTicker(followPoll)
	defer tick.Stop()
	for {
		if _, err := io.Copy(w, f); err != nil || !o.Follow {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
