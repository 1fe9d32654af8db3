package transport

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// hello is the first frame on a link, in both directions: the dialler speaks
// first. Both ends judge the two hellos by the same rule and so come to the
// same conclusion. Its layout never changes, whatever the frame version;
// fields may only be added at its end.
type hello struct {
	// VersionMin and VersionMax are the frame formats its sender can read.
	VersionMin, VersionMax byte
	// Lane is the lane that the link is for.
	Lane Lane
	// Cluster is zero for a node that has not joined one.
	Cluster [16]byte
	// Name is who speaks, To whom it believes to speak with.
	Name, To string
}

// nameBytesMax bounds the names in a hello.
const nameBytesMax = 255

func (h hello) append(dst []byte) []byte {
	dst = append(dst, h.VersionMin, h.VersionMax, byte(h.Lane))
	dst = append(dst, h.Cluster[:]...)
	dst = appendMessage(dst, []byte(h.Name))
	return appendMessage(dst, []byte(h.To))
}

func decodeHello(body []byte) (hello, error) {
	var h hello
	const fixed = 3 + len(h.Cluster)
	if len(body) < fixed {
		return h, &FrameError{Reason: fmt.Sprintf("a hello of %d bytes", len(body))}
	}
	h.VersionMin, h.VersionMax, h.Lane = body[0], body[1], Lane(body[2])
	copy(h.Cluster[:], body[3:])
	rest := body[fixed:]
	var err error
	if h.Name, rest, err = cutName(rest); err != nil {
		return h, err
	}
	if h.To, _, err = cutName(rest); err != nil {
		return h, err
	}
	if h.Name == "" {
		return h, &FrameError{Reason: "a hello without a name"}
	}
	return h, nil
}

func cutName(b []byte) (name string, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) || size > nameBytesMax {
		return "", nil, &FrameError{Reason: "a hello with a malformed name"}
	}
	end := n + int(size)
	return string(b[n:end]), b[end:], nil
}

// agree says why two nodes must not talk, or nil. Mine is what this end said,
// theirs what it heard.
func agree(mine, theirs hello) error {
	refuse := func(format string, args ...any) error {
		return &RefusedError{Peer: mine.To, Reason: fmt.Sprintf(format, args...)}
	}
	var none [16]byte
	switch {
	case theirs.VersionMax < mine.VersionMin || mine.VersionMax < theirs.VersionMin:
		return refuse("it speaks the frame formats %d to %d, this node %d to %d: upgrade the older one",
			theirs.VersionMin, theirs.VersionMax, mine.VersionMin, mine.VersionMax)
	case theirs.Name == mine.Name:
		return refuse("it has the name %q of this node: every node needs a name of its own", mine.Name)
	case theirs.Name != mine.To:
		return refuse("dialled %s, found %s: the address belongs to another node", mine.To, theirs.Name)
	case theirs.To != mine.Name:
		return refuse("it looks for %s, this node is %s: it has an outdated address", theirs.To, mine.Name)
	case theirs.Lane != mine.Lane:
		return refuse("it speaks on the lane %s, this link is for %s", theirs.Lane, mine.Lane)
	case mine.Cluster != none && theirs.Cluster != none && mine.Cluster != theirs.Cluster:
		return refuse("it belongs to the cluster %s, this node to %s, and they can never be one: one of the two has the data folder or the address of another node; empty the folder, or give it addresses of its own",
			hex.EncodeToString(theirs.Cluster[:]), hex.EncodeToString(mine.Cluster[:]))
	}
	return nil
}
