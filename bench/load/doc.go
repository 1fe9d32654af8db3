// Package load is the pure part of a load generator: what to ask a store for,
// when, and what it took.
//
// # Words
//
// A profile says what real or customary traffic looks like: a mix of kinds of
// operations, the popularity of keys, sizes, times to live. A [Source] draws one
// caller's operations from it. [Arrivals] are the moments at which operations are
// meant to begin when a rate is given (open loop); without a rate every caller
// begins its next operation when the last one has ended (closed loop). A [Tally]
// takes samples and becomes a [Report]; reports are compared by [Compare] and
// drawn by [Report.SVG].
//
// # Invariants
//
//   - B1: the latency of an operation runs from the moment at which it was meant to
//     begin, so that a store which stands still is charged for everything that had
//     to wait, not for one operation per caller (no coordinated omission).
//   - B2: a failed operation is counted by what is known of it and is never among
//     the latencies of those that were done.
//   - B3: operations that fell due and were not begun before the end are counted:
//     latencies are then a lower bound, and the report says so.
//   - B4: what is drawn depends on the settings and the seed alone, but for keys
//     that are inserted meanwhile.
//
// # What it does not do
//
// It asks no store and reads no clock: package driver does. It judges no store
// either: a ratio without spread is printed as one whose spread is not known.
package load
