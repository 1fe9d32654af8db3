package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/api"
)

var (
	// ErrNotFound is what [Object.Value] returns for a key without a value.
	ErrNotFound = errors.New("kindred: the key has no value")
	// ErrClosed is the cause of every call on a closed client.
	ErrClosed = errors.New("kindred: the client is closed")
)

// SiblingsError is what [Object.Value] returns for a key with concurrent
// values. Merge them and put the result with the object's Context, or let
// [Bucket.Update] do both.
type SiblingsError struct {
	Siblings []Sibling
	Context  Context
}

// Error implements error.
func (e *SiblingsError) Error() string {
	return fmt.Sprintf("kindred: the key has %d concurrent values: merge them and put the result with their context", len(e.Siblings))
}

// Error is a failed operation: what was tried, why it failed, and, in the
// wrapped *[kindred.Error], what is known about its effect. Use errors.As or
// [kindred.OutcomeOf] for that, and errors.Is with [context.Canceled],
// [context.DeadlineExceeded] or [ErrClosed] for what ended it on this side.
type Error struct {
	// Op is the verb: get, put, delete, scan, inspect or describe.
	Op          string
	Bucket, Key string
	// RequestID names the write; whoever repeats it later by hand should pass
	// it on (see [RequestID]).
	RequestID kindred.RequestID
	// Err says what is known. Its Failed names replicas, not attempts.
	Err *kindred.Error
	// Attempts are the nodes asked, in order.
	Attempts []Attempt
	cause    error
}

// Attempt is one node that was asked without success.
type Attempt struct {
	Node string
	// Reason says why it did not help.
	Reason string
	// Unknown reports that the node may have acted all the same.
	Unknown bool
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("kindred: " + e.Op)
	if e.Bucket != "" {
		b.WriteString(" " + e.Bucket)
	}
	if e.Key != "" {
		b.WriteString("/" + printable(e.Key))
	}
	b.WriteString(": " + e.Err.Error())
	writeAttempts(&b, e.Attempts)
	return b.String()
}

// writeAttempts tells of equal attempts in a row once.
func writeAttempts(b *strings.Builder, attempts []Attempt) {
	separator := "; asked "
	for i := 0; i < len(attempts); {
		a, times := attempts[i], 0
		for ; i < len(attempts) && attempts[i] == a; i++ {
			times++
		}
		fmt.Fprintf(b, "%s%s (%s", separator, a.Node, a.Reason)
		if times > 1 {
			fmt.Fprintf(b, ", %d times", times)
		}
		b.WriteString(")")
		separator = ", "
	}
}

// Unwrap lets errors.Is and errors.As see the cause and the public error.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.cause}
}

// DialError says why no node could be reached.
type DialError struct {
	// Failed has one entry per address tried.
	Failed []DialFailure
}

// DialFailure is one address that did not help.
type DialFailure struct {
	Addr string
	Err  error
}

// Error implements error. It names every address and why.
func (e *DialError) Error() string {
	if len(e.Failed) == 0 {
		return "kindred: no address to dial: pass at least one host:port"
	}
	parts := make([]string, len(e.Failed))
	for i, f := range e.Failed {
		parts[i] = "at " + f.Addr + ": " + whyNot(f.Err)
	}
	return "kindred: no node answers " + strings.Join(parts, "; ")
}

// Unwrap lets errors.Is find what stopped a dial.
func (e *DialError) Unwrap() []error {
	errs := make([]error, len(e.Failed))
	for i, f := range e.Failed {
		errs[i] = f.Err
	}
	return errs
}

// Unauthenticated reports whether a node answered that it does not know who calls.
func (e *DialError) Unauthenticated() bool {
	return slices.ContainsFunc(e.Failed, func(f DialFailure) bool { return status.Code(f.Err) == codes.Unauthenticated })
}

// stopped is the public form of an end on this side.
func stopped(cause error) *kindred.Error {
	e := &kindred.Error{Code: kindred.CodeTimeout, Outcome: kindred.NotApplied}
	switch {
	case errors.Is(cause, context.Canceled):
		e.Message = "the caller gave up"
	case errors.Is(cause, ErrClosed):
		e.Code, e.Message = kindred.CodeStopping, "the client was closed"
	default:
		e.Message = "no answer before the deadline"
	}
	return e
}

// reason is an error without the words that gRPC puts around it.
func reason(err error) string {
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) {
		return err.Error()
	}
	return road(s.GRPCStatus().Message())
}

// answer is what a node answered, or that it could not be reached.
func answer(err error) *kindred.Error {
	e := *api.ErrorOf(err)
	e.Message = road(e.Message)
	return &e
}

// nodeError is a question to one node that it did not answer.
type nodeError struct {
	verb, name, addr string
	err              error
}

// Error implements error.
func (e *nodeError) Error() string {
	return fmt.Sprintf("kindred: %s %s at %s: %s", e.verb, e.name, e.addr, silence(e.err))
}

// Unwrap lets errors.Is and errors.As see why, in gRPC's words.
func (e *nodeError) Unwrap() error { return e.err }

// silence is why a node did not answer.
func silence(err error) string {
	text := reason(err)
	if errors.Is(err, context.DeadlineExceeded) && !strings.HasPrefix(text, unreachable) {
		return "no answer in time"
	}
	return text
}

// printable shows keys that are not text without spoiling the terminal.
func printable(key string) string {
	quoted := fmt.Sprintf("%q", key)
	if inner := quoted[1 : len(quoted)-1]; inner == key {
		return key
	}
	return quoted
}
