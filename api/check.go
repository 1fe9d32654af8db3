package api

import "github.com/kindredkv/kindred"

// Check reports what is wrong with a request, whichever door it came through,
// or nil. What it lets pass is within every limit of the public contract; only
// the node that holds the key can say more.
func Check(r *kindred.Request) *kindred.Error {
	switch r.Op {
	case kindred.OpGet, kindred.OpPut, kindred.OpDelete, kindred.OpInspect, kindred.OpRepair:
		return checkKey(r)
	case kindred.OpStage:
		return checkStage(r)
	case kindred.OpScan:
		return checkScan(r)
	}
	return kindred.Invalid("op", "%s is not an operation", r.Op)
}

func checkKey(r *kindred.Request) *kindred.Error {
	if err := kindred.CheckName(r.Bucket, r.Key); err != nil {
		return err
	}
	if err := kindred.CheckValue(r.Value, r.ContentType); err != nil {
		return err
	}
	if len(r.Context) > kindred.ContextBytesMax {
		return kindred.TooLarge("context", kindred.ContextBytesMax, len(r.Context),
			"pass back the context of a read as it came")
	}
	if r.Durability > kindred.Sync {
		return kindred.Invalid("durability", "%s is not a durability: use memory, batch or sync", r.Durability)
	}
	if r.Sloppy > kindred.Strict {
		return kindred.Invalid("sloppy", "%s is no answer to whether guests count: use sloppy or strict", r.Sloppy)
	}
	if err := kindred.CheckExpiry(r); err != nil {
		return err
	}
	if err := checkTimeout(r); err != nil {
		return err
	}
	return checkCounts(r)
}

// DotBytesMax bounds the name of a write; ours are much shorter.
const DotBytesMax = 128

func checkStage(r *kindred.Request) *kindred.Error {
	switch {
	case r.Dot == "":
		return kindred.Invalid("dot", "the dot is empty: pass the one that the receipt of the write names")
	case len(r.Dot) > DotBytesMax:
		return kindred.TooLarge("dot", DotBytesMax, len(r.Dot), "pass the one that the receipt of the write names")
	case r.Stage > kindred.Audited:
		return kindred.Invalid("stage", "%s is not a stage: use propagated, settled or audited", r.Stage)
	}
	return checkKey(r)
}

func checkCounts(r *kindred.Request) *kindred.Error {
	for _, f := range [...]struct {
		name  string
		count kindred.Count
	}{{"r", r.R}, {"w", r.W}, {"pr", r.PR}, {"pw", r.PW}} {
		if f.count < kindred.CountAll || f.count > kindred.ReplicasMax {
			return kindred.Invalid(f.name, "%s=%d is not a replica count: use a number from 1 to %d, one, quorum or all",
				f.name, int(f.count), kindred.ReplicasMax)
		}
	}
	return nil
}

func checkScan(r *kindred.Request) *kindred.Error {
	if err := kindred.CheckBucket(r.Bucket); err != nil {
		return err
	}
	s := &r.Scan
	switch {
	case len(s.Prefix) > kindred.KeyBytesMax:
		return kindred.TooLarge("prefix", kindred.KeyBytesMax, len(s.Prefix), "no key is longer than that")
	case len(s.Cursor) > CursorBytesMax:
		return kindred.TooLarge("cursor", CursorBytesMax, len(s.Cursor), "pass back the cursor of a page as it came")
	case s.Limit < 0 || s.Limit > kindred.ScanPageMax:
		return kindred.Invalid("limit", "limit=%d is not a page size: use a number from 1 to %d, and the cursor for more",
			s.Limit, kindred.ScanPageMax)
	}
	return checkTimeout(r)
}

func checkTimeout(r *kindred.Request) *kindred.Error {
	if r.Timeout < 0 {
		return kindred.Invalid("timeout", "timeout=%s is in the past: use a positive duration", r.Timeout)
	}
	return nil
}
