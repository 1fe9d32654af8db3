package membership

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred/ring"
)

// sample is a meta with every field set.
func sample() Meta {
	n := node("n1")
	n.PeerAddr = "10.0.0.1:7401" // another host than the client address
	return metaOf(n, Held{
		Cluster: [16]byte{0xc1, 15: 0xff}, Version: ring.Version{Counter: 300, Hash: 0x0123456789abcdef}, Formed: true,
		Hash: 0xfedcba9876543210,
	})
}

var update = flag.Bool("update", false, "write the golden files anew")

// someRecord is a node in the middle of a change.
func someRecord(t *testing.T) *record {
	town := newTown(t, 3)
	town.sever([]string{"n1", "n2"}, []string{"n3"})
	town.stage("n1", ring.Node{Name: "n2", Zone: "z2", Capacity: 2}, ring.Own)
	town.commit("n1")
	v := town.views["n1"]
	v.Report(town.now, v.rec.course.Holds().Version(), 77, 5*time.Millisecond)
	return v.rec
}

// TestGolden holds the formats to the bytes that other versions read. A change
// of them needs a new version byte.
func TestGolden(t *testing.T) {
	peers := []Peer{
		{Name: "n2", Zone: "a", Capacity: 2, ClientAddr: "h:1", PeerAddr: "h:2", HTTPAddr: "h:3", GossipAddr: "g:4"},
		{Name: "n3"},
	}
	formats := map[string][]byte{
		"meta":     sample().Append(nil),
		"document": formed(proposal(t, 5, "n1", "n2")).encode(),
		"peers":    encodePeers(peers),
		"told":     someRecord(t).told,
		"saved":    someRecord(t).encode(),
	}
	for name, got := range formats {
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join("testdata", name+".hex"), []byte(hex.EncodeToString(got)+"\n"), 0o644))
		}
		want, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(string(want)), hex.EncodeToString(got), name)
	}

	m, err := DecodeMeta(formats["meta"])
	require.NoError(t, err)
	require.Equal(t, sample(), m)
	back, err := decodePeers(formats["peers"])
	require.NoError(t, err)
	require.Equal(t, peers, back)
	d, err := decodeFirst(formats["document"])
	require.NoError(t, err)
	require.Equal(t, formats["document"], d.encode())
	told, err := decodeTold(formats["told"])
	require.NoError(t, err)
	require.Equal(t, formats["told"], told.encode())
	rec, err := decodeRecord("n1", formats["saved"])
	require.NoError(t, err)
	require.Equal(t, someRecord(t), rec, "a node goes on exactly where it was")
}

func TestAnyLaterLayoutIsFormed(t *testing.T) {
	first := proposal(t, 5, "n1", "n2")
	later, err := first.layout.Change(first.layout.Nodes())
	require.NoError(t, err)
	for layout, want := range map[*ring.Layout]bool{first.layout: false, later: true} {
		d, err := decodeFirst(document{layout: layout}.encode())
		require.NoError(t, err)
		require.Equal(t, want, d.formed)
	}
}

func TestUnreadableBytesAreNamed(t *testing.T) {
	whole := sample().Append(nil)
	for i := range whole {
		_, err := DecodeMeta(whole[:i])
		require.ErrorContains(t, err, "unreadable meta", "cut at %d", i)
	}
	_, err := DecodeMeta(append(whole, 0))
	require.ErrorContains(t, err, "1 bytes left over")
	_, err = DecodeMeta(make([]byte, MetaBytesMax+1))
	require.ErrorContains(t, err, "the limit is 511")
	whole[1] = 0x80
	_, err = DecodeMeta(whole)
	require.ErrorContains(t, err, "unknown flags")
	_, err = decodePeers([]byte{peersVersion, 0xff, 0xff, 0x7f})
	require.ErrorContains(t, err, "the limit is 1024")

	_, err = New(config("n1", 0), []byte{7}, nil)
	require.ErrorContains(t, err, "unreadable layout document: format version 7")
	_, err = New(config("n1", 0), nil, []byte{7})
	require.ErrorContains(t, err, "unreadable peer list")
}

func TestANodeThatGossipCannotCarryIsRefusedAtTheStart(t *testing.T) {
	cfg := config("n1", 0)
	cfg.Self.Zone = strings.Repeat("z", MetaBytesMax)
	_, err := New(cfg, nil, nil)
	require.ErrorContains(t, err, "the limit is 511: shorten its zone or host names")
}

// FuzzReceived feeds bytes to every way in from outside.
func FuzzReceived(f *testing.F) {
	f.Add(sample().Append(nil))
	f.Add([]byte{firstVersion, 1})
	for _, name := range []string{"told", "saved"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
		require.NoError(f, err)
		b, err := hex.DecodeString(strings.TrimSpace(string(text)))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := DecodeMeta(b); err == nil {
			again, err := DecodeMeta(m.Append(nil))
			require.NoError(t, err)
			require.Equal(t, m, again)
		}
		_, _ = decodePeers(b)
		if told, err := decodeTold(b); err == nil {
			again, err := decodeTold(told.encode())
			require.NoError(t, err)
			require.Equal(t, told.encode(), again.encode())
		}
		if rec, err := decodeRecord("n1", b); err == nil {
			again, err := decodeRecord("n1", rec.encode())
			require.NoError(t, err)
			require.Equal(t, rec.encode(), again.encode())
		}
		v := fresh(t, "n1", 2)
		v.Gossip(epoch, Event{Kind: Joined, Name: "n2", Meta: b})
		v.LinkUp(epoch, "n2")
		v.LayoutReceived(epoch, "n2", b)
		v.Problems()
		v.Members()
	})
}
