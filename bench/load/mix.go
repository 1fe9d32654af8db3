package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Kind is what an operation does.
type Kind string

const (
	// Get reads a key.
	Get Kind = "get"
	// Put writes a key in place of what this program has last seen of it. A key of
	// which it has seen nothing is read first; that is counted, and its time is part
	// of the put.
	Put Kind = "put"
	// Update reads a key and writes what it made of it, with the context of the read:
	// YCSB's read-modify-write.
	Update Kind = "update"
	// Insert writes a key that is new.
	Insert Kind = "insert"
	// Blind writes a key without having seen anything: it makes a sibling.
	Blind Kind = "blind"
	// Delete removes what is there.
	Delete Kind = "delete"
	// Scan asks for the next page of keys.
	Scan Kind = "scan"
)

// Kinds are all kinds, in the order of reports.
func Kinds() []Kind { return []Kind{Get, Put, Update, Insert, Blind, Delete, Scan} }

// Mix is how often each kind is meant to occur. Shares need not sum to anything.
type Mix map[Kind]float64

// ParseMix reads get=80,put=15,update=5.
func ParseMix(s string) (Mix, error) {
	m := Mix{}
	for part := range strings.SplitSeq(s, ",") {
		name, share, given := cutNumber(strings.TrimSpace(part), "=")
		kind := Kind(name)
		switch {
		case !slices.Contains(Kinds(), kind):
			return nil, fmt.Errorf("%q is no kind of operation: use %s", name, kindNames())
		case !given || !(share > 0) || math.IsInf(share, 0):
			return nil, fmt.Errorf("%q: write KIND=SHARE with a share above 0, as in get=80,put=20", part)
		case m[kind] > 0:
			return nil, fmt.Errorf("%s is there twice", kind)
		}
		m[kind] = share
	}
	return m, nil
}

// cutNumber splits a text around a separator before a number. A number that is none
// is NaN, which no range holds.
func cutNumber(s, separator string) (name string, number float64, given bool) {
	name, text, given := strings.Cut(s, separator)
	if !given {
		return name, 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	if err != nil {
		number = math.NaN()
	}
	return name, number, true
}

func kindNames() string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// String is the form that ParseMix reads, in percent.
func (m Mix) String() string {
	var parts []string
	for _, k := range Kinds() {
		if m[k] > 0 {
			parts = append(parts, fmt.Sprintf("%s=%s", k, strconv.FormatFloat(100*m.share(k), 'g', 4, 64)))
		}
	}
	return strings.Join(parts, ",")
}

// share is a part of 1.
func (m Mix) share(k Kind) float64 {
	total := 0.0
	for _, kind := range Kinds() { // in a fixed order: sums of floats depend on it
		total += m[kind]
	}
	return m[k] / total
}

// dice draws kinds.
type dice struct {
	kinds []Kind
	upTo  []float64
}

func (m Mix) dice() dice {
	var d dice
	sum := 0.0
	for _, k := range Kinds() {
		if m[k] > 0 {
			sum += m.share(k)
			d.kinds, d.upTo = append(d.kinds, k), append(d.upTo, sum)
		}
	}
	return d
}

func (d *dice) throw(r *rand.Rand) Kind {
	u := r.Float64()
	for i, upTo := range d.upTo {
		if u < upTo {
			return d.kinds[i]
		}
	}
	return d.kinds[len(d.kinds)-1]
}
