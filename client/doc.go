// Package client is the Go client of Kindred.
//
//	c, err := client.Dial(ctx, []string{"127.0.0.1:7400"})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	carts := c.Bucket("carts")
//	_, err = carts.Update(ctx, "alice", func(siblings [][]byte) ([]byte, error) {
//		return mergeCarts(siblings, "milk")
//	})
//
// # If you have used Redis
//
// Get, Put and Delete are what you know, with one difference that matters:
// every key lives on several nodes, any of which takes writes, even while they
// cannot reach one another. So two writers can change one key at the same time
// without either being told. Redis would keep whichever came last. Kindred
// keeps both, and asks you what they mean together.
//
// # Words
//
// Siblings are the values of one key that were written concurrently: neither
// writer had seen the value of the other. Most keys have one value, and
// [Object.Value] returns it. When there are several it returns a
// *[SiblingsError] and you merge them: the union of two carts, the later of two
// dates, a question to the user.
//
// A [Context] says what its holder has seen of a key. Every get and every write
// returns one. [Seen] passes it back, and then the write replaces what was seen
// and nothing else: a value that came in between is not overwritten but becomes
// a sibling. A put without a context is blind. It has seen nothing, so it
// replaces nothing, and every blind put of one key adds a sibling. A delete
// without a context removes what a read quorum shows at that moment. A context
// is bound to its key; anywhere else it is refused.
//
// So the way to change a key is: get, merge what you got, put with the context
// of the get. [Bucket.Update] does just that, with a [MergeFunc] of yours;
// CheckMerge of package jepsen looks for siblings that it spoils.
//
// # Retries
//
// A call is retried on another node when its connection fails, when the node
// refuses it for now (unavailable, overloaded, stopping, no_layout, wrong_ring,
// wrong_cluster, disk_full), when it says nothing for a third of the call's time, or when it
// shows no sign of life for half a second. It is never retried when the call itself is at fault (invalid, too_large,
// bad_context, too_many_siblings). All of it happens within the deadline of the
// context, or [Timeout], or [TimeoutDefault]. Every write carries a random
// [RequestID] which its retries repeat, so that a node that has seen it does
// not write again. Budgets keep the extra load small: one retry for five calls
// in the long run, one hedge for twenty gets.
//
// A hedge is a second question: when a get takes longer than nearly all gets
// did lately, a second node is asked too and the first answer wins. It is on by
// default.
//
// # Outcomes
//
// A call that returns no error took effect as asked. Otherwise
// [kindred.OutcomeOf] says what is known:
//
//   - NotApplied: nothing happened, and nothing will. Repeat it if you like.
//   - Unknown: it may have taken effect, or may still, for instance because the
//     connection broke before the answer came. One attempt whose fate is
//     unknown makes the whole call unknown, whatever later attempts said. Read
//     the key, or repeat the call with the RequestID of the *[Error].
//
// An update that is repeated after Unknown may find its own value among the
// siblings, so a merge function should not mind seeing a value twice. Sets,
// maxima and "the newest of each" do not mind; sums do.
//
// # Stages
//
// A write that was acknowledged goes on travelling: to the homes that were down,
// from the guests that stood in for them. [Receipt.Wait] returns when it is
// propagated (on the disk of every home replica), settled (every home knows that)
// or audited (an audit found it there). That may take as long as a home is away,
// so give its context a deadline.
//
// # Invariants
//
//  1. A write without a context supersedes nothing.
//  2. An error of a write says NotApplied only if no node can have acted on it.
//  3. Every wait ends with its context, and Close ends them all. Nothing is
//     left running after Close.
//  4. No goroutine is started for a call (a batch starts a few for all of its
//     operations); calls to one node that are made at the same time share a
//     message.
//  5. What nodes can make grow is bounded: calls in flight ([WithOutstanding]),
//     connections ([NodesMax]), attempts, retries and hedges.
//
// # On the wire
//
// Gets, puts and deletes take native links (package native), everything else gRPC,
// both at the client address of a node. Where a node, or something on the way, does
// not answer the greeting of a link, gRPC takes its place. [WithGRPCOnly] has no links.
//
// # Being watched
//
// [WithTracerProvider] makes OpenTelemetry spans, [WithMetrics] Prometheus metrics,
// [WithLogger] a log. All three are off by default and then cost nothing.
//
// # What this package does not do
//
// It does not resolve conflicts by itself, cache values, or order calls: two
// calls that one goroutine makes one after the other may be answered by
// different nodes, and only contexts (or R + W > n) make the second see the
// first. It does not speak HTTP.
package client
