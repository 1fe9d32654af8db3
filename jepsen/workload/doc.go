// Package workload decides what the clients of a test do next.
//
// # Words
//
// A [Client] is one deterministic client: it is asked for its next [Intent],
// which a runner carries out, and is given the [Result] with the following
// call. What it does depends on its kind, its number, its source of chance and
// the results, and on nothing else: not on time, and not on other clients. So a
// run can be repeated, and removing one client leaves the others as they were.
//
//	W1 set       read all siblings, merge them, add one element, write with the context
//	W2 blind     concurrent puts that have seen nothing, merged now and then
//	W3 register  read, then write with the context of the read or of the last
//	             receipt; now and then with an old one
//	W4 recreate  delete what is there, write again what is not
//	W5 sessions  write and read back, at another node for every operation
//
// # Invariants
//
//	L1  Write ids are unique among the clients of a run, whatever they do.
//	L2  A context is passed on for the bucket and key that it came from only,
//	    and Seen names what was visible where it came from.
//	L3  A value names its write, and a changed byte in it is noticed.
//
// # What it does not do
//
// It sends nothing, keeps no time and injects no fault. It does not record: the
// runner does, with the help of [Intent.Begin] and [Result.End]. It does not
// retry; a runner or client library that does so reports one result.
//
// # Example
//
//	c, err := workload.NewClient(workload.Set, cfg, 3, rand.New(rand.NewPCG(seed, 3)))
//	…
//	var last workload.Result
//	for !stopped {
//		intent := c.Next(last)
//		n := recorder.Begin(intent.Begin(3, now()))
//		last = carryOut(intent)
//		recorder.End(n, func(op *history.Op) { last.End(op, now()) })
//	}
package workload
