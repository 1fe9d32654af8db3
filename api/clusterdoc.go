package api

import "github.com/kindredkv/kindred"

// MemberDoc is a [kindred.Member] in JSON, in HTTP answers and in those of kvcli.
type MemberDoc struct {
	Name       string `json:"name"`
	Zone       string `json:"zone"`
	Capacity   uint32 `json:"capacity"`
	State      string `json:"state"`
	Client     string `json:"client"`
	Peer       string `json:"peer"`
	Gossip     string `json:"gossip"`
	HTTP       string `json:"http"`
	Linked     bool   `json:"linked"`
	Partitions int    `json:"partitions"`
}

// NewMemberDoc shows a member.
func NewMemberDoc(m *kindred.Member) MemberDoc {
	return MemberDoc{
		Name: m.Name, Zone: m.Zone, Capacity: m.Capacity, State: string(m.State), Linked: m.Linked, Partitions: m.Partitions,
		Client: m.ClientAddr, Peer: m.PeerAddr, Gossip: m.GossipAddr, HTTP: m.HTTPAddr,
	}
}
