// Package local runs clusters of real kvnode processes on this machine, for
// people (kvcli local) and for fault-injection suites.
//
// # Words
//
// A cluster lives in a folder: cluster.json says which nodes there are and
// which process each one is, lock keeps two programs from changing it at once,
// and every node has a folder of its own with data/ and kvnode.log.
//
// The node of number i is called "n<i>" and listens on 127.0.0.1 at
// base+10(i-1)+{0 client, 1 peer, 2 gossip, 3 HTTP}. The first nodes are numbered from
// 1, and go round the zones "z1", "z2" and so on. One that is added gets a number that
// no node has had before, and the zone with the fewest; one that is removed leaves a
// gap. A cluster that is made with places has a host for each node instead, which may
// be in a network namespace: package netns makes some.
//
// A node is running, paused (stopped by SIGSTOP) or stopped (no process). A cut
// loses what the nodes of one side send to those of the other; a slow node sends
// everything late. Clients reach all nodes all the time.
//
// # Invariants
//
//   - L1: a signal goes only to the process that was started for the node. A
//     process is known by its id, its start time and the boot it belongs to, and
//     is held by a pidfd from the check to the signal, so a reused id is never
//     hit.
//   - L2: the nodes outlive the program that started them: each has a session
//     of its own.
//   - L3: a start or an add that fails leaves no process behind that it started; the
//     data and the logs stay.
//   - L4: cluster.json is replaced as a whole; a crash leaves the old or the new
//     one.
//   - L5: nothing is deleted but by Wipe, which refuses a node that has a process, and
//     by a Remove that is asked to.
//   - L6: a fault that was ordered is in force on every running node, or on none
//     and the order failed. It is remembered, and a node that starts again has it
//     before it listens. A paused node has it as soon as it is resumed.
//
// # What it does not do
//
// It does not look inside a node: whether a node is ready is what the node's
// own /readyz says. Nor does it change the layout: a node that was added owns nothing
// yet, and before one is removed, others must have what it holds. It knows no other
// machine, and it needs Linux (/proc and pidfd).
//
// # Example
//
//	c, _, err := local.Start(ctx, local.Options{Dir: ".kindred", KVNode: "bin/kvnode", Shape: local.Shape{Nodes: 3}})
//	if err != nil { … }
//	defer c.Stop(context.Background(), 10*time.Second)
//	err = c.Kill(ctx, "n2")
//	err = c.Restart(ctx, "n2", local.RestartOptions{})
//	_, err = c.Cut(ctx, local.Sides{Left: []string{"1"}, Right: []string{"2", "3"}}, false)
//	err = c.Heal(ctx)
package local
