package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

const (
	// CutsMax is the number of peers that a plan may name.
	CutsMax = 1024
	// DelayMax is the longest delay.
	DelayMax = time.Minute
	// ClockMax is how wrong a clock can be: it reaches 1970 and 2262.
	ClockMax = 250 * 365 * 24 * time.Hour
	// peerBytesMax is the longest name of a peer.
	peerBytesMax = 255
)

// Plan is what is wrong between this node and its peers, and with its clock. The
// zero value is a healthy network and a right clock. Its JSON form is
//
//	{"cuts": [{"peer": "n3", "gossip": "127.0.0.1:7422", "no_send": true, "no_receive": true}], "delay": "50ms", "clock": "-1h"}
type Plan struct {
	Cuts []Cut
	// Delay is how late everything goes out that this node sends to peers.
	Delay time.Duration
	// Clock is how far its wall clock is ahead; negative is behind. The node sees to
	// that: what a [Network] does is not affected.
	Clock time.Duration
}

// Cut is one peer that is out of reach, in one direction or both.
type Cut struct {
	Peer string `json:"peer"`
	// Gossip is its gossip address, IP:port: packets come from addresses, not
	// from names.
	Gossip string `json:"gossip"`
	// NoSend: nothing that this node sends reaches the peer. NoReceive: nothing
	// that the peer sends reaches this node.
	NoSend    bool `json:"no_send"`
	NoReceive bool `json:"no_receive"`
}

// PlanError is a plan that cannot be carried out.
type PlanError struct {
	// Field is the part of the plan that is wrong.
	Field, Reason string
	Limit         int64
}

func (e *PlanError) Error() string { return fmt.Sprintf("faults: %s: %s", e.Field, e.Reason) }

func (p Plan) clone() Plan {
	p.Cuts = slices.Clone(p.Cuts)
	return p
}

// IsZero reports whether nothing is wrong.
func (p Plan) IsZero() bool { return len(p.Cuts) == 0 && p.Delay == 0 && p.Clock == 0 }

// Validate reports the first thing that cannot be, as a *[PlanError].
func (p Plan) Validate() error {
	switch {
	case len(p.Cuts) > CutsMax:
		return &PlanError{"cuts", fmt.Sprintf("%d peers, the limit is %d", len(p.Cuts), CutsMax), CutsMax}
	case p.Delay < 0 || p.Delay > DelayMax:
		return &PlanError{"delay", fmt.Sprintf("%v: use 0s to %v", p.Delay, DelayMax), int64(DelayMax)}
	case p.Clock.Abs() > ClockMax:
		return &PlanError{"clock", fmt.Sprintf("%v: use at most %v, ahead or behind", p.Clock, ClockMax), int64(ClockMax)}
	}
	seen := map[string]bool{}
	for _, c := range p.Cuts {
		switch {
		case c.Peer == "" || len(c.Peer) > peerBytesMax:
			return &PlanError{"peer", fmt.Sprintf("%.40q: name the node that is cut off", c.Peer), peerBytesMax}
		case seen[c.Peer]:
			return &PlanError{"peer", fmt.Sprintf("%s is named twice", c.Peer), 0}
		case !c.NoSend && !c.NoReceive:
			return &PlanError{"cuts", fmt.Sprintf("%s: set no_send, no_receive or both", c.Peer), 0}
		}
		if _, err := netip.ParseAddrPort(c.Gossip); err != nil {
			return &PlanError{"gossip", fmt.Sprintf("%.40q of %s is not IP:port", c.Gossip, c.Peer), 0}
		}
		seen[c.Peer] = true
	}
	return nil
}

// String says for people what is wrong, empty if nothing is.
func (p Plan) String() string {
	var both, noSend, noReceive []string
	for _, c := range p.Cuts {
		switch {
		case c.NoSend && c.NoReceive:
			both = append(both, c.Peer)
		case c.NoSend:
			noSend = append(noSend, c.Peer)
		default:
			noReceive = append(noReceive, c.Peer)
		}
	}
	var parts []string
	for _, part := range []struct {
		what  string
		peers []string
	}{{"cut from", both}, {"cannot send to", noSend}, {"cannot hear", noReceive}} {
		if len(part.peers) > 0 {
			slices.Sort(part.peers)
			parts = append(parts, part.what+" "+strings.Join(part.peers, ", "))
		}
	}
	if p.Delay > 0 {
		parts = append(parts, "sends "+p.Delay.String()+" late")
	}
	switch {
	case p.Clock > 0:
		parts = append(parts, "its clock is "+p.Clock.String()+" ahead")
	case p.Clock < 0:
		parts = append(parts, "its clock is "+p.Clock.Abs().String()+" behind")
	}
	return strings.Join(parts, "; ")
}

// planDoc is the JSON form.
type planDoc struct {
	Cuts  []Cut  `json:"cuts"`
	Delay string `json:"delay"`
	Clock string `json:"clock"`
}

// MarshalJSON implements json.Marshaler. Lists are never null.
func (p Plan) MarshalJSON() ([]byte, error) {
	return json.Marshal(planDoc{Cuts: append([]Cut{}, p.Cuts...), Delay: p.Delay.String(), Clock: p.Clock.String()})
}

// UnmarshalJSON implements json.Unmarshaler. Unknown fields are refused: a
// misspelt fault would not happen, and the test that asked for it would pass.
func (p *Plan) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	doc := planDoc{Delay: "0s", Clock: "0s"}
	if err := d.Decode(&doc); err != nil {
		return err
	}
	delay, err := time.ParseDuration(doc.Delay)
	if err != nil {
		return &PlanError{Field: "delay", Reason: fmt.Sprintf("%.40q is not a duration such as 50ms", doc.Delay)}
	}
	clock, err := time.ParseDuration(doc.Clock)
	if err != nil {
		return &PlanError{Field: "clock", Reason: fmt.Sprintf("%.40q is not a duration such as -1h", doc.Clock)}
	}
	*p = Plan{Cuts: doc.Cuts, Delay: delay, Clock: clock}
	return nil
}
