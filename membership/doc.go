// Package membership decides whom a node knows, whom it dials, who is up, and
// which layout it goes by; it makes the first layout of a cluster, and takes part in
// changing it.
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
// A document is what a node holds of layouts: the proposal of a first layout, or,
// once that is formed, all that it knows of decisions (ring.Course), what operators have
// staged, and what was committed before. Gossip carries only a hash of it ([Meta]); the
// documents travel over links.
//
// # Invariants
//
//   - M1 Saved first. What Effects.SaveLayout holds must be durable before any
//     other effect of the same call is carried out: a node never announces,
//     uses or sends a layout that it could forget.
//   - M2 One cluster. A node that has a formed layout never takes one of
//     another cluster. Foreign members are not dialled and not up; they are a
//     standing problem.
//   - M3 Formed once. Two first layouts that have a member in common are never
//     both formed (see below).
//   - M4 Dialled for ever. Who has a part in a layout that is in use, or in the next
//     one, is in the dial set for ever: members, and owners of the base. Others, also who was
//     removed or has left the layout, are only while they are there, and are forgotten
//     then; before there is a layout, until they leave. A member that returns at another address is dialled there.
//   - M5 Bounded. At most MembersMax members are known, and fields of what
//     peers send have limits (metas MetaBytesMax, documents by package ring, and
//     HistoryMax layouts of before).
//     At the limit, members that are neither alive, nor linked, nor in a
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
// # Layouts that change
//
// From then on the rules are R22 and R23 of the protocol, and package ring does them
// ([ring.Course]); see decision 0029. This package saves the course after every change,
// tells it, hears others, and turns it as far as it goes. Operators stage changes at any
// node ([View.Stage]), see what a commit would do ([View.Plan]) and commit that very plan
// ([View.Commit]). A layout that was saved before layouts could change is the first
// decision.
//
// Who tells whom:
//
//  1. What a node has done itself (staged, committed, a vote, a step, that it is complete)
//     it tells all linked members at once. What it was told others were told too; it
//     tells those whose gossip still shows another hash after ResendEvery.
//  2. A document is answered when that of the receiver is another one afterwards, or when
//     it was no news: then the sender does not know that it had arrived.
//  3. What is sent in vain is sent again, after ResendEvery, then twice that, up to
//     ResendMax.
//  4. [View.Differ] tells a peer at once, when a refused request has shown that the two
//     differ.
//
// A whole document travels each time, some ten kilobytes for a thousand partitions, and a
// change makes each node tell each other about five times.
//
// What was staged is not dropped here when a decision has taken it: so all nodes hold the
// same, and what a losing decision took waits again by itself. The history is the newest
// HistoryMax commits, what became of them at each node for the newest OutcomesMax; it
// merges like all else.
//
// # Lost disks
//
// A node that lost its disk comes back under its name with another replica id and
// no layout. It enters the cluster with what its peers tell (ring.Enter), where its name
// was, and owns what that name owns; package core copies the data anew. Its
// old disk may come back later in its place: that is another replica id again, and
// an old image. Two disks must not run under one name at the same time; gossip
// reports that as a conflict.
//
// A layout may have been formed with its vote, and a peer that is behind not know of it.
// So it waits until all members that are there have told it, for EnterPatience at most. A
// vote for a layout that is not formed yet is lost with its disk: if it votes for another
// one then, and both are formed, that is a fault beyond this protocol.
//
// # What it does not do
//
// It does not choose changes of the layout, move data, know what is complete, detect
// failures or talk to anyone. It does not know who may join: whoever reaches the gossip
// may be staged.
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
