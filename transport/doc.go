// Package transport carries opaque messages between nodes: one link per peer
// and direction, batched frames, bounded queues, no waiting.
//
// # Words
//
//   - A peer is another node, known by its name and dialled at its address.
//   - A link is one TCP connection to a peer that has passed its hello, under TLS
//     1.3 where there are certificates. A node sends on the links it dialled and
//     receives on the links dialled by its peers, so each direction lives and dies
//     by itself.
//   - A lane is one of two independent links to the same peer: messages, and
//     bulk for transfers. Each has its own connection and queue, so that a
//     transfer cannot delay a request.
//   - A frame is what travels: many messages under one checksum.
//   - An end is the last frame of a link, with the reason if it is not in good order.
//
// # How a message travels
//
// Send copies the message into the frame being built for its peer and returns;
// the link's writer sends whatever has gathered while it sent the frame
// before. Under load frames grow by themselves and the cost of the path is
// shared; without load a message leaves at once. There is no timer and no
// goroutine or channel operation per message.
//
// # Invariants
//
//   - T1 Never waits. Send and SendBulk return without waiting for anything
//     but a short mutex, whatever the peer does. A peer that is frozen, slow or
//     gone delays only its own link.
//   - T2 Bounded. A lane holds at most QueueBytesMax or BulkQueueBytesMax bytes
//     of messages (or one single message of up to MessageBytesMax); beyond that
//     Send fails with [QueueFullError]. The other peer-growable things have limits of their
//     own: MessageBytesMax, LinksInMax, NamesMax. Whoever has not passed his hello
//     is a stranger (package lobby): StrangersMax of them at a time, for
//     DialTimeout, with 64 KiB; they take no place of a peer's.
//   - T3 Whole or not at all. A message that is larger than a frame travels in
//     parts and is delivered once it is complete. A frame whose checksum,
//     version or structure is wrong is not delivered, not even in part. It closes its link, is counted
//     and named in the log; it never panics.
//   - T4 In order while a link lives: messages accepted by Send for one peer
//     arrive in that order, without gaps. A broken link drops what it held,
//     counts it, and the next link begins anew. So messages may be lost, and
//     the tail of one link may arrive beside the head of the next; the
//     protocol above must bear both (it does: merges are joins).
//   - T5 Known peers only. The hello names both ends, the cluster and the frame
//     versions; a mismatch is refused with its reason, logged once per change.
//     A zero cluster id means "not joined yet" and fits any cluster. With
//     certificates both ends prove the name that they say, at the start and after
//     every change of the files; whoever cannot is refused with both names.
//   - T6 Tireless. A peer is dialled again after at most RedialMax until it is
//     taken out of SetPeers, whatever gossip believes. A peer that answers no
//     heartbeat within DeadAfter counts as gone: its link is closed.
//
// # Ownership of messages
//
// Send copies, so the caller may reuse its buffer at once. A received [Batch]
// and its messages are slices of one buffer that belongs to the receiver and
// is never reused: messages may be retained without copying. A message that
// outlives its batch by much should be cloned, because it keeps the whole frame
// in memory.
//
// # What it does not do
//
// It does not retry, acknowledge, deduplicate or persist messages, does not
// know their meaning, does not discover peers (gossip does), and does not
// decide whom to dial (membership does).
//
// # Example
//
//	t, err := transport.Listen(transport.Config{
//		Name: "n1", Addr: "127.0.0.1:7401",
//		Receive: func(from string, batch transport.Batch) {
//			for msg := range batch.All() {
//				inbox.Put(from, msg)
//			}
//		},
//	})
//	t.SetPeers(map[string]string{"n2": "127.0.0.1:7411"})
//	err = t.Send("n2", msg)
package transport
