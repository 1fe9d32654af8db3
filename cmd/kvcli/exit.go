package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
	"github.com/kindredkv/kindred/local"
)

// Exit codes; part of the public contract.
const (
	exitDone        = 0
	exitError       = 1
	exitNotFound    = 2
	exitSiblings    = 3
	exitUnknown     = 4
	exitUnsafe      = 5
	exitUnavailable = 6
	exitBroken      = 7
)

// usageError is a command line that means nothing.
type usageError struct {
	command *cobra.Command
	err     error
}

func (e usageError) Error() string {
	return fmt.Sprintf("%v\n'%s --help' shows how to use it", e.err, e.command.CommandPath())
}

func (e usageError) Unwrap() error { return e.err }

// result is an end that is no fault: the answer was given, and scripts are told
// by the exit code what kind of answer it is.
type result struct {
	exit int
	// code is the name of the exit in JSON errors.
	code, message string
}

func (e *result) Error() string { return e.message }

// saidAlready is the exit code of a program that was run in place of this one, and has
// said what there is to say.
type saidAlready int

func (e saidAlready) Error() string { return fmt.Sprintf("ended with exit code %d", int(e)) }

// report prints an error for people or for scripts and returns the exit code.
func (a *app) report(err error) int {
	var said saidAlready
	if errors.As(err, &said) {
		return int(said)
	}
	doc := describe(err)
	if a.output == asJSON {
		b, marshalErr := json.Marshal(map[string]errorDoc{"error": doc})
		if marshalErr == nil {
			fmt.Fprintf(a.errOut, "%s\n", b)
			return doc.Exit
		}
	}
	fmt.Fprintf(a.errOut, "kvcli: %v\n", err)
	if doc.Exit == exitUnknown && doc.RequestID != "" {
		fmt.Fprintf(a.errOut, "The write may or may not have happened. Read the key to find out, or repeat it with --request-id %s: it will not be done twice.\n", doc.RequestID)
	}
	return doc.Exit
}

// errorDoc is an error as -o json prints it on standard error.
type errorDoc struct {
	Code      string       `json:"code"`
	Message   string       `json:"message"`
	Exit      int          `json:"exit"`
	Field     string       `json:"field,omitempty"`
	Limit     int64        `json:"limit,omitempty"`
	Outcome   string       `json:"outcome,omitempty"`
	Dot       string       `json:"dot,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
	Need      int          `json:"need,omitempty"`
	Got       int          `json:"got,omitempty"`
	Failed    []failureDoc `json:"failed,omitempty"`
}

type failureDoc struct {
	Node   string `json:"node"`
	Reason string `json:"reason"`
}

// describe sorts an error into the exit codes.
func describe(err error) errorDoc {
	doc := errorDoc{Code: string(kindred.CodeInternal), Message: err.Error(), Exit: exitError}
	var (
		done   *result
		usage  usageError
		public *kindred.Error
		dial   *client.DialError
		none   *local.NoClusterError
		node   *local.NodeError
		sides  *local.SidesError
		delay  *local.DelayError
		shape  *local.ShapeError
		port   *local.PortError
		more   *local.CountError
		folder *local.FolderError
	)
	switch {
	case errors.As(err, &done):
		doc.Code, doc.Exit = done.code, done.exit
	case errors.As(err, &usage):
		doc.Code, doc.Message = "usage", usage.err.Error()
	case errors.As(err, &public):
		doc.fill(public)
		doc.Exit = exitOf(err, public)
	case errors.As(err, &dial):
		doc.Code, doc.Exit, doc.Outcome = string(kindred.CodeUnavailable), exitUnavailable, kindred.NotApplied.String()
	case errors.As(err, &node) && node.Unsafe:
		doc.Code, doc.Exit = "unsafe", exitUnsafe
	case errors.As(err, &sides), errors.As(err, &delay), node != nil,
		errors.As(err, &shape), errors.As(err, &port), errors.As(err, &folder), errors.As(err, &more):
		doc.Code = "usage"
	case errors.As(err, &none):
		doc.Code, doc.Exit = "no_local_cluster", exitNotFound
	}
	var op *client.Error
	if errors.As(err, &op) && !op.RequestID.IsZero() {
		doc.RequestID = op.RequestID.String()
	}
	return doc
}

func (d *errorDoc) fill(e *kindred.Error) {
	d.Code, d.Field, d.Limit = string(e.Code), e.Field, e.Limit
	d.Outcome, d.Dot, d.Need, d.Got = e.Outcome.String(), e.Dot, e.Need, e.Got
	for _, f := range e.Failed {
		d.Failed = append(d.Failed, failureDoc(f))
	}
}

// exitOf sorts what a cluster answered. A read has no outcome to be unsure of.
func exitOf(err error, e *kindred.Error) int {
	var op *client.Error
	write := !errors.As(err, &op) || op.Op == kindred.OpPut.String() || op.Op == kindred.OpDelete.String()
	if write && e.Outcome == kindred.Unknown {
		return exitUnknown
	}
	switch e.Code {
	case kindred.CodeInvalid, kindred.CodeTooLarge, kindred.CodeBadContext, kindred.CodeUnauthenticated, kindred.CodeInternal:
		return exitError
	case kindred.CodeSiblings, kindred.CodeUnsafe:
		return exitUnsafe
	}
	return exitUnavailable
}
