// Package floor is what no path of Kindred can be cheaper than: an answer on the
// client link, an answer on the peer link, a plain gRPC call, and the rows of one
// replica written to the engine or read from it. Links and engine are Kindred's own.
//
// Each part runs in a process of its own, as a node would, so that its processor
// time is not mixed with that of others: [Echo] answers, [Disk] writes and reads.
// Both end when their standard input does, and so never outlive their parent.
package floor
