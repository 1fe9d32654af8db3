// Package vclock holds *dotted* version vectors: every write has its own name, a dot, and what a replica or a reader knows is an exact set of dots; plain version vectors keep only a maximum per actor, so they also claim the writes below it that never arrived, and when such a write does arrive it is taken for seen and is lost.
//
// # Words
//
// An [Actor] is one incarnation of one replica. A [Dot] is one write event:
// an actor and its counter. A [DotSet] is a set of dots; replica clocks and
// client contexts are both DotSets. In a DotSet the gap-free prefix of an
// actor is its base, spans above it are exceptions, and an actor whose base
// has no end is closed: nothing of it can ever be news again.
//
// [Siblings] is one key: its live versions, each under its dot, and the key's
// causal context V. Versions that do not know of each other are siblings and
// live side by side until a write that saw them takes their place. A [Delta]
// is what travels about a key from replica to replica.
//
// # The algebra
//
// A replica holds many keys and one clock C for all of them. What it knows
// about key k is E_k = V ∪ C. With D the live versions of k:
//
//	Merge(C, δ)  D := (D ∩ δ.D) ∪ (D \ (δ.V ∪ δ.dots)) ∪ (δ.D \ (V ∪ C))
//	             V := V ∪ δ.V;  C := C ∪ δ.dots;  then Strip(C)
//	Strip(C)     V := V \ base(C)
//	Fill(C)      (D, V ∪ base(C) ∪ dots(D))
//	Discard(ctx) D := D \ ctx;  V := V ∪ ctx
//	Join(a, b)   D := (Da ∩ Db) ∪ (Da \ Vb) ∪ (Db \ Va);  V := Va ∪ Vb
//
// Merge is a join: in any order, with any repetition, replicas that have
// merged the same deltas hold the same versions (I3). Strip is what keeps
// metadata small: once the base of the clock covers a context, the context is
// empty, and a key without versions and without context may be forgotten.
//
// # Invariants
//
// A DotSet (see [DotSet.Check]):
//
//  1. it is sorted by actor, then by the beginning of the span;
//  2. no span is empty, and counters begin at 1;
//  3. spans of one actor neither overlap nor touch;
//  4. nothing belongs to the zero actor.
//
// Siblings (see [Siblings.Check]):
//
//  1. versions are sorted by dot and no dot occurs twice;
//  2. every version's dot is one a replica can mint;
//  3. the context is a sound DotSet.
//
// A Delta (see [Delta.Check]):
//
//  1. its siblings are sound;
//  2. its dots are a sound DotSet;
//  3. every live version's dot is among its dots.
//
// # Sharing memory
//
// A DotSet and a Siblings own their slices, and mutating methods change them
// in place. Assigning one to another variable makes a second view of the same
// memory, as with slices: use at most one of the two for changes, or Clone. No
// method keeps a slice of an argument, none changes an argument other than its
// receiver (and the clock given to Merge), and what Clone, Fill, Join, Dots,
// Seen, Bases, Minus and Intersect return shares no memory with anything. The
// values themselves are copied as Go copies them and are taken to be
// immutable. Any number of goroutines may read one object while none changes it.
//
// # What it does not do
//
// It does not mint counters, store, send, or keep time. It does not know which
// replica may be believed: it panics when this program breaks its own law (a
// counter of zero, an empty span) and returns a [DecodeError] for bad bytes
// from outside. It does not bound the number of siblings or actors: the
// replica does, and a decoder's memory is bounded by the bytes it was given.
// It cannot tell whether two versions of one dot differ; [CheckSameValues]
// can.
//
// # Sources
//
// Dotted version vectors: Preguiça, Baquero, Almeida, Fonte, Gonçalves, 2010.
// Server wide clocks and dotted causal containers: Gonçalves, Almeida,
// Baquero, Fonte, DAIS 2015. Where those keep vectors of maxima per key, this
// package keeps sets; README.md shows the lost write that made it so.
package vclock
