// Package report makes of a run what people read and what scripts read: one page of
// HTML that needs nothing else, and one document of JSON.
//
// # Words
//
// A [Run] is what a run was, did and came to; package jepsen fills it. A part is one
// workload of it, with its history and the judgement of package checker. The page
// has, on one axis of time, what went wrong, what each client did, how long answers
// took, how many there were, and how far the replicas were from being equal; below
// it each anomaly with the ops that show it.
//
// # Invariants
//
//	P1  The page loads nothing: no script, no picture, no font, no address that a
//	    browser would follow by itself.
//	P2  Whatever keys, values, errors and names hold, it is shown as text.
//	P3  The page stays below 2 MB, however long the history: ops that are too close
//	    to be told apart are drawn as one, and of many anomalies the first are shown
//	    and all are counted.
//	P4  The same run makes the same bytes.
//
// # What it does not do
//
// It judges nothing: verdicts come from package checker, and that the cluster came
// to rest from package jepsen. It says what judges do not prove ([Limits]). It reads
// no clock and no file.
package report
