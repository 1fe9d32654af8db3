package netns

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWeatherIsDrawnAsItWasOrdered(t *testing.T) {
	const packets = 20_000
	r := rand.New(rand.NewPCG(1, 1))
	lost, doubled, very := 0, 0, 0
	w := Weather{Lose: 0.1, Double: 0.05, Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Tail: time.Second}
	for range packets {
		fate := w.fate(r)
		switch len(fate) {
		case 0:
			lost++
		case 2:
			doubled++
		}
		for _, late := range fate {
			require.GreaterOrEqual(t, late, w.Delay)
			require.Less(t, late, w.Delay+w.Jitter+w.Tail)
			if late > w.Delay+w.Jitter {
				very++
			}
		}
	}
	require.InDelta(t, packets/10, lost, packets/100)
	require.InDelta(t, packets/20*9/10, doubled, packets/100)
	require.InDelta(t, packets/tailEvery, very, packets/100)
	require.Empty(t, Weather{Cut: true}.fate(r))
	require.Equal(t, []time.Duration{0}, Weather{}.fate(r))
	require.Equal(t, "loses 10 %, doubles 5 %, 10ms late, jitter of 5ms, now and then 1s late", w.String())
	require.Equal(t, "cut", Weather{Cut: true}.String())
	require.Empty(t, Weather{}.String())
}

// checksum is that of TCP over IPv4 (RFC 9293, 3.1), zero if the one in the packet
// is right.
func checksum(packet []byte) uint16 {
	segment := packet[4*int(packet[0]&15):]
	sum := uint32(protocolTCP) + uint32(len(segment))
	for i := 12; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	for i := 0; i < len(segment); i += 2 {
		word := uint32(segment[i]) << 8
		if i+1 < len(segment) {
			word |= uint32(segment[i+1])
		}
		sum += word
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// segment is a packet of TCP from port 1000 to port 2000.
func segment(r *rand.Rand, content int) []byte {
	p := make([]byte, ipHeaderMin+tcpHeaderMin+content)
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	p[0], p[9] = 4<<4|5, protocolTCP
	s := p[ipHeaderMin:]
	binary.BigEndian.PutUint16(s, 1000)
	binary.BigEndian.PutUint16(s[2:], 2000)
	s[12] = 5 << 4
	binary.BigEndian.PutUint16(s[tcpChecksum:], 0)
	binary.BigEndian.PutUint16(s[tcpChecksum:], checksum(p))
	return p
}

// TestASpoiltPacketHasOneWrongBitAndARightChecksum: or the kernel would throw it
// away, which is a loss.
func TestASpoiltPacketHasOneWrongBitAndARightChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for size := 1; size < 300; size++ {
		p := segment(r, size)
		require.Zero(t, checksum(p))
		was := append([]byte(nil), p...)
		require.True(t, spoil(r, p, []uint16{2000}))
		require.Zero(t, checksum(p), "a content of %d bytes", size)
		bits := 0
		for i := ipHeaderMin + tcpHeaderMin; i < len(p); i++ {
			for d := p[i] ^ was[i]; d != 0; d &= d - 1 {
				bits++
			}
		}
		require.Equal(t, 1, bits)
		require.Equal(t, was[:ipHeaderMin+tcpChecksum], p[:ipHeaderMin+tcpChecksum], "nothing else")
	}
	require.True(t, spoil(r, segment(r, 10), []uint16{1, 1000}), "on its way back")
	for name, p := range map[string][]byte{
		"of another port": segment(r, 10), "without content": segment(r, 0), "cut short": segment(r, 10)[:30], "empty": {},
	} {
		was := append([]byte(nil), p...)
		require.False(t, spoil(r, p, []uint16{2001}), name)
		if name != "of another port" {
			require.False(t, spoil(r, p, []uint16{2000}), name)
		}
		require.Equal(t, string(was), string(p))
	}
}
