// Package checker judges a recorded run: was what clients were told allowed?
//
// # Words
//
// A [Property] is a promise of the store; the numbers are those of the
// project's list of checkers. [Check] gives a [Verdict] for each: OK, Violated
// with [Finding] values that name the ops, or Unknown. Unknown is not OK (I12):
// a history that breaks an assumption, or in which nothing could be checked,
// proves nothing.
//
//	C1   an acknowledged write is never lost
//	C2   reads show exact sets: nothing invented, no value beside one that superseded it
//	C3   nothing superseded or deleted comes back
//	C4   sessions read their own writes, and do not go back
//	C5   a read with R + W > N sees the last acknowledged write
//	C10  what was reported as not applied never appears
//	I2   a dot names one write for ever
//
// C1 and C3 are judged on final reads; the others on every read. An acked write
// that is missing in a final read is C1, a superseded value in it C3.
//
// # How a read is judged
//
// What a read knew is a set of writes A that is closed under "had seen", and
// what it found are the puts of A that no write of A had seen. Some writes must
// be in A (for C5 those acknowledged before it began), some may be (concurrent
// ones, and those of unknown outcome, which may take effect at any time or
// never), others may not. The checker decides whether such an A exists:
//
//	V1  Everything found may be known.
//	V2  Nothing found was seen, directly or through others, by a write that must
//	    be known, or by another one found.
//	V3  Every put that must be known is found, or was seen by a write that must
//	    be known, or by one that is possible.
//	V4  A write is possible if it may be known, nothing that it had seen,
//	    directly or through others, was found, and, if it is a put, it was found
//	    itself or was seen by another possible write.
//
// The largest set of possible writes answers it exactly: adding a possible
// write never makes another one impossible. A test compares this with trying
// all subsets.
//
// Only the writes visible to a context are recorded, although a context covers
// more: all that these had superseded, and what others had superseded or
// deleted at the replicas that were read. That is enough. Suppose that a put is
// covered by the context of a write in A without having been visible there.
// Then it was superseded in what that read knew, which is a smaller set of the
// same kind within A; follow this down, and there is a write in A to which it
// was visible.
//
// # Assumptions
//
//	A1  A write id is used by one op.
//	A2  Every op satisfies H1 to H6 of package history.
//	A3  A process does one thing at a time (needed for C4 only).
//	A4  What an op has seen are writes of its own object that began before it,
//	    unless the store itself has shown something else, which is C2.
//	A5  After the first final read of an object has begun, none of its writes
//	    begins or is acknowledged.
//	A6  Every object that was written has a final read, and those were answered.
//	A7  Siblings are kept: the bucket does not drop some of them by itself.
//	A8  The object was empty when the run began.
//
//	A9  All times are of one clock.
//
// A1 to A6 are checked. Where A1 or A2 fails, everything is Unknown; where A4
// does, everything about the object; A5 and A6 concern C1 and C3 only.
//
// # What it does not do
//
// It does not know which faults were injected, nor whether they exceeded what
// the cluster was built to survive; the one who ran it says so in [Options]. It
// does not look at timing, convergence or availability. A write under one
// request id that was sent several times may have become two events; if one of
// them was superseded before the other arrived, the value is back. That is
// documented behaviour (I10), so it is counted as an echo, if the dots show it; and
// it does not refute what had seen the other event (V4).
//
// # Example
//
//	report := checker.Check(&h, checker.Options{})
//	if report.Status() != checker.OK {
//		fmt.Println(report)
//	}
package checker
