// Package history records what clients of a store did and what they were told,
// so that a checker can judge afterwards whether that was allowed.
//
// # Words
//
// An [Op] is one operation of one client from its invocation to its end: what
// was asked, with which context, what came back, when. Times count from the
// start of the run, in virtual or in wall time; all ops of a history use the
// same clock. A [WriteID] names the intention to write once; it is part of the
// value that is written, so a read shows whose values it found. A process is
// one client, which does one thing at a time; its ops in order are its session.
//
// A final read is made when the faults have ended, the cluster has converged,
// and no client writes any more.
//
// # Invariants of an op (see [Op.Check])
//
//	H1  The kind, the outcome, bucket and key are set.
//	H2  It ends no earlier than it begins.
//	H3  A put or delete has a write id; a get has none.
//	H4  Only a get has siblings, and only an applied one; each names its write.
//	H5  Only a get is final.
//	H6  Need is at most N, and neither is negative.
//
// # What "seen" is
//
// A write carries the context of an earlier read, or of an earlier receipt. To
// judge it, it is enough to know the writes that were *visible* there: the
// siblings of that read, or the one write of that receipt. What those had
// themselves superseded follows by itself, because contexts are transitive.
// Package checker explains why this is exact.
//
// # The file
//
// JSON, one value per line: first a [Header] with the version of the format,
// then one op per line in the order in which they were recorded. Names are
// short, because a long run has many lines. [Reader] refuses a version that it
// does not know, a field that it does not know, and a line beyond
// [LineBytesMax], and says in which line.
//
// # EDN
//
// [History.WriteEDN] writes a history as Jepsen has it, for other checkers than ours,
// in one of several [Form] values; jepsen/history/README.md says which checker judges what.
// Nothing here reads it back.
//
// # What it does not do
//
// It does not judge: whether write ids are unique, or a process overlaps with
// itself, is among the assumptions that package checker checks. It does not
// keep values, only the ids in them.
//
// # Example
//
//	var rec history.Recorder
//	op := rec.Begin(history.Op{Process: 1, Invoke: now, Kind: history.Put, Bucket: "b", Key: "k", Write: 7})
//	…
//	rec.End(op, func(o *history.Op) { o.Complete, o.Outcome = now, kindred.Applied })
//	h := rec.History(end)
package history
