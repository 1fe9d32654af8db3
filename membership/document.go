package membership

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/kindredkv/kindred/ring"
)

// The forms of what a node holds of layouts; the first byte says which one it is.
const (
	firstVersion = 1 // a first layout, on disk and between nodes
	toldVersion  = 4 // what is known in a cluster, between nodes
	savedVersion = 5 // and on disk
)

// document is a layout and whether it has been formed: a proposal of the first one, or
// that by which a node works. The zero document is none.
type document struct {
	layout *ring.Layout
	formed bool
}

// held names the document.
func (d document) held() Held {
	if d.layout == nil {
		return Held{}
	}
	return Held{Cluster: d.layout.ClusterID(), Version: d.layout.Version(), Formed: d.formed}
}

// has reports whether a node is a member of the layout.
func (d document) has(name string) bool {
	if d.layout == nil {
		return false
	}
	_, ok := d.layout.Node(name)
	return ok
}

// encode writes a first layout: version 1 byte, flags 1 byte (1: formed), and the
// layout in its own form. It is the same on disk and between nodes.
func (d document) encode() []byte {
	return d.layout.AppendTo([]byte{firstVersion, flags(d.formed)})
}

func decodeFirst(b []byte) (document, error) {
	r := newReader("layout document", b, firstVersion)
	formed := r.flags()
	if r.err != nil {
		return document{}, r.err
	}
	layout, err := ring.Decode(r.b)
	if err != nil {
		return document{}, &FormatError{What: "layout document", Reason: err.Error()}
	}
	if layout.ClusterID() == [16]byte{} {
		return document{}, &FormatError{What: "layout document", Reason: "it names no cluster"}
	}
	return document{layout: layout, formed: formed || layout.Version().Counter > 1}, nil
}

// told is what a node in a cluster tells of layouts: the decisions that are known, what
// is staged, and what was.
type told struct {
	files   []ring.File
	staging ring.Staging
	history history
}

// encode writes what is told: version 1 byte, and in their own forms the files and the
// staging, each after its length uvarint, and the history.
func (t told) encode() []byte {
	return t.append([]byte{toldVersion}, ring.AppendFiles(nil, t.files))
}

func (t told) append(b, first []byte) []byte {
	b = appendBytes(appendBytes(b, first), t.staging.AppendTo(nil))
	return t.history.appendTo(b)
}

func appendBytes(b, some []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(some))), some...)
}

// tip is the greatest decision that is formed.
func (t told) tip() *ring.Decision {
	for _, f := range slices.Backward(t.files) {
		if f.Formed {
			return f.Decision
		}
	}
	return nil
}

// held names what is told.
func (t told) held() Held {
	d := t.tip()
	return Held{Cluster: d.Layout().ClusterID(), Version: d.Version(), Formed: true, Hash: hashOf(t.encode())}
}

// hashOf names what is told in gossip, so that nodes notice a difference.
func hashOf(told []byte) uint64 {
	sum := sha256.Sum256(told)
	return binary.BigEndian.Uint64(sum[:])
}

// join merges what two nodes tell of one cluster.
func (t told) join(u told) told {
	for _, f := range u.files {
		at, known := slices.BinarySearchFunc(t.files, f, func(a, b ring.File) int {
			return a.Decision.Version().Compare(b.Decision.Version())
		})
		t.files = slices.Clone(t.files)
		if known {
			t.files[at] = ring.MergeFiles(t.files[at], f)
		} else {
			t.files = slices.Insert(t.files, at, f)
		}
	}
	t.staging, t.history = ring.MergeStaging(t.staging, u.staging), mergeHistory(t.history, u.history)
	return t
}

// decodeTold reads what encode wrote.
func decodeTold(b []byte) (told, error) {
	r := newReader("layout document", b, toldVersion)
	files := r.take(r.uvarint())
	t, err := r.told()
	if err != nil {
		return told{}, err
	}
	if t.files, err = ring.DecodeFiles(files); err != nil {
		return told{}, &FormatError{What: "layout document", Reason: err.Error()}
	}
	if t.tip() == nil || t.tip().Layout().ClusterID() == [16]byte{} {
		return told{}, &FormatError{What: "layout document", Reason: "it names no cluster"}
	}
	return t, nil
}

// told reads all but the files.
func (r *reader) told() (t told, err error) {
	staging := r.take(r.uvarint())
	t.history = r.history()
	if err := r.end(); err != nil {
		return told{}, err
	}
	if t.staging, err = ring.DecodeStaging(staging); err != nil {
		return told{}, &FormatError{What: "layout document", Reason: err.Error()}
	}
	return t, nil
}

// decodeReceived reads what a peer sent: a proposal, or what is known in its cluster.
func decodeReceived(b []byte) (document, *told, error) {
	if len(b) == 0 || b[0] != firstVersion {
		t, err := decodeTold(b)
		if err != nil {
			return document{}, nil, err
		}
		return document{layout: t.tip().Layout(), formed: true}, &t, nil
	}
	d, err := decodeFirst(b)
	if err != nil || !d.formed {
		return d, nil, err
	}
	return d, &told{files: ring.NewCourse("", ring.First(d.layout)).Files()}, nil
}
