package history

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	kindred "github.com/kindredkv/kindred"
)

// WriteID names one put or delete of a run. Zero is no write.
type WriteID uint64

// Kind is what an op does.
type Kind uint8

const (
	Get Kind = iota + 1
	Put
	Delete
)

var kinds = [...]string{"", "get", "put", "delete"}

// outcomes are those that package kindred knows.
var outcomes = [...]kindred.Outcome{kindred.Applied, kindred.NotApplied, kindred.Unknown}

// String is the lower-case verb.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Sibling is one value that a get found.
type Sibling struct {
	Write WriteID
	// Dot is the write event as the store names it, empty if it did not say.
	Dot string
	// Set are the elements of the value, for workloads whose values are sets
	// of write ids. Needed on final reads only.
	Set []WriteID
}

// Op is one operation of one client.
type Op struct {
	// Process is the client. It does one thing at a time.
	Process int
	// Invoke and Complete count from the start of the run. Complete is when the
	// client had its answer, or gave up.
	Invoke, Complete time.Duration
	Kind             Kind
	Bucket, Key      string
	// Write is the id of a put or delete.
	Write WriteID
	// Seen are the writes that were visible where the context of this write
	// comes from. Empty for a blind write and for one that found nothing.
	Seen []WriteID
	// Context is the opaque context that was passed, as evidence.
	Context []byte
	// Outcome: a get that was answered is Applied.
	Outcome kindred.Outcome
	// Dot is the write event that was minted, if the store said so.
	Dot string
	// Siblings are what a get found; none means that the key was absent.
	Siblings []Sibling
	// N is the number of home replicas and Need how many of them had to
	// answer: W of a write, R of a get. Zero means not known, and then nothing
	// is derived from them.
	N, Need int
	// Sloppy is set if guests may have counted toward Need.
	Sloppy bool
	// Attempts is how often the request was sent under its one request id. Zero
	// means not known.
	Attempts int
	// Node is the one that the client asked last.
	Node string
	// Final marks a read after the end of all faults and writes.
	Final bool
	// Error is what the client was told, for people.
	Error string
}

// IsWrite reports whether the op is a put or a delete.
func (o *Op) IsWrite() bool { return o.Kind == Put || o.Kind == Delete }

// Check verifies H1 to H6.
func (o *Op) Check() error {
	broken := func(number int, format string, args ...any) error {
		return fmt.Errorf("invariant H%d: %s", number, fmt.Sprintf(format, args...))
	}
	switch {
	case o.Kind < Get || o.Kind > Delete:
		return broken(1, "%v is not a kind of operation", o.Kind)
	case !slices.Contains(outcomes[:], o.Outcome):
		return broken(1, "%v is not an outcome", o.Outcome)
	case o.Bucket == "" || o.Key == "":
		return broken(1, "bucket %q or key %q is empty", o.Bucket, o.Key)
	case o.Invoke < 0 || o.Complete < o.Invoke:
		return broken(2, "it begins at %v and ends at %v", o.Invoke, o.Complete)
	case o.IsWrite() != (o.Write != 0):
		return broken(3, "a %v has write id %d", o.Kind, o.Write)
	case len(o.Siblings) > 0 && (o.Kind != Get || o.Outcome != kindred.Applied):
		return broken(4, "a %v that is %v has siblings", o.Kind, o.Outcome)
	case slices.ContainsFunc(o.Siblings, func(s Sibling) bool { return s.Write == 0 }):
		return broken(4, "a sibling has no write id")
	case slices.Contains(o.Seen, 0):
		return broken(4, "it has seen a write without an id")
	case o.Final && o.Kind != Get:
		return broken(5, "a %v is marked as final", o.Kind)
	case o.N < 0 || o.Need < 0 || o.Attempts < 0 || o.N > 0 && o.Need > o.N:
		return broken(6, "it needs %d of %d replicas in %d attempts", o.Need, o.N, o.Attempts)
	}
	return nil
}

// String is one line for people.
func (o *Op) String() string {
	s := fmt.Sprintf("[%v..%v] p%d %v %s/%s", o.Invoke, o.Complete, o.Process, o.Kind, o.Bucket, o.Key)
	if o.IsWrite() {
		s += fmt.Sprintf(" w%d seen%s %v", o.Write, writes(o.Seen), o.Outcome)
	} else if o.Outcome == kindred.Applied {
		s += " found" + writes(found(o.Siblings))
	} else {
		s += " " + o.Outcome.String()
	}
	if o.Dot != "" {
		s += " " + o.Dot
	}
	if o.Node != "" {
		s += " at " + o.Node
	}
	if o.Final {
		s += " final"
	}
	return s
}

func found(siblings []Sibling) []WriteID {
	ids := make([]WriteID, len(siblings))
	for i, s := range siblings {
		ids[i] = s.Write
	}
	return ids
}

// writes lists a few ids; a line for people needs no thousand siblings.
func writes(ids []WriteID) string {
	s := "{"
	for i, id := range ids {
		if i > 0 {
			s += " "
		}
		if i == 8 {
			s += fmt.Sprintf("and %d more", len(ids)-i)
			break
		}
		s += fmt.Sprintf("w%d", id)
	}
	return s + "}"
}

// History is a whole run.
type History struct {
	Header Header
	Ops    []Op
}

// ID names an object.
type ID struct{ Bucket, Key string }

// Objects gives the positions of the ops of each object, in the order in which
// they began.
func (h *History) Objects() map[ID][]int {
	objects := map[ID][]int{}
	for i := range h.Ops {
		id := ID{h.Ops[i].Bucket, h.Ops[i].Key}
		objects[id] = append(objects[id], i)
	}
	for _, ops := range objects {
		slices.SortStableFunc(ops, func(a, b int) int { return cmp.Compare(h.Ops[a].Invoke, h.Ops[b].Invoke) })
	}
	return objects
}
