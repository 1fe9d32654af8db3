// Package membership decides whom a node knows, whom it dials, who is up, and
// which layout it goes by; it makes the first layout of a cluster.
//
// It is a pure machine: [View] takes events with the time at which they
// happened and returns [Effects] for its owner to carry out.
//
// # Words
//
// A member is a node that was heard of: from gossip, from the disk or from the
// layout. Gossip says that it is alive, dead or has left; a link says that
// messages can be sent to it now. A member is up when it is linked and has not
// left: links are the better witness, because they carry what is to be sent.
// When gossip and link disagree the member is suspect.
//
// A document is a layout and whether it has been formed. Gossip carries only
// which document a node holds ([Meta]); the documents travel over links.
//
// # Invariants
//
//   - M1 Saved first. What Effects.SaveLayout holds must be durable before any
//     other effect of the same call is carried out: a node never announces,
//     uses or sends a layout that it could forget.
//   - M2 One cluster. A node that has a formed layout never takes one of
//     another cluster, and of two layouts of its own cluster it takes the one
//     that ring.Merge picks. Foreign members are not dialled and not up; they
//     are a standing problem.
//   - M3 Formed once. Two first layouts that have a member in common are never
//     both formed (see below).
//   - M4 Dialled for ever. A member is in the dial set until it is removed:
//     members in the layout for ever, others until they leave. A member that
//     returns at another address is dialled there.
//   - M5 Bounded. At most MembersMax members are known, and fields of what
//     peers send have limits (metas MetaBytesMax, documents by package ring).
//     At the limit, members that are neither alive, nor linked, nor in the
//     layout make room; if there are none, newcomers are ignored and reported.
//
// # The first layout
//
// A cluster is born when Expect nodes see one another (alive in gossip and
// linked) and none of them holds a layout: the one with the smallest name makes
// the first layout of all of them. Or an operator asks one node to do it now
// ([View.Init]).
//
// Nodes see different things, crash at any moment and restart, so several
// first layouts may be made. They must not all come into use: clusters cannot
// be merged, since each may have taken writes under its own placement. So a
// first layout is at first a proposal, and holding it is a vote:
//
//  1. A node without a layout accepts the first proposal in which it is a
//     member. It saves it (M1) before it tells.
//  2. A proposal is formed when every one of its members was seen to hold it,
//     or when any node says that it is. Only then is it used: [View.Layout]
//     answers nil before. Any later layout of that cluster is formed.
//  3. A node leaves a proposal for another one only if the other's cluster id
//     is smaller, and only when it knows that a member of its proposal has held
//     a proposal with a smaller id. It leaves it for a formed layout if a
//     member of its proposal is known to hold that.
//
// Why this is safe (M3): by rule 3 what a node holds only ever falls in the
// order of ids until it is formed. Take the first node that leaves a proposal
// P. It knew a member x of P that held something smaller, and x, not having
// left P before, never held P and never will. So P is held by all its members
// at no time in history, and is not formed, ever. Conversely nobody leaves a
// formed layout. And two formed layouts with a common member would both have
// been held by it, the larger one first, which it then left.
//
// The price is that a cluster forms only while all its first members are there,
// which is what Expect asks for anyway. A member that lost its disk in just
// that moment has forgotten its vote; that is a fault beyond this protocol.
//
// The cluster id is not drawn but derived: a hash of the members' names, zones,
// capacities and replica ids (random, one per disk), of the number of
// partitions and of replicas. Two nodes that make the first layout of the same
// members, at the same time or before and after a crash, therefore make the
// same bytes, and nothing is left to resolve. Because replica ids are new on
// every disk, a cluster that is set up again from empty disks has a new id, and
// a node left over from the old one is recognised as foreign.
//
// # Lost disks
//
// A node that lost its disk comes back under its name with another replica id and
// no layout. It takes the formed layout from its peers, in which its name is a
// member, and owns what that name owns; package core copies the data anew. Its
// old disk may come back later in its place: that is another replica id again, and
// an old image. Two disks must not run under one name at the same time; gossip
// reports that as a conflict.
//
// # What it does not do
//
// It does not plan changes of the layout, move data, detect failures or talk to
// anyone. It does not know who may join: whoever reaches the gossip may.
//
// # Example
//
//	v, err := membership.New(cfg, savedLayout, savedPeers)
//	carryOut(v.Start(now))
//	carryOut(v.LinkUp(now, "n2"))
//	if l := v.Layout(); l != nil {
//		places := l.Preference(p, n, v.Up)
//	}
package membership
