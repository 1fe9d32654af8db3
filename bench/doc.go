// Package bench measures what an operation costs, on real processes over real
// sockets, and holds it to limits that are ratios within one run: single
// figures depend on the machine, ratios much less.
//
// The measure is CPU time of all processes together, the load generator
// included, divided by the number of operations. The yardstick is one gRPC
// unary echo of 200 bytes between 64 callers and a server.
//
//	go test ./bench -v -count=1
//	go test ./bench -v -count=1 -run Million -million
//
// The race detector changes what things cost, so these tests are not built with
// it.
//
// # What is not here
//
// No comparison with other stores and no latency under open load: a closed loop of
// 64 callers says what an operation costs, not how long a user waits. Both are in
// bench/peers, a module of its own, which make bench runs.
package bench
