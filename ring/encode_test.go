package ring

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/spaolacci/murmur3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const goldenFile = "testdata/layout-1.hex"

// handmade makes a layout whose owners the test chooses, which New and Change
// would not have chosen.
func handmade(t require.TestingT, replicas int, nodes []Node, owners ...[]string) *Layout {
	m, err := newMembers(nodes)
	require.NoError(t, err)
	l := &Layout{cluster: testCluster, version: Version{Counter: 7}, replicas: replicas, members: m}
	for 1<<l.bits < len(owners) {
		l.bits++
	}
	require.Equal(t, l.Partitions(), len(owners))
	l.copies = len(owners[0])
	for _, names := range owners {
		for _, name := range names {
			i, ok := m.find(name)
			require.True(t, ok)
			l.owners = append(l.owners, uint16(i))
		}
	}
	l.seal()
	return l
}

func goldenLayout(t require.TestingT) *Layout {
	nodes := []Node{{"ann", "east", 1}, {"bob", "west", 300}, {"cy", "", 1 << 31}, {"dee", "zürich", 0}}
	return handmade(t, 2, nodes, []string{"ann", "bob"}, []string{"bob", "cy"}, []string{"cy", "ann"}, []string{"bob", "ann"})
}

// What is on disks and on the wire today must be readable for ever.
func TestGoldenBytes(t *testing.T) {
	l := goldenLayout(t)
	if *update {
		require.NoError(t, os.WriteFile(goldenFile, []byte(hex.Dump(l.AppendTo(nil))), 0o644))
	}
	want, err := os.ReadFile(goldenFile)
	require.NoError(t, err)
	require.Equal(t, string(want), hex.Dump(l.AppendTo(nil)))

	read, err := Decode(l.AppendTo(nil))
	require.NoError(t, err)
	require.Equal(t, l, read)
	require.Equal(t, []string{"cy", "ann"}, read.Homes(2, 2))
}

func TestAppendToAppends(t *testing.T) {
	l := goldenLayout(t)
	require.Equal(t, append([]byte("prefix"), l.AppendTo(nil)...), l.AppendTo([]byte("prefix")))
}

func TestDecodeReadsWhatAppendToWrote(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := mustNew(t, 1<<rapid.IntRange(0, 6).Draw(t, "log2 partitions"), rapid.IntRange(1, 5).Draw(t, "replicas"), drawNodes(t, 1, 8))
		l = mustChange(t, l, drawNodes(t, 1, 8))
		read, err := Decode(l.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, l, read)
	})
}

func TestDecodeRefusesEveryTruncationAndEveryFlippedBit(t *testing.T) {
	b := goldenLayout(t).AppendTo(nil)
	for n := range b {
		requireRefused(t, b[:n])
		for bit := range 8 {
			flipped := append([]byte(nil), b...)
			flipped[n] ^= 1 << bit
			requireRefused(t, flipped)
		}
	}
	requireRefused(t, append(b, 0))
}

func requireRefused(t *testing.T, b []byte) {
	_, err := Decode(b)
	require.Error(t, err)
	requireTyped(t, err)
}

func requireTyped(t require.TestingT, err error) {
	var f *FormatError
	var d *DecodeError
	var l *LimitError
	var n *NodeError
	var m *MergeError
	var c *CommitError
	require.True(t, errors.As(err, &c) || errors.As(err, &f) || errors.As(err, &d) || errors.As(err, &l) || errors.As(err, &n) || errors.As(err, &m), "%T %v", err, err)
}

// resealed appends the hash that makes content look genuine.
func resealed(content []byte) []byte {
	return binary.BigEndian.AppendUint64(content, murmur3.Sum64(content))
}

// Bytes that are wrong in themselves, under a hash that is right.
func TestDecodeSaysWhatIsWrong(t *testing.T) {
	head := func(counter uint64, bits, replicas, nodes byte) []byte {
		b := append([]byte{1}, testCluster[:]...)
		return append(binary.AppendUvarint(b, counter), bits, replicas, nodes)
	}
	const abc = "\x01a\x00\x01" + "\x01b\x00\x01" + "\x01c\x00\x00" // c has no capacity
	for _, c := range []struct {
		content []byte
		says    string
	}{
		{append([]byte{2}, head(1, 0, 1, 1)[1:]...), "layout format 2 is unknown, this program reads format 1"},
		{append(head(0, 0, 2, 3), abc+"\x00\x01"...), "versions start at 1"},
		{append(head(1, 17, 2, 3), abc+"\x00\x01"...), "partitions is 131072"},
		{append(head(1, 255, 2, 3), abc+"\x00\x01"...), "partitions is 4294967296"},
		{append(head(1, 0, 0, 3), abc+"\x00\x01"...), "replicas is 0"},
		{append(head(1, 0, 17, 3), abc+"\x00\x01"...), "replicas is 17"},
		{head(1, 0, 2, 0), "nodes with a capacity is 0"},
		{append(head(1, 0, 2, 0)[:20], 0x81, 0x04), "nodes is 513"},
		{append(head(1, 0, 2, 0)[:20], 0x83, 0x00), "not in its shortest form"},
		{append(head(1, 0, 2, 2), "\x01b\x00\x01\x01a\x00\x01\x00\x01"...), "nodes are not in order"},
		{append(head(1, 0, 2, 2), "\x01a\x00\x01\x01a\x00\x01\x00\x01"...), "nodes are not in order"},
		{append(head(1, 0, 2, 1), "\x00\x00\x01\x00"...), "has no name"},
		{append(head(1, 0, 2, 1), "\xff\x02"...), "name length is 383"},
		{append(head(1, 0, 2, 1), "\x01a\x00\x80\x80\x80\x80\x10"...), "capacity is 4294967296"},
		{append(head(1, 0, 2, 3), abc+"\x00\x00"...), "two copies on one node"},
		{append(head(1, 0, 2, 3), abc+"\x00\x02"...), "the node has no capacity"},
		{append(head(1, 0, 2, 3), abc+"\x00\x03"...), "owner is 3"},
		{append(head(1, 0, 2, 3), abc+"\x00\x01\x01"...), "more bytes follow"},
		{append(head(1, 16, 2, 3), abc+"\x00\x01\x01"...), "too few bytes for all partitions"},
	} {
		b := resealed(c.content)
		requireRefused(t, b)
		_, err := Decode(b)
		require.ErrorContains(t, err, c.says)
		require.False(t, strings.Contains(err.Error(), "does not match"), "the hash was not to blame")
	}
	good := append(head(1, 0, 2, 3), abc+"\x00\x01"...)
	_, err := Decode(resealed(good))
	require.NoError(t, err)
	_, err = Decode(append(good, 1, 2, 3, 4, 5, 6, 7, 8))
	require.ErrorContains(t, err, "does not match the content")
}

// A few bytes that promise the largest layout do not make room for one.
func TestDecodeAllocatesInProportionToItsInput(t *testing.T) {
	b := append([]byte{1}, make([]byte, 16)...)
	b = append(b, 1, 16, 16, 0x80, 0x04) // 65,536 partitions, 16 replicas, 512 nodes
	b = append(b, "\x01a\x00\x01"...)
	for _, nodes := range [][]byte{nil, {1}} {
		hostile := resealed(append(b[:len(b):len(b)], nodes...))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		requireRefused(t, hostile)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10))
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(goldenLayout(f).AppendTo(nil))
	f.Add(mustNew(f, 16, 3, cluster(5, 2, mixed)).AppendTo(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		requireSoundDecode(t, b)
		if len(b) >= 8 { // past the hash, which no fuzzer guesses
			requireSoundDecode(t, resealed(b[:len(b)-8:len(b)-8]))
		}
	})
}

func requireSoundDecode(t *testing.T, b []byte) {
	l, err := Decode(b)
	if err != nil {
		requireTyped(t, err)
		return
	}
	require.Equal(t, b, l.AppendTo(nil), "one layout, one encoding")
	for p := range min(16, l.Partitions()) {
		requireDistinct(t, l.Homes(Partition(p), l.Replicas()+1))
	}
	l.Check()
}
