package load

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// KeyBytesMin is how short a key may be: its number takes that much.
const KeyBytesMin = 10

// keyDigits are those of crockford's base 32: no two look alike.
const keyDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// keyBits are what KeyBytesMin digits hold.
const keyBits = 5 * KeyBytesMin

// KeyName is the name of a key of a size. Numbers that follow one another have
// names that do not, as with YCSB's hashed insert order; no two share a name.
func KeyName(number uint64, size int) string {
	const mask = 1<<keyBits - 1
	// An odd factor and a shifted xor are one to one on keyBits bits.
	n := number & mask
	for range 2 {
		n = n * 0x9e3779b97f4a7c15 & mask
		n ^= n >> (keyBits / 2)
	}
	b := []byte(strings.Repeat("k", max(0, size-KeyBytesMin)) + strings.Repeat("0", KeyBytesMin))
	for i := len(b) - 1; n > 0; i-- {
		b[i] = keyDigits[n&31]
		n >>= 5
	}
	return string(b)
}

// Keys says which keys exist: the first Count numbers. It is safe for many
// goroutines.
type Keys struct {
	// epoch sets inserted keys apart from those of other runs on the same bucket:
	// what was thought new would be a sibling.
	epoch uint64
	first uint64 // the first inserted key

	mu    sync.Mutex
	begun uint64
	// ended are inserts above count that have ended before one below them.
	ended map[uint64]bool
	count uint64
}

// insertBits bound the keys that are inserted in a run, and EpochsMax the runs that
// can be told apart.
const (
	insertBits = 30
	EpochsMax  = 1 << (keyBits - insertBits)
)

// NewKeys begins with n keys, in an epoch from 1 to EpochsMax-1.
func NewKeys(n, epoch uint64) *Keys {
	return &Keys{epoch: epoch, first: n, begun: n, count: n, ended: map[uint64]bool{}}
}

// name is the name of a key.
func (k *Keys) name(number uint64, size int) string {
	if number >= k.first {
		number += k.epoch << insertBits
	}
	return KeyName(number, size)
}

// Count is how many keys can be asked for.
func (k *Keys) Count() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.count
}

// begin takes the number of a new key.
func (k *Keys) begin() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.begun++
	return k.begun - 1
}

// Inserted says that the insert of a key has ended. Only then may it be chosen,
// and only when those before it have: a key that nobody has stored yet would make
// reads look quick. An insert that failed ends too, or the others would wait for
// it for ever; what is then asked for in vain counts as a miss.
func (k *Keys) Inserted(number uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended[number] = true
	for k.ended[k.count] {
		delete(k.ended, k.count)
		k.count++
	}
}

// Op is one operation to carry out.
type Op struct {
	Kind   Kind
	Number uint64 // of the key
	Key    string
	Value  []byte
	// TTL is 0 for a value that stays.
	TTL time.Duration
}

// Source draws the operations of one caller.
type Source struct {
	settings *Settings
	keys     *Keys
	chance   *rand.Rand
	dice     dice
	chooser  chooser
	lives    lifetimes
	values   Values
}

// NewSource makes the source of a caller, who is known by a number.
func NewSource(s *Settings, keys *Keys, values Values, caller int) *Source {
	return &Source{
		settings: s, keys: keys, chance: rand.New(rand.NewPCG(s.Seed, uint64(caller)+1)),
		dice: s.Mix.dice(), chooser: chooser{p: s.Popularity}, lives: newLifetimes(s.TTLs), values: values,
	}
}

// Next draws an operation.
func (s *Source) Next() Op {
	op := Op{Kind: s.dice.throw(s.chance)}
	switch op.Kind {
	case Scan:
		return op
	case Insert:
		op.Number = s.keys.begin()
	default:
		op.Number = s.chooser.choose(s.chance, s.keys.Count())
	}
	op.Key = s.keys.name(op.Number, s.settings.KeyBytes)
	if op.Kind != Get && op.Kind != Delete {
		s.fill(&op)
	}
	return op
}

// Fresh is the write by which a key comes into being before the measurement.
func (s *Source) Fresh(number uint64) Op {
	op := Op{Kind: Put, Number: number, Key: KeyName(number, s.settings.KeyBytes)}
	s.fill(&op)
	return op
}

func (s *Source) fill(op *Op) { op.Value, op.TTL = s.values.draw(s.chance), s.lives.draw(s.chance) }

// Values are pieces of one stretch of random bytes, which no compression makes
// small. They are shared: whoever gets one must not change it.
type Values struct {
	size    int
	stretch []byte
}

// valueStretch is how many bytes there are to begin a value at.
const valueStretch = 1 << 20

// NewValues makes values of a size.
func NewValues(size int, seed uint64) Values {
	v := Values{size: size, stretch: make([]byte, valueStretch+size)}
	chance := rand.New(rand.NewPCG(seed, 0))
	for i := range v.stretch {
		v.stretch[i] = byte(chance.Uint32())
	}
	return v
}

func (v *Values) draw(r *rand.Rand) []byte {
	at := r.IntN(valueStretch)
	return v.stretch[at : at+v.size : at+v.size]
}
