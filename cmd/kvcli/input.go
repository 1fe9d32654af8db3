package main

import (
	"context"
	"io"
	"os"
	"sync/atomic"
)

// input is a file of records that is read once. It guesses from the part that was
// read how many there are.
type input struct {
	file io.ReadCloser
	read int64 // bytes
	size int64 // 0 if unknown

	records int64
	guess   atomic.Int64
}

// openInput opens a file, or standard input for "-".
func (a *app) openInput(ctx context.Context, path string) (*input, error) {
	if path == "-" {
		return &input{file: io.NopCloser(a.stdin(ctx))}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	in := &input{file: f}
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		in.size = info.Size()
	}
	return in, nil
}

// Read implements io.Reader.
func (in *input) Read(b []byte) (int, error) {
	n, err := in.file.Read(b)
	in.read += int64(n)
	return n, err
}

// Close implements io.Closer.
func (in *input) Close() error { return in.file.Close() }

// count notes that one more record was read.
func (in *input) count() {
	in.records++
	if in.size > 0 && in.read > 0 {
		in.guess.Store(max(in.records, in.records*in.size/in.read))
	}
}

// total is about how many records there are; 0 if nobody can tell.
func (in *input) total() int64 { return in.guess.Load() }
