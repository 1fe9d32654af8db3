package kindred

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an [Error] is. Codes are part of the public
// contract: they appear in gRPC details, in HTTP bodies and in CLI output.
type Code string

const (
	// CodeInvalid is a malformed request; the field is named.
	CodeInvalid Code = "invalid"
	// CodeTooLarge is a field beyond its limit; field and limit are named.
	CodeTooLarge Code = "too_large"
	// CodeBadContext is a causal context that is malformed or belongs to
	// another bucket or key.
	CodeBadContext Code = "bad_context"
	// CodeSiblings is a blind put on an object that has too many siblings.
	CodeSiblings Code = "too_many_siblings"
	// CodeUnavailable is a quorum that cannot be met now.
	CodeUnavailable Code = "unavailable"
	// CodeTimeout is a quorum that was not met in time.
	CodeTimeout Code = "timeout"
	// CodeOverloaded is a node that refuses new work to protect what it has.
	CodeOverloaded Code = "overloaded"
	// CodeWrongRing is a forwarded request that reached a node which, by its
	// own layout, is not a home of the key either.
	CodeWrongRing Code = "wrong_ring"
	// CodeWrongCluster is a caller who wants another cluster than the one that the node
	// belongs to: its address was that of another node before, or its disk is not its own.
	CodeWrongCluster Code = "wrong_cluster"
	// CodeNoLayout is a node that has not joined a cluster yet.
	CodeNoLayout Code = "no_layout"
	// CodeDiskFull is a node whose disk is below its free-space floor.
	CodeDiskFull Code = "disk_full"
	// CodeStopping is a node that is shutting down.
	CodeStopping Code = "stopping"
	// CodeUnsafe is an order that was refused because data might be lost by it, or
	// because what it was given for has changed since.
	CodeUnsafe Code = "unsafe"
	// CodeUnauthenticated is a caller who has not shown who he is, or whose token
	// or certificate the node does not know.
	CodeUnauthenticated Code = "unauthenticated"
	// CodeInternal is a fault of Kindred itself.
	CodeInternal Code = "internal"
)

// Error is a failure as its receiver may rely on it: what failed, what limit
// or quorum was not met, and above all what is known about the effect.
type Error struct {
	Code    Code
	Message string
	// Field and Limit name the offending part of a bad request.
	Field string
	Limit int64
	// Outcome says whether the operation may have taken effect.
	Outcome Outcome
	// Dot names the write of an unknown outcome, if one was minted.
	Dot string
	// Need and Got are the acknowledgements wanted and received.
	Need, Got int
	// Failed says, per node, why it did not count.
	Failed []NodeFailure
}

// NodeFailure is one replica that did not count toward a quorum.
type NodeFailure struct {
	Node   string
	Reason string
}

// Error implements error. It is a whole sentence for people.
func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s", e.Code, e.Message)
	for i, f := range e.Failed {
		sep := "; "
		if i == 0 {
			sep = " ("
		}
		s += sep + f.Node + " " + f.Reason
	}
	if len(e.Failed) > 0 {
		s += ")"
	}
	if e.Outcome == Unknown {
		s += "; outcome unknown"
		if e.Dot != "" {
			s += " (write " + e.Dot + ")"
		}
	}
	return s
}

// Is makes errors.Is(err, &Error{Code: c}) test the code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Message == ""
}

// HasCode reports whether err is, or wraps, an [Error] with that code.
func HasCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// OutcomeOf says what is known about an operation that returned err. Any error
// that does not say otherwise leaves the outcome unknown: that is the honest
// reading of a lost connection.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Applied
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return Unknown
}
