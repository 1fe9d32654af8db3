// Package ownership tries everything that can happen to a partition while its owners
// change: a few nodes, a few layouts, a write or two, and every order of every event. It
// visits each reachable state once and judges it there.
//
// Nothing of this is in the product yet. Package explore plays the real code; this is a
// model that came before the code, of rules which the code is to follow (protocol, R22 to
// R27; decision 0029). What a replica does with a delta is not its subject: here a
// replica is a set of writes.
//
// # Words
//
// A layout has a parent, owners, members, and the nodes that its operator says are gone
// for ever. The tip is the layout that a node works by, the base the one from which the
// tip takes over. A node has taken one of three steps of its tip:
//
//   - both: writes meet their quorum among the owners of the base and among those of the
//     tip; reads ask the owners of the base.
//   - ahead: the same for writes; reads ask the owners of the tip.
//   - alone: the owners of the base count no more.
//
// Voters of a layout are the members of its parent and, unless that is settled, the owners
// of the parent's base, without those that are gone. A node holds the greatest successor of
// its tip that it has heard of, and promises not to use a smaller one. A layout is formed
// when every voter was seen to hold it, and either none of them is beyond both of the parent
// or all are; only then it is used. It is settled when all who are not gone are alone. A new
// owner is complete when it has all that was acknowledged before.
//
// # What can happen
//
// Operators commit layouts, rivals too, and another while one is under way. Nodes hold
// them, work by them, take their steps, are told that they were removed.
// Clients write at any node that counts. A delta arrives at any time or never. Replicas
// pull from one another. Guests keep writes and deliver them. Nodes die for ever, lose
// their disks, give up old copies, are asked to return what they have. Dead incarnations
// are closed.
//
// What a node has announced grows only, and whoever acts on it may have heard of it long
// ago. To act late is to act on it now, so there are no messages about layouts here: a
// node may act on everything that was ever announced, and need not.
//
// # What is demanded
//
// In every state: a strict read, whoever coordinates it and whichever owners answer it,
// has every acknowledged write (I1, I8); every acknowledged write is somewhere; two
// rivals are never in use at nodes that both had a say. In every
// state from which only clients, operators and faults lead on: all nodes are alone with
// the newest layout, its owners have the same, with all that was acknowledged, and nobody
// else has anything, but for removed nodes that nobody has asked yet (I9).
//
// A delete is a write that has seen others. It brings them back only by being lost, so
// that no write is lost is the demand that nothing comes back, too (I5).
//
// # What it does not do
//
// What is acknowledged is durable: the clocks of which owners speak are of after a sync.
// One partition; no request ids, expiry, damage or pruning. Who was declared gone and is
// there answers reads of one replica to itself; nobody can keep those fresh. An
// acknowledgement is not under way while its sender loses its disk (a message is for one
// process), and a disk is not lost together with its vote.
//
// Sources: layouts of several versions with a quorum in each are Garage's; that nobody is
// more than one step away from anybody is the idea of F1's schema changes (VLDB 2013).
package ownership
