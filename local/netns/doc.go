// Package netns gives a program a network, a mount table and a process table of
// its own, so that it can break the machine under its nodes without anybody else
// being the worse for it.
//
// # Words
//
// A sandbox is a copy of the program in new namespaces ([Enter]): it sees the
// machine's files, but what it mounts, which processes it starts and what it does
// to its network is seen by nobody else. A [Network] is what the sandbox makes:
// every node has a namespace with an address of its own, and one wire (a TUN
// device) to the packet filter between them, as clients have, who live in the
// sandbox itself. [Weather] is what the filter does to the packets from one node
// to another.
//
// # Invariants
//
//   - N1: nothing outside the sandbox is changed: not the machine's interfaces, nor
//     its routes, filters and mounts.
//   - N2: nothing stays. Namespaces, wires, mounts and processes belong to the
//     sandbox, and the kernel removes them when it ends, however it ends; it ends
//     when the program that entered it does.
//   - N3: packets of clients are always delivered. Weather is between nodes.
//   - N4: a cut is in force when Set returns: of what a node sends afterwards nothing
//     arrives, on connections that exist as well.
//   - N5: bounded: at most packetsHeldMax packets are on their way, late ones
//     included; more are lost, as in a router whose queue is full.
//
// # What it does not do
//
// It filters in this program, not in the kernel: netem is missing from many
// kernels, and a filter that is ordinary Go also delays, doubles and spoils. It
// needs root, or a user who may make namespaces, and /dev/net/tun; [Missing] says
// which is not there. Spoiling mends the checksum of TCP, as broken hardware above
// it would, and is for ports whose protocol has a checksum of its own.
//
// # Example
//
//	if !netns.Inside() {
//		err := netns.Enter(os.Args[1:]) // runs this program again, in a sandbox
//		…
//	}
//	network, err := netns.New(3)
//	defer network.Close()
//	c, _, err := local.Start(ctx, local.Options{Places: network.Places(), …})
//	network.Set(1, 0, netns.Weather{Cut: true}) // n2 is not heard by n1
package netns
