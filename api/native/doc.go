// Package native is the link between the Go client and a node: frames over TCP
// with encodings written by hand, for gets, puts and deletes. It says the same as
// a pipeline of kindred.v1 (package api) for less work.
//
// # Words
//
//   - A link is one connection after both ends have said the preface and their
//     hello.
//   - A frame is what travels: a hello, calls, results, a ping, a pong or an end.
//   - An end is the last frame of one direction: empty in good order, else with
//     the reason.
//
// # Form
//
// Both ends begin with [Preface], which no HTTP/2 client does, so that one
// listener serves both. Then frames follow one another, in the form of those
// between nodes (decision 0023), with little-endian integers:
//
//	size     4 bytes, of the whole frame
//	version  1 byte
//	kind     1 byte
//	crc      4 bytes, CRC-32C of all the rest
//	count    4 bytes, the number of calls or results in the body
//	body
//
// Calls and results stand one behind the other: numbers as varints, strings and
// bytes behind their length, times in milliseconds, as in kindred.v1. A field
// that is added is a new version: ends without a common version use gRPC.
//
// # Invariants
//
//  1. Everything that arrives is hostile. Decoding returns an error and never
//     panics, and no allocation is larger than what has arrived makes plausible: lists
//     are bounded, and only an object of empty siblings becomes twenty times as large.
//     A request that was decoded has yet to pass [api.Check].
//  2. A frame is delivered whole or not at all.
//  3. A call and a result mean what the messages of kindred.v1 would make of
//     them, to the millisecond and to the number that this build has no word for.
//  4. No write has a deadline: a frame is cut short by the end of its link only,
//     never by a timer of its own, and so nothing follows a torn frame.
//  5. A link at rest holds a read buffer and nothing else: the buffers of frames
//     are let go when they were sent or decoded.
//  6. Pings are answered by the reader's side without waiting for it, whatever
//     the writer does; a link on which bytes move, either way, is alive. Who sends
//     a large frame on a slow road hears pongs that it did not ask for.
//
// # What it does not do
//
// It dials and listens nowhere, knows no TLS, and decides neither who may come in
// nor what happens to calls whose link ended: packages server and client do.
//
// # Example
//
//	link, hello, err := native.Open(conn, "Bearer …", cluster)
//	b := native.NewCalls()
//	b.AddCall(1, request)
//	err = link.Send(b)
//	results, err := link.Results()
package native
