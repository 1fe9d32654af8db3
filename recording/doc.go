// Package recording is the flight recorder of a shard: what it was given, written down
// so that it can be played again.
//
// Package core makes a pure machine of each shard: what it does follows from its
// configuration, from what it was given, in which order and at which times, and from
// what the store answered. A [Shard] is a core.Shard that writes all of that to a
// [Tape]. A [Player] gives it to a new core.Shard, without disk, network or clock, as
// package sim does, and compares what comes out.
//
// # Words
//
// An [Event] is one thing that a shard was given: a request, a message, what was read
// for it. Steps are events, numbered from 0 at the start of the process. A take is the
// moment when the effects that have gathered are carried out; it is a step too. The
// [Sum] is of everything that came out, in order.
//
// # Invariants
//
//  1. An event is on the tape before the shard is given it, except for the readings of
//     a start: a shard that panics has its last event recorded.
//  2. Every event carries the sum of what came before it. A replay whose sums are
//     equal has done the same, effect for effect, up to there; the first that is not
//     names the step before it.
//  3. What is read for a shard is recorded as the rows that the store answered. A
//     replay that asks for other rows has diverged.
//  4. A shard with a tape is given a time that nobody sets, and apart from it what the
//     wall clock is ahead. A time.Time of a process is two clocks in one, and a
//     recording could give back only one.
//  5. Without a tape nothing is allocated, encoded or added up.
//
// # Files
//
// A file is a header and events, each with its size and checksums (CRC-32C) of both.
// Several make the recording of one shard; each says which step it begins with. What
// is cut off in the middle of an event is [ErrTorn], what has other bytes than were
// written [ErrDamaged]. That the last file of a recording was cut off between two
// events shows nowhere: so ends one of a process that was killed, too. Form counts the changes; a recording is for the program that
// made it, because another one may do something else for good reasons.
//
// # What it does not do
//
// It opens no files; package node writes them and bounds them, kvcli reads them. It
// cannot begin in the middle: a shard's state is operations in progress, and nothing
// writes those down (docs/decisions/0027). What happens outside shards is not recorded, only
// what shards hear of it: gossip, links and layouts as they change, buckets. A
// recording holds keys and values.
//
// # Example
//
//	p, err := recording.NewPlayer(reader.Header)
//	for err == nil {
//		step, event, end := reader.Next()
//		if end != nil {
//			break
//		}
//		out, err = p.Play(event)
//		fmt.Println(step, event.Text(), out.Lines)
//	}
package recording
