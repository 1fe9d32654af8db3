package load

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// ZipfYCSB is the exponent that YCSB calls the zipfian constant.
const ZipfYCSB = 0.99

// scrambleItems is the number of items from which YCSB draws before it hashes
// them to keys: the most popular key takes a 26th of the operations, however many
// keys there are.
const scrambleItems = 10_000_000_000

// ZipfExponentMax bounds exponents: beyond it nearly everything is one key.
const ZipfExponentMax = 10

// Popularity is how often keys are asked for, compared with one another.
type Popularity struct {
	// Shape is uniform, zipfian, scrambled or latest.
	Shape Shape `json:"shape"`
	// Exponent is that of Zipf's law; 0 is uniform.
	Exponent float64 `json:"exponent"`
}

// Shape is the form of a popularity.
type Shape string

const (
	// Uniform: every key as often as every other.
	Uniform Shape = "uniform"
	// Zipfian: the key of rank k as often as 1/k to the exponent.
	Zipfian Shape = "zipfian"
	// Scrambled is YCSB's zipfian: ten billion items, hashed to the keys.
	Scrambled Shape = "scrambled"
	// Latest is zipfian by age: the newest key is the most popular.
	Latest Shape = "latest"
)

// ParsePopularity reads uniform, zipfian, scrambled, latest, and the last three
// with an exponent, as in zipfian:1.2.
func ParsePopularity(s string) (Popularity, error) {
	p := Popularity{Exponent: ZipfYCSB}
	name, exponent, given := cutNumber(s, ":")
	p.Shape = Shape(name)
	switch p.Shape {
	case Uniform:
		p.Exponent = 0
	case Zipfian, Scrambled, Latest:
		if given {
			p.Exponent = exponent
		}
	default:
		return p, fmt.Errorf("%q is no popularity: use uniform, zipfian, scrambled or latest, the last three also with an exponent as in zipfian:1.2", s)
	}
	if (given && p.Shape == Uniform) || !(p.Exponent >= 0 && p.Exponent <= ZipfExponentMax) {
		return p, fmt.Errorf("%q: an exponent is a number from 0 to %d, and uniform has none", s, ZipfExponentMax)
	}
	return p, nil
}

// String is the form that ParsePopularity reads.
func (p Popularity) String() string {
	if p.Shape == Uniform {
		return string(p.Shape)
	}
	return fmt.Sprintf("%s:%v", p.Shape, p.Exponent)
}

// chooser draws one of the first n keys. It remembers what depends on n alone.
type chooser struct {
	p    Popularity
	zipf zipf
}

func (c *chooser) choose(r *rand.Rand, n uint64) uint64 {
	switch c.p.Shape {
	case Zipfian:
		return c.rank(r, n)
	case Scrambled:
		return fnv64(c.rank(r, scrambleItems)) % n
	case Latest:
		return n - 1 - c.rank(r, n)
	default:
		return r.Uint64N(n)
	}
}

// rank draws from 0 to n-1, 0 the most popular.
func (c *chooser) rank(r *rand.Rand, n uint64) uint64 {
	if c.zipf.n != n {
		c.zipf = newZipf(n, c.p.Exponent)
	}
	return c.zipf.draw(r)
}

// fnv64 is the hash by which YCSB scatters popular items, FNV-1a over the bytes of
// the number.
func fnv64(v uint64) uint64 {
	h := uint64(0xcbf29ce484222325)
	for range 8 {
		h = (h ^ v&0xff) * 1099511628211
		v >>= 8
	}
	return h
}

// zipf draws ranks by rejection-inversion (Hörmann and Derflinger, ACM TOMACS 6,
// 1996): exact for every exponent, also those of 1 and above which YCSB's own
// method cannot do, and no table that grows with n.
type zipf struct {
	n        uint64
	exponent float64

	hFirst, hLast, squeeze float64
}

func newZipf(n uint64, exponent float64) zipf {
	z := zipf{n: n, exponent: exponent}
	z.hFirst = z.integral(1.5) - 1
	z.hLast = z.integral(float64(n) + 0.5)
	z.squeeze = 2 - z.inverse(z.integral(2.5)-z.weight(2))
	return z
}

func (z *zipf) draw(r *rand.Rand) uint64 {
	for {
		u := z.hLast + r.Float64()*(z.hFirst-z.hLast)
		x := z.inverse(u)
		k := math.Min(math.Max(math.Floor(x+0.5), 1), float64(z.n))
		if k-x <= z.squeeze || u >= z.integral(k+0.5)-z.weight(k) {
			return uint64(k) - 1
		}
	}
}

// weight is how popular rank x is, from 1.
func (z *zipf) weight(x float64) float64 { return math.Exp(-z.exponent * math.Log(x)) }

// integral is an antiderivative of weight.
func (z *zipf) integral(x float64) float64 {
	l := math.Log(x)
	return expm1Over((1-z.exponent)*l) * l
}

// inverse undoes integral.
func (z *zipf) inverse(u float64) float64 {
	t := math.Max(u*(1-z.exponent), -1) // rounding must not leave the domain
	return math.Exp(log1pOver(t) * u)
}

// expm1Over is (e^x-1)/x, also where both are nearly 0.
func expm1Over(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Expm1(x) / x
	}
	return 1 + x/2*(1+x/3)
}

// log1pOver is log(1+x)/x, also where both are nearly 0.
func log1pOver(x float64) float64 {
	if math.Abs(x) > 1e-8 {
		return math.Log1p(x) / x
	}
	return 1 - x*(0.5-x/3)
}
