package membership

import (
	"github.com/kindredkv/kindred/ring"
)

// document is a layout and whether it has been formed. The zero document is
// none.
type document struct {
	layout *ring.Layout
	formed bool
}

const documentVersion = 1

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

// encode writes a document: version 1 byte, flags 1 byte (1: formed), and the
// layout in its own form. It is the same on disk and between nodes.
func (d document) encode() []byte {
	return d.layout.AppendTo([]byte{documentVersion, flags(d.formed)})
}

func decodeDocument(b []byte) (document, error) {
	r := newReader("layout document", b, documentVersion)
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
