package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

const (
	// mergeGrace is how long a merge command that was told to end may keep its
	// pipes open.
	mergeGrace = time.Second
	// mergeStderrMax bounds what is kept of its standard error, in bytes.
	mergeStderrMax = 1 << 10
)

// merge lets a command of the user make one value of all. The command is run by
// sh and gets the document of kvcli get on standard input; what it prints is the
// value, byte for byte. It refuses by any exit code but 0. Printing nothing is
// taken for a mistake: a command that died in a pipe does the same.
func (a *app) merge(ctx context.Context, command, bucket, key string, obj *client.Object) ([]byte, error) {
	input, err := json.Marshal(newObjectDoc(bucket, key, obj))
	if err != nil {
		return nil, err
	}
	value, complaint := &head{max: kindred.ValueBytesMax}, &head{max: mergeStderrMax}
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), value, io.Writer(complaint)
	if a.output == asTable {
		cmd.Stderr = a.errOut
	}
	cmd.WaitDelay = mergeGrace
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case value.over:
		return nil, kindred.TooLarge("value", kindred.ValueBytesMax, kindred.ValueBytesMax+1, "let the merge command print less; nothing was written")
	case err != nil:
		return nil, mergeRefused("the merge command ended with %v%s: nothing was written", exitText(err), complaint.quote())
	case len(value.kept) == 0:
		return nil, mergeRefused("the merge command printed nothing: nothing was written; an empty value is written with --value '' or kvcli put")
	}
	return value.kept, nil
}

func mergeRefused(format string, args ...any) error {
	return &result{exit: exitError, code: "merge_refused", message: fmt.Sprintf(format, args...)}
}

func exitText(err error) string {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ProcessState.String()
	}
	return err.Error()
}

// head keeps the beginning of what is written to it, and takes the rest.
type head struct {
	kept []byte
	max  int
	over bool
}

func (h *head) Write(p []byte) (int, error) {
	room := h.max - len(h.kept)
	h.over = h.over || len(p) > room
	h.kept = append(h.kept, p[:min(room, len(p))]...)
	return len(p), nil
}

// quote is an addition to a sentence; empty if there is nothing to quote.
func (h *head) quote() string {
	if text := strings.TrimSpace(string(h.kept)); text != "" {
		return fmt.Sprintf(" (%s)", shown(strings.ReplaceAll(text, "\n", "; ")))
	}
	return ""
}
