package gossip

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/kindredkv/kindred/transport/faults"
)

// MetaBytesMax is the largest meta. memberlist allows 512 bytes, one of which
// is this package's own.
const MetaBytesMax = memberlist.MetaMaxSize - 1

// StreamBytesMax is what a stream of another may bring: the states of some 3,000
// members, each with the largest meta.
const StreamBytesMax = 2 << 20

// Profile is a set of time-outs that fit a kind of network.
type Profile string

const (
	// Local is for nodes on one machine: a dead one is noticed in about 5 s.
	Local Profile = "local"
	// LAN is for one data centre: about 10 to 25 s.
	LAN Profile = "lan"
	// WAN is for links with long or unsteady round trips: about a minute.
	WAN Profile = "wan"
)

// Config is what Start needs. Name and BindAddr are required.
type Config struct {
	// Name is this node's name, unique in the cluster.
	Name string
	// BindAddr is where to listen, host:port, UDP and TCP. Port 0 picks one.
	BindAddr string
	// AdvertiseAddr is the address others use, host or host:port; the host may
	// be a DNS name, which is looked up once. Default: what BindAddr is bound to.
	AdvertiseAddr string
	// Meta is what this node tells about itself, at most MetaBytesMax bytes.
	Meta []byte
	// Seeds are addresses, host:port, of members to begin with.
	Seeds []string
	// Known returns the members seen in earlier lives, name to address. It is
	// asked again for every attempt.
	Known func() map[string]string
	// RejoinEvery is the time between calls to members that should be there
	// and are not. Default 10 s: a healed cut is noticed within that, or a few
	// times that when many members are gone. Lower costs one TCP connection
	// attempt each.
	RejoinEvery time.Duration
	// Profile is by default Local if BindAddr is a loopback address, else LAN.
	Profile Profile
	// Logger is slog.Default() if nil.
	Logger *slog.Logger
	// Keys encrypt everything, if there are any: the first encrypts, all decrypt.
	// They are of 16, 24 or 32 bytes, for AES-GCM. See [Gossip.SetKeys].
	Keys [][]byte
	// StreamsMax is the number of streams that others may have open to this node;
	// one more closes the oldest. Default 64: a stream lives for milliseconds. Higher
	// costs up to StreamBytesMax, and what it unfolds to, for each.
	StreamsMax int
	// Events is called for every change, from one goroutine.
	Events func(Event)
	// Faults, if set, is asked about everything that is sent and received, so
	// that gossip can be cut and slowed on purpose. Nil costs nothing.
	Faults *faults.Network
}

// Kind is what an event says about a member.
type Kind byte

const (
	// Joined: the member was not there before, or is back.
	Joined Kind = iota + 1
	// Updated: its meta or address changed.
	Updated
	// Died: it does not answer any more.
	Died
	// Left: it said that it goes.
	Left
	// Conflict: another node claims its name at another address. It is
	// repeated while it lasts.
	Conflict
)

var kinds = [...]string{"", "joined", "updated", "died", "left", "conflict"}

// String is the kind in one word.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", byte(k))
}

// Event is news of a member. This node itself causes no events but conflicts.
type Event struct {
	Kind Kind
	Name string
	// Addr is the member's gossip address.
	Addr string
	Meta []byte
	// Other is the second address in a conflict.
	Other string
}

// Member is a live member.
type Member struct {
	Name, Addr string
	Meta       []byte
}

func (c Config) withDefaults() Config {
	if c.RejoinEvery == 0 {
		c.RejoinEvery = 10 * time.Second
	}
	if c.StreamsMax == 0 {
		c.StreamsMax = 64
	}
	if c.Known == nil {
		c.Known = func() map[string]string { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Events == nil {
		c.Events = func(Event) {}
	}
	return c
}

// memberlist translates the configuration.
func (c Config) memberlist() (*memberlist.Config, error) {
	if c.Name == "" {
		return nil, fmt.Errorf("gossip: the node has no name")
	}
	if err := checkMeta(c.Meta); err != nil {
		return nil, err
	}
	host, port, err := splitAddr("BindAddr", c.BindAddr)
	if err != nil {
		return nil, err
	}
	profile := c.Profile
	if ip := net.ParseIP(host); profile == "" && ip != nil && ip.IsLoopback() {
		profile = Local
	}
	m, err := profile.config()
	if err != nil {
		return nil, err
	}
	m.Name, m.BindAddr, m.BindPort, m.AdvertisePort = c.Name, host, port, port
	if c.AdvertiseAddr != "" {
		if m.AdvertiseAddr, m.AdvertisePort, err = advertised(c.AdvertiseAddr, port); err != nil {
			return nil, err
		}
	}
	// A member that is dead for any time at all may return elsewhere (G3).
	m.DeadNodeReclaimTime = time.Nanosecond
	if len(c.Keys) > 0 {
		if m.Keyring, err = memberlist.NewKeyring(c.Keys, c.Keys[0]); err != nil {
			return nil, fmt.Errorf("gossip: %w", err)
		}
	}
	return m, nil
}

func (p Profile) config() (*memberlist.Config, error) {
	switch p {
	case Local:
		return memberlist.DefaultLocalConfig(), nil
	case LAN, "":
		return memberlist.DefaultLANConfig(), nil
	case WAN:
		return memberlist.DefaultWANConfig(), nil
	}
	return nil, fmt.Errorf("gossip: unknown profile %q: use local, lan or wan", p)
}

func checkMeta(meta []byte) error {
	if len(meta) > MetaBytesMax {
		return fmt.Errorf("gossip: the meta has %d bytes, the limit is %d: shorten the node's zone or addresses", len(meta), MetaBytesMax)
	}
	return nil
}

func splitAddr(field, addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("gossip: %s %q is not host:port: %w", field, addr, err)
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("gossip: %s %q: the port is not a number from 0 to 65535", field, addr)
	}
	return host, int(number), nil
}

// advertised makes an IP address and a port of what the user wrote.
func advertised(addr string, bindPort int) (ip string, port int, err error) {
	host, port := addr, bindPort
	if _, _, err := net.SplitHostPort(addr); err == nil {
		if host, port, err = splitAddr("AdvertiseAddr", addr); err != nil {
			return "", 0, err
		}
	}
	if net.ParseIP(host) != nil {
		return host, port, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(context.Background(), "ip", host)
	if err != nil {
		return "", 0, fmt.Errorf("gossip: AdvertiseAddr %q: %w", addr, err)
	}
	return found[0].Unmap().String(), port, nil
}
