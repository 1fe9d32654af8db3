// Package ring says where keys live: which partition a key belongs to, which
// nodes own that partition, and who stands in while an owner is away.
//
// # Words
//
// The key space is cut into a fixed power of two of equal arcs, the
// partitions. A [Layout] is one whole decision about them: a list of nodes
// (name, zone, capacity) and, for every partition, its owners in order. A
// bucket with n copies uses the first n owners of a partition, its homes. A
// zone is a set of nodes that may fail together. A capacity is a relative
// weight: a node of capacity 2 is given twice what a node of capacity 1 is
// given, as far as the rules below allow; one of capacity 0 is a member that
// owns nothing and stands in for nobody. Use 1 unless nodes differ.
//
// # What a layout made here keeps
//
//  1. Every partition has as many distinct owners as asked for, or every node
//     with a capacity when those are fewer.
//  2. Owners of a partition lie in distinct zones when there are that many
//     zones. Otherwise they are spread as evenly as zones and their sizes
//     permit. The same holds for every prefix of the owners, so buckets with
//     fewer copies are spread as well.
//  3. Every node owns its fair share of copies, rounded down or up to a whole
//     number. The fair share is proportional to capacity, except that a node
//     can own at most one copy of a partition, and a zone at most what rule 2
//     gives it; what does not fit is shared out among the others in proportion
//     to their capacities (see fair.go).
//  4. [Layout.Change] moves the fewest copies that reach rules 1 to 3: the
//     placement is a minimum-cost flow (see place.go).
//  5. Every prefix of the owners is balanced like the whole, as far as the
//     sets of owners permit, and owners that stay keep their slots unless that
//     costs balance (see order.go).
//  6. The same arguments give the same bytes, in whatever order nodes are
//     named, and on every little-endian machine (the murmur3 library reads
//     words in the machine's order).
//
// [Layout.Check] judges any layout, also a decoded one, by rules 1 to 3.
//
// # Versions
//
// A [Version] is a counter and a hash of the content. Two operators who change
// the layout on two sides of a cut make two layouts with one counter and two
// hashes. [Merge] picks one of them, the same one everywhere: layouts are whole
// decisions, so joining them is taking the greatest. [Version.Rivals] tells
// that it happened.
//
// # Changing a layout together
//
// The rules are R22 and R23 of the protocol; why they are so is decision 0029.
//
// A [Staging] is what operators want changed; it merges across any number of sides
// of a cut. A [Decision] is a layout with what it follows on, which nodes are gone
// for ever, and what it took from the staging: what a losing decision took waits
// again by itself. A [Course] is one node's way: it holds the greatest successor of
// its tip, uses it when all its voters were seen to hold it, and goes with all
// others from the old owners to the new in three steps. What nodes know of one
// decision is a [File]; files merge. A [Phase] is by whose owners a course works at one
// moment. A [Plan] says what a decision would move and
// why it is refused.
//
// # What this package does not do
//
// It does not know who is up (callers pass that), does not move data, does not
// carry messages about layouts and does not store them. A layout is immutable and may be
// used from many goroutines at once; so are stagings, decisions and files. A course
// is not.
//
// Sources: the partitions and preference lists of Dynamo (SOSP 2007) and of
// riak_core's riak_core_apl; placement by flows follows the idea of Garage's
// layout computation; rendezvous hashing is Thaler and Ravishankar's (1998).
package ring
