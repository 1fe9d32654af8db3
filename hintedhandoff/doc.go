// Package hintedhandoff is what a guest owes: a node that takes writes of a
// partition it is no home of, because homes cannot be reached.
//
// Everything here is a pure value. A [Hint] is what is owed of one key; it lies
// in a row of its own table, and the owner (package core) opens at most one at a
// time for each key, as it does with objects. A [Ledger] counts what is owed, for
// limits and metrics. A [Courier] decides what is delivered when, and how fast. A
// [Guest] mints the dots of writes that no home could coordinate.
//
// # Words
//
// A slot is a place in the list of a partition's homes. A hint owes its delta to
// slots, not to nodes: who has the slot is found out when the hint is offered, so
// that a new layout re-aims it by itself. While owners change a slot has two homes, and
// the one by the new layout pays (R27). A line is one slot of one partition; a
// line's hints are delivered page by page. A hint that owes nothing to anybody is
// paid, and its row goes. A guest with no hints left is retired: nothing of it
// remains but its dots.
//
// # Delivery
//
// A page of hints is read from the store. Their dots are offered to the node that
// has the slot now. It answers which of them it does not hold durably. What it
// holds is paid; the rest is sent as writes of durability sync, and each is paid
// when it is acknowledged. Offers keep hints and exchange from doing the same
// work twice after a cut.
//
// # Invariants
//
//  1. The dots of a hint are exactly those of the deltas that it was made of: never
//     a range, never a base (R7, C1). What is read of it is filled with no clock
//     (C2).
//  2. A hint merges with another of its key by the causal join (R11).
//  3. A slot is paid only for dots that the home of the slot has acknowledged as
//     durable, and only if the hint holds no other dot by then (I7, C14).
//  4. What is refused at a limit is refused before it is acknowledged, and counted.
//  5. The ledger's sums are those of the rows.
//
// # What it does not do
//
// It reads no store by itself, knows no layout and no link: the owner says who has
// a slot and whether that node can be reached. It drops nothing: a hint stays until
// it is paid.
//
// # Example
//
//	h := hintedhandoff.Hint{}
//	h.Owe(wire.AllSlots(3), delta, ids, now) // no home can be reached
//	…
//	h.Pay(1, durable) // the home of slot 1 holds these dots for sure
//	if h.IsPaid() {
//		rows.Delete(storage.HintKey(nil, p, n, bucket, key))
//	}
package hintedhandoff
