package api

import (
	"math"
	"time"

	"github.com/kindredkv/kindred"
	pb "github.com/kindredkv/kindred/api/kindred/v1"
)

// Limits of the messages themselves, in bytes.
const (
	// RequestBytesMax bounds one message to a node: the largest put fits with
	// room to spare. A client splits a larger PipelineRequest.
	RequestBytesMax = 16 << 20
	// ResponseBytesMax bounds one message from a node: the largest object fits
	// with its context and provenance.
	ResponseBytesMax = kindred.ObjectBytesMax + 4<<20
	// CursorBytesMax bounds the cursor of a scan; a key fits twice.
	CursorBytesMax = 2 * kindred.KeyBytesMax
)

// ParseGet reads and checks a get.
func ParseGet(m *pb.GetRequest) (*kindred.Request, *kindred.Error) {
	sloppy, err := parseSloppiness(m.GetSloppy())
	if err != nil {
		return nil, err
	}
	return checked(&kindred.Request{
		Op: kindred.OpGet, Bucket: m.GetBucket(), Key: string(m.GetKey()),
		R: kindred.Count(m.GetR()), PR: kindred.Count(m.GetPr()), Timeout: millis(m.GetTimeoutMs()), Sloppy: sloppy,
	})
}

// FormatGet is the inverse of [ParseGet].
func FormatGet(r *kindred.Request) *pb.GetRequest {
	return &pb.GetRequest{
		Bucket: r.Bucket, Key: []byte(r.Key), R: int32(r.R), Pr: int32(r.PR), TimeoutMs: inMillis(r.Timeout),
		Sloppy: pb.Sloppiness(r.Sloppy),
	}
}

// ParsePut reads and checks a put.
func ParsePut(m *pb.PutRequest) (*kindred.Request, *kindred.Error) {
	id, err := parseRequestID(m.GetRequestId())
	if err != nil {
		return nil, err
	}
	durability, err := parseDurability(m.GetDurability())
	if err != nil {
		return nil, err
	}
	sloppy, err := parseSloppiness(m.GetSloppy())
	if err != nil {
		return nil, err
	}
	ttl, expiresAt, err := parseExpiry(m)
	if err != nil {
		return nil, err
	}
	return checked(&kindred.Request{
		Op: kindred.OpPut, Bucket: m.GetBucket(), Key: string(m.GetKey()),
		Value: m.GetValue(), ContentType: m.GetContentType(), Context: m.GetContext(), RequestID: id,
		W: kindred.Count(m.GetW()), PW: kindred.Count(m.GetPw()), Durability: durability,
		Timeout: millis(m.GetTimeoutMs()), TTL: ttl, ExpiresAt: expiresAt, Resent: m.GetResent(), Sloppy: sloppy,
	})
}

// FormatPut is the inverse of [ParsePut].
func FormatPut(r *kindred.Request) *pb.PutRequest {
	m := &pb.PutRequest{
		Bucket: r.Bucket, Key: []byte(r.Key), Value: r.Value, ContentType: r.ContentType, Context: r.Context,
		RequestId: formatRequestID(r.RequestID), W: int32(r.W), Pw: int32(r.PW),
		Durability: pb.Durability(r.Durability), TimeoutMs: inMillis(r.Timeout), Resent: r.Resent,
		Sloppy: pb.Sloppiness(r.Sloppy),
	}
	switch {
	case !r.ExpiresAt.IsZero():
		m.Expiry = &pb.PutRequest_ExpiresAtUnixMs{ExpiresAtUnixMs: formatTime(r.ExpiresAt)}
	case r.TTL > 0:
		m.Expiry = &pb.PutRequest_TtlMs{TtlMs: formatTTL(r.TTL)}
	}
	return m
}

// ParseDelete reads and checks a delete.
func ParseDelete(m *pb.DeleteRequest) (*kindred.Request, *kindred.Error) {
	id, err := parseRequestID(m.GetRequestId())
	if err != nil {
		return nil, err
	}
	durability, err := parseDurability(m.GetDurability())
	if err != nil {
		return nil, err
	}
	sloppy, err := parseSloppiness(m.GetSloppy())
	if err != nil {
		return nil, err
	}
	return checked(&kindred.Request{
		Op: kindred.OpDelete, Bucket: m.GetBucket(), Key: string(m.GetKey()), Context: m.GetContext(), RequestID: id,
		W: kindred.Count(m.GetW()), PW: kindred.Count(m.GetPw()), Durability: durability,
		Timeout: millis(m.GetTimeoutMs()), Sloppy: sloppy,
	})
}

// FormatDelete is the inverse of [ParseDelete].
func FormatDelete(r *kindred.Request) *pb.DeleteRequest {
	return &pb.DeleteRequest{
		Bucket: r.Bucket, Key: []byte(r.Key), Context: r.Context, RequestId: formatRequestID(r.RequestID),
		W: int32(r.W), Pw: int32(r.PW), Durability: pb.Durability(r.Durability), TimeoutMs: inMillis(r.Timeout),
		Sloppy: pb.Sloppiness(r.Sloppy),
	}
}

// ParseCall reads and checks one call of a pipeline.
func ParseCall(c *pb.Call) (*kindred.Request, *kindred.Error) {
	switch op := c.GetOp().(type) {
	case *pb.Call_Get:
		return ParseGet(op.Get)
	case *pb.Call_Put:
		return ParsePut(op.Put)
	case *pb.Call_Delete:
		return ParseDelete(op.Delete)
	}
	return nil, kindred.Invalid("op", "the call asks for nothing this node knows: use get, put or delete")
}

// FormatCall is the inverse of [ParseCall]. The request is a get, put or
// delete; anything else makes a call that every node refuses.
func FormatCall(id uint64, r *kindred.Request) *pb.Call {
	c := &pb.Call{Id: id}
	switch r.Op {
	case kindred.OpGet:
		c.Op = &pb.Call_Get{Get: FormatGet(r)}
	case kindred.OpPut:
		c.Op = &pb.Call_Put{Put: FormatPut(r)}
	case kindred.OpDelete:
		c.Op = &pb.Call_Delete{Delete: FormatDelete(r)}
	}
	return c
}

// ParseScan reads and checks a scan. The request asks for its first page; total
// is the number of keys wanted in all, 0 for every one.
func ParseScan(m *pb.ScanRequest) (first *kindred.Request, total uint64, err *kindred.Error) {
	first, err = checked(&kindred.Request{
		Op: kindred.OpScan, Bucket: m.GetBucket(), Timeout: millis(m.GetTimeoutMs()),
		Scan: kindred.Scan{
			Prefix: string(m.GetPrefix()), Cursor: m.GetCursor(), ConflictsOnly: m.GetConflictsOnly(),
			Limit: int(min(m.GetLimit(), kindred.ScanPageMax)),
		},
	})
	return first, m.GetLimit(), err
}

// FormatScan is the inverse of [ParseScan].
func FormatScan(r *kindred.Request, total uint64) *pb.ScanRequest {
	return &pb.ScanRequest{
		Bucket: r.Bucket, Prefix: []byte(r.Scan.Prefix), Cursor: r.Scan.Cursor, Limit: total,
		ConflictsOnly: r.Scan.ConflictsOnly, TimeoutMs: inMillis(r.Timeout),
	}
}

// ParseInspect reads and checks an inspection.
func ParseInspect(m *pb.InspectRequest) (*kindred.Request, *kindred.Error) {
	return checked(&kindred.Request{
		Op: kindred.OpInspect, Bucket: m.GetBucket(), Key: string(m.GetKey()), Timeout: millis(m.GetTimeoutMs()),
	})
}

// FormatInspect is the inverse of [ParseInspect].
func FormatInspect(r *kindred.Request) *pb.InspectRequest {
	return &pb.InspectRequest{Bucket: r.Bucket, Key: []byte(r.Key), TimeoutMs: inMillis(r.Timeout)}
}

// ParseRepairKey reads and checks the repair of a key.
func ParseRepairKey(m *pb.InspectRequest) (*kindred.Request, *kindred.Error) {
	return checked(&kindred.Request{
		Op: kindred.OpRepair, Bucket: m.GetBucket(), Key: string(m.GetKey()), Timeout: millis(m.GetTimeoutMs()),
	})
}

// ParseStage reads and checks a question for the stage of a write.
func ParseStage(m *pb.StageRequest) (*kindred.Request, *kindred.Error) {
	if s := m.GetStage(); s < 0 || s > pb.Stage(kindred.Audited) {
		return nil, kindred.Invalid("stage", "%d is not a stage: use 1 (accepted) to %d (audited), or 0 not to wait", int32(s), kindred.Audited)
	}
	return checked(&kindred.Request{
		Op: kindred.OpStage, Bucket: m.GetBucket(), Key: string(m.GetKey()), Timeout: millis(m.GetTimeoutMs()),
		Dot: m.GetDot(), Stage: kindred.Stage(m.GetStage()),
	})
}

// FormatStage is the inverse of [ParseStage].
func FormatStage(r *kindred.Request) *pb.StageRequest {
	return &pb.StageRequest{
		Bucket: r.Bucket, Key: []byte(r.Key), Dot: r.Dot, Stage: pb.Stage(r.Stage), TimeoutMs: inMillis(r.Timeout),
	}
}

func checked(r *kindred.Request) (*kindred.Request, *kindred.Error) {
	if err := Check(r); err != nil {
		return nil, err
	}
	return r, nil
}

func parseRequestID(b []byte) (id kindred.RequestID, err *kindred.Error) {
	if len(b) != 0 && len(b) != len(id) {
		return id, kindred.Invalid("request_id", "the request id has %d bytes: send %d, or none", len(b), len(id))
	}
	copy(id[:], b)
	return id, nil
}

func formatRequestID(id kindred.RequestID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

func parseDurability(d pb.Durability) (kindred.Durability, *kindred.Error) {
	if d < 0 || d > pb.Durability(kindred.Sync) {
		return 0, kindred.Invalid("durability", "%d is not a durability: use memory (%d), batch (%d) or sync (%d)",
			int32(d), kindred.Memory, kindred.Batch, kindred.Sync)
	}
	return kindred.Durability(d), nil
}

// ttlMillisMax is the longest time to live that a time.Duration holds.
const ttlMillisMax = uint64(math.MaxInt64 / time.Millisecond)

// parseExpiry reads when a put is to expire. Zero is refused where it is said: it
// was hardly meant as never.
func parseExpiry(m *pb.PutRequest) (ttl time.Duration, at time.Time, err *kindred.Error) {
	switch e := m.GetExpiry().(type) {
	case *pb.PutRequest_TtlMs:
		if e.TtlMs == 0 || e.TtlMs > ttlMillisMax {
			return 0, at, kindred.Invalid("ttl", "ttl_ms=%d: use 1 ms to 292 years, or leave it out for a value that stays", e.TtlMs)
		}
		return time.Duration(e.TtlMs) * time.Millisecond, at, nil
	case *pb.PutRequest_ExpiresAtUnixMs:
		if e.ExpiresAtUnixMs == 0 {
			return 0, at, kindred.Invalid("expires_at", "expires_at_unix_ms=0 has passed long ago: leave it out for a value that stays")
		}
		return 0, time.UnixMilli(e.ExpiresAtUnixMs).UTC(), nil
	}
	return 0, at, nil
}

// formatTTL rounds up: 0 is no time to live.
func formatTTL(d time.Duration) uint64 {
	return uint64((d-1)/time.Millisecond + 1)
}

func parseSloppiness(s pb.Sloppiness) (kindred.Sloppiness, *kindred.Error) {
	if s < 0 || s > pb.Sloppiness(kindred.Strict) {
		return 0, kindred.Invalid("sloppy", "%d is no answer to whether guests count: use sloppy (%d) or strict (%d)",
			int32(s), kindred.Sloppy, kindred.Strict)
	}
	return kindred.Sloppiness(s), nil
}

func millis(ms uint32) time.Duration { return time.Duration(ms) * time.Millisecond }

// inMillis rounds up, because 0 would mean the node's default.
func inMillis(d time.Duration) uint32 {
	if d <= 0 {
		return 0
	}
	ms := (d-1)/time.Millisecond + 1
	return uint32(min(ms, math.MaxUint32))
}
