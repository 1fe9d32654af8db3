// Package antientropy makes the home replicas of a partition equal, at the cost
// of what is missing.
//
// An [Exchange] is one home replica's side of it (R9): a pure value that knows
// what the other homes have advertised. It says what to advertise to whom, which
// dots to ask whom for, what every home holds for certain, and whether this
// replica may count toward a read. The owner (package core) passes on messages,
// time, and the replica's clock as it is now, and takes what is to be sent.
//
// # Words
//
// durable: dots whose effect a crash of the replica cannot take back. common:
// dots that are durable at every home. propagated, settled: a dot is in common;
// every home has advertised it as common. target: the clock that another home
// had when it first answered this incarnation.
//
// # Pull
//
// A home advertises its durable clock to the others when it has changed, about
// once a second, as what was added; a digest tells whether a message was lost.
// Who lacks dots asks for them, each dot at one holder only, and joins what comes
// piece by piece: loss, order and repetition are harmless, and nobody has to
// remember a session. Writes on their way are not pulled: a dot must have been
// missing at two looks.
//
// # Invariants
//
//  1. What is advertised is durable at the advertiser when it leaves (I6).
//  2. Common is within the durable clock of this home, and within what every
//     other home has advertised in the incarnation last heard of.
//  3. A dot is asked of one home at a time.
//  4. A replica that may have lost data counts toward no read until it has
//     contained the targets of n − W + 1 other homes (R17).
//
// # Incarnations
//
// Messages may come late, even from an earlier life of a peer. An advertisement
// echoes the last one that its sender has heard of the receiver. One from an
// incarnation that is not the known one counts only if it echoes what was said
// after that incarnation was first met; so one that is dead by then can never
// come back.
//
// # Owners that change
//
// While a layout changes the homes are those of two, the base and the tip ([Owners]).
// A home of the base is fenced once it works by the tip: what it acknowledged by the
// base is in its clock. Complete is who has contained a fenced clock of each of them,
// durably (R25). A former home is one of neither: it greets the homes until they have
// what it has, and they pull from it like from any other, but nothing that they hold for
// certain depends on it (R27).
//
// # Closing dead incarnations
//
// [Close] is the proposer's side of closing an incarnation (R15), [Promises] a
// member's (R14): what it has promised, what it has learned, and the rows of
// both. The argument why this is safe without consensus is with Close.
//
// # What is not here
//
// No reading of stores and no joining of pieces: packages replica and core do
// that. Unserved says that a replica lacks what nobody has in its log: Rebuild, in
// this package too, copies it anew. Dots without end, as closed actors have, are not
// pulled: the record that closed them brings them.
//
// # Example
//
//	e := antientropy.NewExchange(config)
//	e.SetLink(now, "n2", true, clock) // a greeting is to be sent
//	e.Heard(now, "n2", message, clock)
//	for _, send := range e.Take() { … }
package antientropy
