package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/hashicorp/memberlist"
)

// SetKeys replaces the keys: the first encrypts, all decrypt. To change the key of
// a cluster without losing a packet, give every node the new key as the second
// one, then make it the first on every node, then take the old one away.
func (g *Gossip) SetKeys(keys [][]byte) error {
	g.rekey.Lock()
	defer g.rekey.Unlock()
	ring := g.keyring
	switch {
	case ring == nil:
		return errors.New("gossip: this node began without encryption; it takes a key at its next start")
	case len(keys) == 0:
		return errors.New("gossip: no key is left; encryption ends only when the node stops")
	}
	for _, k := range keys {
		if err := ring.AddKey(k); err != nil {
			return fmt.Errorf("gossip: %w", err)
		}
	}
	obsolete := slices.DeleteFunc(slices.Clone(ring.GetKeys()), func(k []byte) bool { return hasKey(keys, k) })
	if len(obsolete) == 0 {
		return ring.UseKey(keys[0])
	}
	return replaceKeys(ring, keys, obsolete)
}

// replaceKeys takes keys away. memberlist moves the later keys of its ring to close
// the gap, under the eyes of those who decrypt with it; so what goes is brought to
// the end first, where it leaves no gap.
func replaceKeys(ring *memberlist.Keyring, keys, obsolete [][]byte) error {
	for _, k := range slices.Backward(keys) {
		if err := ring.UseKey(k); err != nil {
			return fmt.Errorf("gossip: %w", err)
		}
	}
	for range obsolete {
		all := ring.GetKeys()
		if err := ring.RemoveKey(all[len(all)-1]); err != nil {
			return fmt.Errorf("gossip: %w", err)
		}
	}
	return nil
}

func hasKey(keys [][]byte, k []byte) bool {
	return slices.ContainsFunc(keys, func(have []byte) bool { return bytes.Equal(have, k) })
}

// Refused is the number of packets and streams that were not encrypted with a key
// of this node.
func (g *Gossip) Refused() uint64 { return g.strangers.Count() }

// foreign are the words in which memberlist says that something was not encrypted
// with one of its keys.
var foreign = []string{
	"no installed keys could decrypt the message",
	"encryption is configured but remote state is not encrypted",
	"encryption is not configured",
	"unsupported encryption version",
	"payload is too small to decrypt",
}

// isForeign reports whether a line of memberlist is about a wrong key.
func isForeign(text string) bool {
	return slices.ContainsFunc(foreign, func(words string) bool { return strings.Contains(text, words) })
}

// sender is the address at the end of a line of memberlist.
func sender(text string) string {
	_, addr, _ := strings.Cut(text, "from=")
	return addr
}

// named is the member known at an address, empty if none is. Streams come from a
// port of their own, so then the host has to do, if only one member is there.
func (c Config) named(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	var there []string
	for name, known := range c.Known() {
		if known == addr {
			return name
		}
		if h, _, _ := net.SplitHostPort(known); h == host {
			there = append(there, name)
		}
	}
	if len(there) == 1 {
		return there[0]
	}
	return ""
}
