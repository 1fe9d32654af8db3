package api

import (
	"math"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// FormatGetResponse carries the answer to a get that did not fail.
func FormatGetResponse(r *kindred.Response) *pb.GetResponse {
	return &pb.GetResponse{
		Siblings: each(r.Siblings, formatSibling), Context: r.Context, Replied: each(r.Replied, text),
		Guests: each(r.Guests, text),
	}
}

// ParseGetResponse is the inverse of [FormatGetResponse].
func ParseGetResponse(m *pb.GetResponse) *kindred.Response {
	return &kindred.Response{
		Siblings: each(m.GetSiblings(), parseSibling), Context: m.GetContext(), Replied: m.GetReplied(),
		Guests: m.GetGuests(),
	}
}

// FormatPutResponse carries the answer to a put that did not fail.
func FormatPutResponse(r *kindred.Response) *pb.PutResponse {
	return &pb.PutResponse{Context: r.Context, Receipt: formatReceipt(&r.Receipt)}
}

// ParsePutResponse is the inverse of [FormatPutResponse].
func ParsePutResponse(m *pb.PutResponse) *kindred.Response {
	return &kindred.Response{Context: m.GetContext(), Receipt: parseReceipt(m.GetReceipt())}
}

// FormatDeleteResponse carries the answer to a delete that did not fail.
func FormatDeleteResponse(r *kindred.Response) *pb.DeleteResponse {
	return &pb.DeleteResponse{Context: r.Context, Receipt: formatReceipt(&r.Receipt)}
}

// ParseDeleteResponse is the inverse of [FormatDeleteResponse].
func ParseDeleteResponse(m *pb.DeleteResponse) *kindred.Response {
	return &kindred.Response{Context: m.GetContext(), Receipt: parseReceipt(m.GetReceipt())}
}

// FormatResult carries the answer to a pipeline's call, failed or not.
func FormatResult(id uint64, op kindred.Op, r *kindred.Response) *pb.Result {
	m := &pb.Result{Id: id}
	switch {
	case r.Err != nil:
		m.Op = &pb.Result_Error{Error: FormatError(r.Err)}
	case op == kindred.OpGet:
		m.Op = &pb.Result_Get{Get: FormatGetResponse(r)}
	case op == kindred.OpPut:
		m.Op = &pb.Result_Put{Put: FormatPutResponse(r)}
	case op == kindred.OpDelete:
		m.Op = &pb.Result_Delete{Delete: FormatDeleteResponse(r)}
	}
	return m
}

// ParseResult is the inverse of [FormatResult]. A result that says nothing this
// build understands is an internal error of unknown outcome.
func ParseResult(m *pb.Result) *kindred.Response {
	switch op := m.GetOp().(type) {
	case *pb.Result_Get:
		return ParseGetResponse(op.Get)
	case *pb.Result_Put:
		return ParsePutResponse(op.Put)
	case *pb.Result_Delete:
		return ParseDeleteResponse(op.Delete)
	case *pb.Result_Error:
		if op.Error != nil {
			return &kindred.Response{Err: ParseError(op.Error)}
		}
	}
	return &kindred.Response{Err: &kindred.Error{
		Code: kindred.CodeInternal, Message: "the node sent a result that holds no answer", Outcome: kindred.Unknown,
	}}
}

// FormatScanResponse carries one page of a scan.
func FormatScanResponse(r *kindred.Response) *pb.ScanResponse {
	return &pb.ScanResponse{Cursor: r.Cursor, Keys: each(r.Keys, func(k *kindred.KeyEntry) *pb.KeyEntry {
		return &pb.KeyEntry{Key: []byte(k.Key), Siblings: small(k.Siblings), ExpiresAtUnixMs: formatTime(k.ExpiresAt)}
	})}
}

// ParseScanResponse is the inverse of [FormatScanResponse].
func ParseScanResponse(m *pb.ScanResponse) *kindred.Response {
	return &kindred.Response{Cursor: m.GetCursor(), Keys: each(m.GetKeys(), func(k **pb.KeyEntry) kindred.KeyEntry {
		return kindred.KeyEntry{
			Key: string((*k).GetKey()), Siblings: int((*k).GetSiblings()), ExpiresAt: parseTime((*k).GetExpiresAtUnixMs()),
		}
	})}
}

// FormatStageResponse carries how far a write has come.
func FormatStageResponse(r *kindred.Response) *pb.StageResponse {
	return &pb.StageResponse{Dot: text(&r.Receipt.Dot), Stage: pb.Stage(r.Receipt.Stage)}
}

// ParseStageResponse is the inverse of [FormatStageResponse].
func ParseStageResponse(m *pb.StageResponse) *kindred.Response {
	return &kindred.Response{Receipt: parseReceipt(&pb.Receipt{Dot: m.GetDot(), Stage: m.GetStage()})}
}

// FormatInspectResponse carries what each home replica holds of a key.
func FormatInspectResponse(r *kindred.Response) *pb.InspectResponse {
	return &pb.InspectResponse{Replicas: each(r.Replicas, func(v *kindred.ReplicaView) *pb.ReplicaView {
		return &pb.ReplicaView{
			Node: text(&v.Node), Error: text(&v.Err), Siblings: each(v.Siblings, formatSiblingView),
			Context: text(&v.Context), Clock: text(&v.Clock), Repaired: v.Repaired, Guest: v.Guest,
		}
	})}
}

// ParseInspectResponse is the inverse of [FormatInspectResponse].
func ParseInspectResponse(m *pb.InspectResponse) *kindred.Response {
	return &kindred.Response{Replicas: each(m.GetReplicas(), func(p **pb.ReplicaView) kindred.ReplicaView {
		v := *p
		return kindred.ReplicaView{
			Node: v.GetNode(), Err: v.GetError(), Siblings: each(v.GetSiblings(), parseSiblingView),
			Context: v.GetContext(), Clock: v.GetClock(), Repaired: v.GetRepaired(), Guest: v.GetGuest(),
		}
	})}
}

func formatSibling(s *kindred.Sibling) *pb.Sibling {
	return &pb.Sibling{
		Value: s.Value, Dot: text(&s.Dot), ContentType: text(&s.ContentType),
		WrittenAtUnixMs: formatTime(s.WrittenAt), Node: text(&s.Node),
		Causes: uint32(s.Causes), ExpiresAtUnixMs: formatTime(s.ExpiresAt),
	}
}

func parseSibling(p **pb.Sibling) kindred.Sibling {
	s := *p
	return kindred.Sibling{
		Value: s.GetValue(), Dot: s.GetDot(), ContentType: s.GetContentType(),
		WrittenAt: parseTime(s.GetWrittenAtUnixMs()), Node: s.GetNode(),
		Causes: kindred.Causes(s.GetCauses()), ExpiresAt: parseTime(s.GetExpiresAtUnixMs()),
	}
}

func formatSiblingView(s *kindred.SiblingView) *pb.SiblingView {
	return &pb.SiblingView{
		Dot: text(&s.Dot), Bytes: uint64(max(0, s.Bytes)), ContentType: text(&s.ContentType),
		WrittenAtUnixMs: formatTime(s.WrittenAt), Node: text(&s.Node),
		Causes: uint32(s.Causes), ExpiresAtUnixMs: formatTime(s.ExpiresAt),
	}
}

func parseSiblingView(p **pb.SiblingView) kindred.SiblingView {
	s := *p
	return kindred.SiblingView{
		Dot: s.GetDot(), Bytes: int(min(s.GetBytes(), math.MaxInt)), ContentType: s.GetContentType(),
		WrittenAt: parseTime(s.GetWrittenAtUnixMs()), Node: s.GetNode(),
		Causes: kindred.Causes(s.GetCauses()), ExpiresAt: parseTime(s.GetExpiresAtUnixMs()),
	}
}

func formatReceipt(r *kindred.Receipt) *pb.Receipt {
	return &pb.Receipt{
		Dot: text(&r.Dot), Stage: pb.Stage(r.Stage), Durability: pb.Durability(r.Durability),
		Acked: each(r.Acked, text), Guests: each(r.Guests, text), ExpiresAtUnixMs: formatTime(r.ExpiresAt),
	}
}

func parseReceipt(m *pb.Receipt) kindred.Receipt {
	r := kindred.Receipt{Dot: m.GetDot(), Acked: m.GetAcked(), Guests: m.GetGuests(), ExpiresAt: parseTime(m.GetExpiresAtUnixMs())}
	if s := m.GetStage(); s > 0 && s <= pb.Stage(kindred.Audited) {
		r.Stage = kindred.Stage(s)
	}
	if d := m.GetDurability(); d > 0 && d <= pb.Durability(kindred.Sync) {
		r.Durability = kindred.Durability(d)
	}
	return r
}

// each converts a list; an empty one stays nil, as it arrives from the wire.
func each[A, B any](in []A, convert func(*A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = convert(&in[i])
	}
	return out
}

// text repairs what is not UTF-8: a string field cannot carry it, and an answer
// that cannot be encoded would end a whole pipeline.
func text(s *string) string { return strings.ToValidUTF8(*s, "\uFFFD") }

// formatTime keeps the zero time apart from 1970.
func formatTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func parseTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// small fits a count into its field; counts beyond it mean "very many".
func small(n int) uint32 { return uint32(max(0, min(n, math.MaxUint32))) }
