// Package lobby bounds what those may take at a port who have not said who they
// are: connections, time and bytes.
//
// # Words
//
// A stranger is a connection that nobody has answered for yet. It waits in the
// lobby until it is introduced, by whatever the protocol above takes for a proof,
// or ends.
//
// # Invariants
//
//   - L1 At most Max strangers are in the lobby. One more puts out the one that
//     has waited longest: it had the most time to introduce itself. So strangers
//     who sit and say nothing shut nobody out, and no one has to wait for them.
//   - L2 No stranger stays for longer than Patience, or sends more than BytesMax.
//   - L3 Those who were introduced take no place. How many of them there may be is
//     for the protocol above to say.
//   - L4 Whoever was put out is counted, and named in the log at most once a second.
//
// # What it does not do
//
// It does not limit connections per address: behind one address may be a whole
// cluster. Whoever opens connections faster than peers can introduce themselves
// still keeps them out; that is for a firewall.
//
// # Example
//
//	l := lobby.New(lobby.Limits{Max: 512, Patience: 3 * time.Second, BytesMax: 64 << 10}, "peer", log)
//	raw, err := listener.Accept()
//	guest := l.Enter(raw)
//	if proven(guest) && !guest.Introduce() {
//		return // too late: it was put out
//	}
package lobby
