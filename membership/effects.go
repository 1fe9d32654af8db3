package membership

// Effects is what the owner of a View has to do after a call, in this order.
// The zero value is nothing to do.
type Effects struct {
	// SaveLayout, if not nil, replaces the stored layout document. It must be
	// durable before anything below is done (M1).
	SaveLayout []byte
	// SavePeers, if not nil, replaces the stored peer list. It may be saved
	// when convenient.
	SavePeers []byte
	// LayoutChanged: Layout and ClusterID answer differently now.
	LayoutChanged bool
	// Announce, if not nil, is the new meta for gossip.
	Announce []byte
	// Dial, if not nil, is the whole set of peers to keep dialled, name to
	// address. It is empty, not nil, if there is nobody to dial any more.
	Dial map[string]string
	// Send are documents for linked peers.
	Send []Outgoing
	// Notes are for the log.
	Notes []Note
}

// Outgoing is a layout document on its way to a peer, whose owner hands it to
// LayoutReceived. It may be lost.
type Outgoing struct {
	To       string
	Document []byte
}

// Note is a sentence for the log.
type Note struct {
	// Loud notes need someone's attention.
	Loud bool
	Text string
}

// Empty reports whether there is nothing to do.
func (e Effects) Empty() bool {
	return e.SaveLayout == nil && e.SavePeers == nil && !e.LayoutChanged && e.Announce == nil &&
		e.Dial == nil && e.Send == nil && e.Notes == nil
}
