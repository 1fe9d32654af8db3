package netns

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Weather is what happens to the packets from one node to another. The zero value
// is fair.
type Weather struct {
	// Cut loses all of them.
	Cut bool
	// Lose, Double and Spoil are shares of the packets, from 0 to 1: those that are
	// lost, that arrive twice, and of whose content a bit is turned over. Only
	// packets of TCP with one of SpoilPorts at either end are spoilt.
	Lose, Double, Spoil float64
	SpoilPorts          []uint16
	// Delay is how late a packet is, Jitter by how much more at most. One in
	// tailEvery is late by up to Tail more. Packets overtake one another.
	Delay, Jitter, Tail time.Duration
}

// tailEvery is how many packets there are to one that is very late.
const tailEvery = 50

// fair reports whether packets are let through as they are.
func (w Weather) fair() bool {
	return !w.Cut && w.Lose == 0 && w.Double == 0 && w.Spoil == 0 && w.Delay == 0 && w.Jitter == 0 && w.Tail == 0
}

// String says what is not fair, empty if nothing is.
func (w Weather) String() string {
	var parts []string
	add := func(when bool, format string, args ...any) {
		if when {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(w.Cut, "cut")
	add(w.Lose > 0, "loses %.3g %%", 100*w.Lose)
	add(w.Double > 0, "doubles %.3g %%", 100*w.Double)
	add(w.Spoil > 0, "spoils %.3g %%", 100*w.Spoil)
	add(w.Delay > 0, "%v late", w.Delay)
	add(w.Jitter > 0, "jitter of %v", w.Jitter)
	add(w.Tail > 0, "now and then %v late", w.Tail)
	return strings.Join(parts, ", ")
}

// fate is how late each copy of a packet arrives; none if it is lost.
func (w Weather) fate(r *rand.Rand) (late []time.Duration) {
	if w.Cut || w.Lose > 0 && r.Float64() < w.Lose {
		return nil
	}
	copies := 1
	if w.Double > 0 && r.Float64() < w.Double {
		copies = 2
	}
	for range copies {
		d := w.Delay
		if w.Jitter > 0 {
			d += time.Duration(r.Int64N(int64(w.Jitter)))
		}
		if w.Tail > 0 && r.IntN(tailEvery) == 0 {
			d += time.Duration(r.Int64N(int64(w.Tail)))
		}
		late = append(late, d)
	}
	return late
}

// spoils decides whether a packet is spoilt, and does it.
func (w Weather) spoils(r *rand.Rand, packet []byte) bool {
	return w.Spoil > 0 && r.Float64() < w.Spoil && spoil(r, packet, w.SpoilPorts)
}

// IPv4 and TCP (RFC 9293), as far as they are looked at.
const (
	ipHeaderMin  = 20
	protocolTCP  = 6
	tcpHeaderMin = 20
	tcpChecksum  = 16
)

// spoil turns over one bit of what a packet of TCP carries, and mends the checksum.
// It reports false for packets that carry nothing, or nothing of those ports.
func spoil(r *rand.Rand, packet []byte, ports []uint16) bool {
	if len(packet) < ipHeaderMin || packet[0]>>4 != 4 || packet[9] != protocolTCP {
		return false
	}
	segment := packet[min(len(packet), 4*int(packet[0]&15)):]
	if len(segment) < tcpHeaderMin {
		return false
	}
	from, to := binary.BigEndian.Uint16(segment), binary.BigEndian.Uint16(segment[2:])
	content := segment[min(len(segment), 4*int(segment[12]>>4)):]
	if len(content) == 0 || !slices.Contains(ports, from) && !slices.Contains(ports, to) {
		return false
	}
	at := len(segment) - len(content) + r.IntN(len(content))
	// The checksum is a sum of words of 16 bits; the update is that of RFC 1624.
	word := at &^ 1
	last := word+1 == len(segment) // the last word of an odd number of bytes
	read := func() uint32 {
		if last {
			return uint32(segment[word]) << 8
		}
		return uint32(binary.BigEndian.Uint16(segment[word:]))
	}
	was := read()
	segment[at] ^= 1 << r.IntN(8)
	sum := uint32(^binary.BigEndian.Uint16(segment[tcpChecksum:])) + (^was & 0xffff) + read()
	sum = sum>>16 + sum&0xffff
	sum += sum >> 16
	binary.BigEndian.PutUint16(segment[tcpChecksum:], ^uint16(sum))
	return true
}
