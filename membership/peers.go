package membership

import (
	"encoding/binary"
	"fmt"
)

// MembersMax is the number of members a node knows besides itself.
const MembersMax = 1024

// Peer is what is remembered of a member across restarts.
type Peer struct {
	Name     string
	Zone     string
	Capacity uint32
	// Addresses in host:port form; empty if unknown.
	ClientAddr, PeerAddr, HTTPAddr, GossipAddr string
}

const peersVersion = 1

// encodePeers writes a peer list: version 1 byte, a uvarint count, and per peer
// name, zone, capacity uvarint and the four addresses as in a Meta.
func encodePeers(peers []Peer) []byte {
	b := binary.AppendUvarint([]byte{peersVersion}, uint64(len(peers)))
	for _, p := range peers {
		b = appendString(b, p.Name)
		b = appendString(b, p.Zone)
		b = binary.AppendUvarint(b, uint64(p.Capacity))
		b = appendAddrs(b, p.ClientAddr, p.PeerAddr, p.HTTPAddr, p.GossipAddr)
	}
	return b
}

func decodePeers(b []byte) ([]Peer, error) {
	r := newReader("peer list", b, peersVersion)
	count := r.uvarint()
	if count > MembersMax {
		r.fail("%d peers, the limit is %d", count, MembersMax)
	}
	var peers []Peer
	for range count {
		if r.err != nil {
			break
		}
		p := Peer{Name: r.string(), Zone: r.string(), Capacity: r.uint32()}
		r.addrs(&p.ClientAddr, &p.PeerAddr, &p.HTTPAddr, &p.GossipAddr)
		peers = append(peers, p)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return peers, nil
}

// checkNode says why a node cannot be announced.
func checkNode(n Node) error {
	if n.Name == "" {
		return fmt.Errorf("membership: the node has no name")
	}
	if size := len(metaOf(n, Held{Version: largestVersion}).Append(nil)); size > MetaBytesMax {
		return fmt.Errorf("membership: what node %s tells about itself has %d bytes, the limit is %d: shorten its zone or host names", n.Name, size, MetaBytesMax)
	}
	return nil
}
