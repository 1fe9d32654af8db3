package main

import (
	"context"
	"io"
)

// stdin is standard input as far as the context lasts: a read of a terminal or
// of a pipe can wait for ever, and an interrupted program must end.
func (a *app) stdin(ctx context.Context) io.Reader {
	return &untilDone{ctx: ctx, r: a.in}
}

// untilDone gives up a read when its context is over. The read itself goes on
// and its bytes are lost, so nothing may be read afterwards.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	type result struct {
		n   int
		err error
	}
	buf, done := make([]byte, len(p)), make(chan result, 1)
	go func() {
		n, err := u.r.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	case <-u.ctx.Done():
		return 0, u.ctx.Err()
	}
}
