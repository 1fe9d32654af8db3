// Package faults makes the network between this node and its peers fail on
// purpose, inside the process and without privileges.
//
// # Words
//
//   - A [Plan] is what is wrong now: which peers cannot be reached or heard, and
//     how late everything goes out. It also says how wrong the node's clock is,
//     which is for the node to carry out.
//   - A [Network] carries a plan out on the connections and packets that were
//     given to it. Those that were not, clients for instance, never notice.
//   - A [Peer] is the other end: by name on data links, by address in gossip.
//
// # Invariants
//
//   - X1 A cut is lost packets, not closed connections. What is written into it
//     is held, what arrives through it is held, a dial through it hangs, and the
//     end of a connection is not seen beyond it. When the cut ends, a connection
//     that both ends still want goes on where it was, as TCP would.
//   - X2 A one-way cut leaves the other direction alone as far as TCP can: bytes
//     flow against it on connections that exist, but no connection can be made.
//   - X3 A delay keeps the order of each connection and does not limit its rate:
//     one goroutine per connection that is slowed or cut, none per message.
//   - X4 Bounded. A connection holds at most heldBytesMax written bytes, then
//     writes wait; one closed into a cut is held open for orphanMax at most.
//   - X5 A change of plan is in force when Set returns.
//
// # What it does not do
//
// It does not lose, double or reorder bytes of a connection, and does not decide
// about packets: their owner asks [Network.CanSend] and [Network.CanReceive]. An
// accepted connection whose peer never says who it is (gossip) is slowed but not
// cut at this end: a cut is told to the nodes on both sides, and the end that
// dialled enforces both directions.
//
// # Example
//
//	n := faults.New()
//	n.Set(faults.Plan{Cuts: []faults.Cut{{Peer: "n3", NoSend: true, NoReceive: true}}})
//	conn, err := n.Dial(ctx, faults.Named("n3"), dial) // hangs until ctx ends
//	n.Set(faults.Plan{})
package faults
