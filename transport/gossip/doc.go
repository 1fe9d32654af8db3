// Package gossip tells which nodes are there. It adapts hashicorp/memberlist,
// an implementation of SWIM (Das, Gupta, Motivala 2002) with Lifeguard's
// extensions, to Kindred's needs.
//
// # Words
//
// A member is a node as gossip sees it. Its meta is a few hundred bytes that it
// tells about itself; they are opaque here and belong to package membership.
// A seed is an address from the configuration, a known member one that was
// seen before and is remembered on disk.
//
// # What it adds to memberlist
//
//   - G1 It heals. memberlist forgets a dead member after half a minute and
//     never calls it again, so a cut that lasts longer would be for ever. Here
//     one randomly chosen known or seed address without a live member is called
//     every RejoinEvery, as long as the node lives (Lesson 28); while the node
//     is alone, every second.
//
//   - G2 Events do not run inside memberlist's locks and never hold it up. They
//     are levels, not edges: what happens to a member faster than events are
//     taken arrives as one event about its latest state. So what waits is
//     bounded by the number of members.
//
//   - G3 A member may return at another address as soon as the old one is dead.
//     A node that finds that others know it by another address calls them every
//     second until they know better.
//
//   - G4 Two nodes with one name are reported with both addresses.
//
//   - G5 Leaving and dying are told apart: memberlist's event does not say
//     which it was, so a node that leaves marks its meta first.
//
//   - G6 memberlist's log lines reach slog with a level; nothing goes to
//     standard error.
//
//   - G7 With keys, whatever is not encrypted with one of them changes nothing: it
//     is counted and its sender named in the log. Keys change while it runs.
//
//   - G8 Whoever may reach the port can open streams and say nothing, or too much:
//     StreamsMax of them at a time, for memberlist's time-out, with StreamBytesMax
//     bytes each; one more closes the oldest (package lobby).
//
// # What it does not do
//
// It does not decide who is up (links do, see package membership), carries no
// documents and no user messages, and never removes a member for good.
//
// # Example
//
//	g, err := gossip.Start(gossip.Config{
//		Name: "n1", BindAddr: "127.0.0.1:7402", Seeds: []string{"127.0.0.1:7412"},
//		Meta: meta, Events: func(e gossip.Event) { inbox.Put(e) },
//	})
package gossip
