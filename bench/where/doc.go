// Where reads what perf has sampled of the nodes and of the program that asks them,
// and says which floor of the building the processor was on:
//
//	perf record -F 400 -g -p PIDS -o run.perf sleep 8
//	perf script -i run.perf -F comm,ip,sym | go run ./bench/where
//
// A sample is counted once, for the innermost floor on its stack: what Pebble takes
// in a write is storage, and not core, which called it. What goroutines of gRPC take
// is the server's, or the client's in the other program. What is on no floor is the
// runtime's: its scheduler with the system calls that put threads to sleep and wake
// them, and its collector. Beside each share stands what part of it was spent in
// system calls, and in allocating.
//
// docs/performance.md has the numbers, and how to have them again.
package main
