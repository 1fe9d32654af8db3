package api

import (
	"errors"
	"math"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// FormatError carries an error, or nil.
func FormatError(e *kindred.Error) *pb.Error {
	if e == nil {
		return nil
	}
	code := string(e.Code)
	return &pb.Error{
		Code: text(&code), Message: text(&e.Message), Field: text(&e.Field), Limit: e.Limit,
		Outcome: formatOutcome(e.Outcome), Dot: text(&e.Dot), Need: narrow(e.Need), Got: narrow(e.Got),
		Failed: each(e.Failed, formatFailure),
	}
}

// ParseError is the inverse of [FormatError].
func ParseError(m *pb.Error) *kindred.Error {
	if m == nil {
		return nil
	}
	return &kindred.Error{
		Code: kindred.Code(m.GetCode()), Message: m.GetMessage(), Field: m.GetField(), Limit: m.GetLimit(),
		Outcome: parseOutcome(m.GetOutcome()), Dot: m.GetDot(), Need: int(m.GetNeed()), Got: int(m.GetGot()),
		Failed: each(m.GetFailed(), parseFailure),
	}
}

// ErrorDomain is the domain of our codes in google.rpc.ErrorInfo.
const ErrorDomain = "kindred.v1"

// RetryAfter is what a failure that did nothing advises to wait for.
const RetryAfter = time.Second

// Status is an error as a gRPC status. Its details are the whole of it, and the
// same in the words of google.rpc for clients that know only those: ErrorInfo
// with the code, BadRequest with a field that is wrong, RetryInfo where the same
// request may succeed later. A nil error is the OK status.
func Status(e *kindred.Error) *status.Status {
	if e == nil {
		return status.New(codes.OK, "")
	}
	plain := status.New(grpcCode(e.Code), text(&e.Message))
	detailed, err := plain.WithDetails(details(e)...)
	if err != nil {
		return plain // and so of unknown outcome to its reader
	}
	return detailed
}

func details(e *kindred.Error) []protoadapt.MessageV1 {
	m := FormatError(e)
	info := &errdetails.ErrorInfo{Reason: m.GetCode(), Domain: ErrorDomain, Metadata: map[string]string{"outcome": e.Outcome.String()}}
	if m.GetDot() != "" {
		info.Metadata["dot"] = m.GetDot()
	}
	all := []protoadapt.MessageV1{m, info}
	if m.GetField() != "" {
		all = append(all, &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: m.GetField(), Description: m.GetMessage(), Reason: m.GetCode()}}})
	}
	if mayRetry(e) {
		all = append(all, &errdetails.RetryInfo{RetryDelay: durationpb.New(RetryAfter)})
	}
	return all
}

// mayRetry: nothing was done, and for a reason that passes.
func mayRetry(e *kindred.Error) bool {
	if e.Outcome != kindred.NotApplied {
		return false
	}
	switch grpcCode(e.Code) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	}
	return false
}

// ErrorOf is what err, returned by a gRPC call, says in our words: the detail
// that [Status] put there, or else a failure of the road. The latter leaves the
// outcome unknown, whatever its code: a proxy may have said it after a node
// acted. It returns nil for nil.
func ErrorOf(err error) *kindred.Error {
	if err == nil {
		return nil
	}
	var known *kindred.Error
	if errors.As(err, &known) {
		return known
	}
	s, ok := status.FromError(err)
	if !ok {
		s = status.FromContextError(err)
	}
	for _, d := range s.Details() {
		if e, ok := d.(*pb.Error); ok {
			return ParseError(e)
		}
	}
	return &kindred.Error{Code: roadCode(s.Code()), Message: s.Message(), Outcome: kindred.Unknown}
}

// grpcCode follows what gRPC's own documents say of retrying: Unavailable and
// ResourceExhausted invite it, OutOfRange does not.
func grpcCode(c kindred.Code) codes.Code {
	switch c {
	case kindred.CodeInvalid, kindred.CodeBadContext:
		return codes.InvalidArgument
	case kindred.CodeTooLarge:
		return codes.OutOfRange
	case kindred.CodeSiblings, kindred.CodeUnsafe:
		return codes.FailedPrecondition
	case kindred.CodeUnavailable, kindred.CodeWrongRing, kindred.CodeWrongCluster, kindred.CodeNoLayout, kindred.CodeStopping:
		return codes.Unavailable
	case kindred.CodeOverloaded, kindred.CodeDiskFull:
		return codes.ResourceExhausted
	case kindred.CodeTimeout:
		return codes.DeadlineExceeded
	case kindred.CodeUnauthenticated:
		return codes.Unauthenticated
	}
	return codes.Internal
}

// roadCode names a failure that no node explained.
func roadCode(c codes.Code) kindred.Code {
	switch c {
	case codes.InvalidArgument, codes.Unimplemented:
		return kindred.CodeInvalid
	case codes.Unauthenticated, codes.PermissionDenied:
		return kindred.CodeUnauthenticated
	case codes.OutOfRange:
		return kindred.CodeTooLarge
	case codes.DeadlineExceeded, codes.Canceled:
		return kindred.CodeTimeout
	case codes.ResourceExhausted:
		return kindred.CodeOverloaded
	case codes.Unavailable, codes.Aborted:
		return kindred.CodeUnavailable
	}
	return kindred.CodeInternal
}

func formatOutcome(o kindred.Outcome) pb.Outcome {
	switch o {
	case kindred.Applied:
		return pb.Outcome_OUTCOME_APPLIED
	case kindred.NotApplied:
		return pb.Outcome_OUTCOME_NOT_APPLIED
	}
	return pb.Outcome_OUTCOME_UNKNOWN
}

func parseOutcome(o pb.Outcome) kindred.Outcome {
	switch o {
	case pb.Outcome_OUTCOME_APPLIED:
		return kindred.Applied
	case pb.Outcome_OUTCOME_NOT_APPLIED:
		return kindred.NotApplied
	}
	return kindred.Unknown
}

func narrow(n int) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }
