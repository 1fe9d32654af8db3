package wire

import (
	"encoding/binary"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/ring"
	"github.com/kindredkv/kindred/vclock"
)

// Hint asks a guest to keep a delta for home replicas that cannot be reached. It
// is answered by a WriteAck, once it is as durable as asked.
type Hint struct {
	Head
	Op          OpID
	Durability  kindred.Durability
	Bucket, Key string
	// Slots are the homes that it is for, by their numbers in the list of homes.
	Slots      Slots
	Delta      Delta
	RequestIDs []DotRequest
	// Rounds are the sender's promises about the actors of Delta.Dots (R14).
	Rounds Rounds
	// At is how far the coordinator is (R24).
	At ring.Progress
}

// HintOffer names dots that a guest has hints of for the home that it asks.
type HintOffer struct {
	Head
	Op   OpID
	Dots vclock.DotSet
}

// HintLacks answers an offer: the offered dots that the home does not hold
// durably, or why it does not say. In that case Dots are those that are worth
// offering to the other homes.
type HintLacks struct {
	Head
	Op     OpID
	Failed string
	Dots   vclock.DotSet
}

// Slots is a set of home slots of a partition. A slot is a place in the list of
// homes, not a node: which node that is, is found out when it is needed.
type Slots uint32

// AllSlots are the slots of that many homes.
func AllSlots(homes int) Slots { return 1<<homes - 1 }

// Has reports whether the slot is in s.
func (s Slots) Has(slot int) bool { return s>>slot&1 == 1 }

// With is s and that slot.
func (s Slots) With(slot int) Slots { return s | 1<<slot }

// Without is s without that slot.
func (s Slots) Without(slot int) Slots { return s &^ (1 << slot) }

func (*Hint) kind() Kind      { return KindHint }
func (*HintOffer) kind() Kind { return KindHintOffer }
func (*HintLacks) kind() Kind { return KindHintLacks }

func (m *Hint) appendBody(b []byte) []byte {
	b = append(m.Op.appendTo(b), byte(m.Durability))
	b = appendString(appendString(b, m.Bucket), m.Key)
	b = binary.AppendUvarint(b, uint64(m.Slots))
	b = m.Delta.Dots.AppendTo(appendObject(b, m.Delta.Siblings))
	return appendProgress(AppendRounds(appendRequestIDs(b, m.RequestIDs), m.Rounds), m.At)
}

func decodeHint(h Head, r *reader) *Hint {
	m := &Hint{Head: h, Op: r.opID(), Durability: kindred.Durability(r.byte("durability"))}
	if m.Durability > kindred.Sync {
		r.fail("durability", "unknown durability %d", m.Durability)
	}
	m.Bucket, m.Key = r.bucket(), r.key()
	m.Slots = r.slots()
	m.Delta.Siblings = r.object("delta")
	m.Delta.Dots = r.dotSet("dots")
	m.RequestIDs = r.requestIDs()
	m.Rounds, m.At = r.rounds("rounds"), r.progress()
	return m
}

func (r *reader) slots() Slots {
	s := Slots(r.uint32("slots"))
	if s == 0 || s > AllSlots(kindred.ReplicasMax) {
		r.fail("slots", "%b are no slots of a partition", s)
	}
	return s
}

func (m *HintOffer) appendBody(b []byte) []byte { return m.Dots.AppendTo(m.Op.appendTo(b)) }

func (m *HintLacks) appendBody(b []byte) []byte {
	return m.Dots.AppendTo(appendString(m.Op.appendTo(b), m.Failed))
}

// StoredHint is what a guest owes of one key, as its row holds it.
type StoredHint struct {
	Slots Slots
	// Since is when the oldest of it came, in milliseconds since 1970.
	Since      int64
	Delta      Delta
	RequestIDs []DotRequest
}

const storedHintForm = 1

// AppendStoredHint appends the binary form of a hint's row.
func AppendStoredHint(b []byte, h *StoredHint) []byte {
	b = binary.AppendUvarint(append(b, storedHintForm), uint64(h.Slots))
	b = binary.AppendVarint(b, h.Since)
	b = h.Delta.Dots.AppendTo(appendObject(b, h.Delta.Siblings))
	return appendRequestIDs(b, h.RequestIDs)
}

// DecodeStoredHint reads a row, which must be nothing else. Values alias b.
func DecodeStoredHint(b []byte) (h StoredHint, err error) {
	r := newReader(b)
	if form := r.byte("form of a hint"); form != storedHintForm {
		r.fail("form of a hint", "form %d, this node knows %d", form, storedHintForm)
	}
	h.Slots = r.slots()
	h.Since = r.varint("since")
	h.Delta.Siblings = r.object("delta")
	h.Delta.Dots = r.dotSet("dots")
	h.RequestIDs = r.requestIDs()
	return h, r.end("hint")
}
