// Package wire is what nodes say to one another: the messages of the
// replication protocol, their binary form, and the record that one version of
// a key carries, on the wire as on disk.
//
// # Form
//
// A message is a format byte, a kind byte, the partition (two bytes, big
// endian) and n (one byte), then the fields of its kind in order: numbers as
// varints, strings and bytes behind their length, dot sets and siblings in the
// form of package vclock. The head is fixed so that a receiver can find the
// shard without decoding the rest ([Peek]). Golden bytes in testdata hold the
// form still; an unknown format or kind is refused by its number.
//
// # Operations
//
// A question carries the [OpID] of the operation that asks, and its answer
// carries it back. The id names the process that minted it, so that an answer
// to a coordinator that has died counts nowhere (R10). Requests that count towards a
// quorum name the layout and the step of their coordinator, and who refuses them for
// that names his own (R24).
//
// # What is not here
//
// No sending (package transport) and no deciding (packages replica and core).
// A decoded message has been checked for form only: whether its dots make
// sense is for its reader to judge.
package wire
