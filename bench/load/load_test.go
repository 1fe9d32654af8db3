package load

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kindredkv/kindred"
)

const draws = 400_000

// frequencies draws and counts.
func frequencies(t *testing.T, p Popularity, n uint64) []float64 {
	t.Helper()
	r, c, counts := rand.New(rand.NewPCG(7, 7)), chooser{p: p}, make([]float64, n)
	for range draws {
		counts[c.choose(r, n)]++
	}
	for i := range counts {
		counts[i] /= draws
	}
	return counts
}

// law are the frequencies that Zipf's law demands.
func law(n uint64, exponent float64) []float64 {
	out, sum := make([]float64, n), 0.0
	for i := range out {
		out[i] = math.Pow(float64(i+1), -exponent)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// requireAlike allows each frequency five standard deviations.
func requireAlike(t *testing.T, want, got []float64) {
	t.Helper()
	for i := range want {
		deviation := math.Sqrt(want[i] * (1 - want[i]) / draws)
		const few = 3.0 / draws // a rare rank may be drawn now and then
		require.InDelta(t, want[i], got[i], 5*deviation+few, "rank %d", i)
	}
}

// The exponents of YCSB and of Twitter's caches, on both sides of 1 and at it.
func TestZipfDrawsByTheFormula(t *testing.T) {
	for _, exponent := range []float64{0, 0.3048, ZipfYCSB, 1, 1.2, 2.6774} {
		for _, n := range []uint64{1, 2, 1000} {
			requireAlike(t, law(n, exponent), frequencies(t, Popularity{Zipfian, exponent}, n))
		}
	}
}

func TestUniformIsUniform(t *testing.T) {
	requireAlike(t, law(500, 0), frequencies(t, Popularity{Shape: Uniform}, 500))
}

func TestTheLatestKeyIsTheMostPopular(t *testing.T) {
	got := frequencies(t, Popularity{Latest, ZipfYCSB}, 200)
	want := law(200, ZipfYCSB)
	for i := range got[:100] {
		got[i], got[199-i] = got[199-i], got[i]
	}
	requireAlike(t, want, got)

	r, c := rand.New(rand.NewPCG(1, 1)), chooser{p: Popularity{Latest, ZipfYCSB}}
	c.choose(r, 10)
	newest := 0
	for range 1000 {
		if c.choose(r, 1000) == 999 {
			newest++
		}
	}
	require.Greater(t, newest, 90, "popularity moves on with the keys")
}

// YCSB draws from ten billion items, whose zeta it writes down as 26.469…, and
// hashes them to the keys: its most popular key takes 1/26.47 of all, and a few
// other items.
func TestScrambledIsThatOfYCSB(t *testing.T) {
	const zeta = 26.46902820178302
	got := frequencies(t, Popularity{Scrambled, ZipfYCSB}, 1000)
	first, second := fnv64(0)%1000, fnv64(1)%1000
	require.InDelta(t, 1/zeta+0.0006, got[first], 0.002)
	require.InDelta(t, 1/zeta*math.Pow(2, -ZipfYCSB)+0.0007, got[second], 0.002)
	require.Greater(t, max(first, second)-min(first, second), uint64(1), "popular keys are not neighbours")
}

func TestPopularitiesAreRead(t *testing.T) {
	for text, want := range map[string]Popularity{
		"uniform": {Uniform, 0}, "zipfian": {Zipfian, 0.99}, "scrambled:0.5": {Scrambled, 0.5}, "latest:1.2": {Latest, 1.2},
	} {
		got, err := ParsePopularity(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
		again, err := ParsePopularity(got.String())
		require.NoError(t, err)
		require.Equal(t, want, again)
	}
	for _, text := range []string{"", "zipf", "zipfian:", "zipfian:11", "zipfian:-1", "zipfian:NaN", "uniform:1"} {
		_, err := ParsePopularity(text)
		require.Error(t, err, text)
	}
}

func TestAMixOccursAsItSays(t *testing.T) {
	m, err := ParseMix("get=80, put=15,update=5")
	require.NoError(t, err)
	require.Equal(t, "get=80,put=15,update=5", m.String())
	r, d, counts := rand.New(rand.NewPCG(3, 3)), m.dice(), map[Kind]float64{}
	for range draws {
		counts[d.throw(r)]++
	}
	require.InDelta(t, 0.80, counts[Get]/draws, 0.005)
	require.InDelta(t, 0.15, counts[Put]/draws, 0.005)
	require.InDelta(t, 0.05, counts[Update]/draws, 0.005)
	for _, text := range []string{"", "get", "get=", "get=0", "get=-1", "get=x", "get=Inf", "sing=1", "get=1,get=2", "get=1,"} {
		_, err := ParseMix(text)
		require.Error(t, err, text)
	}
}

func TestEveryProfileCanBeUsed(t *testing.T) {
	all := Profiles()
	names := map[string]bool{}
	for _, p := range all {
		require.False(t, names[p.Name], p.Name)
		names[p.Name] = true
		s := Settings{Callers: 1, Spacing: Even, Time: time.Second, Keys: 100}
		s.Use(p)
		require.NoError(t, s.Validate(), p.Name)
		source := NewSource(&s, NewKeys(s.Keys, 1), NewValues(s.ValueBytes, 1), 0)
		for range 200 {
			op := source.Next()
			require.Positive(t, s.Mix[op.Kind], p.Name)
			require.GreaterOrEqual(t, len(op.Key)+boolInt(op.Kind == Scan)*p.KeyBytes, p.KeyBytes, p.Name)
			require.True(t, op.Value == nil || len(op.Value) == p.ValueBytes, p.Name)
		}
	}
	require.Len(t, all, 9+twitterRows)
	_, err := FindProfile("ycsb-g")
	require.ErrorContains(t, err, "twitter-1 to twitter-54")
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestTwitterRowsAreTakenOver(t *testing.T) {
	p, err := FindProfile("twitter-23")
	require.NoError(t, err)
	require.Equal(t, "get=36.36,put=31.31,update=30.3,delete=2.02", p.Mix.String(), "its shares sum to 0.99")
	require.Equal(t, Popularity{Zipfian, 0.274}, p.Popularity)
	require.Equal(t, []TTL{{2 * time.Minute, 0.93}, {45 * time.Minute, 0.05}, {5 * time.Second, 0.03}}, p.TTLs)
	require.Equal(t, "5s to 45m", p.Lives())
	require.Equal(t, 35, p.KeyBytes)
	require.Equal(t, 224, p.ValueBytes)

	short, r := 0, rand.New(rand.NewPCG(5, 5))
	lives := newLifetimes(p.TTLs)
	for range draws {
		if lives.draw(r) == 2*time.Minute {
			short++
		}
	}
	require.InDelta(t, 0.93/1.01, float64(short)/draws, 0.005, "weights need not sum to 1")

	head, _, _ := strings.Cut(twitterCSV, "\n")
	for _, row := range []string{
		"cluster1,x,1,1,get:1,1,1,1,1,1:1", "cluster1,1,x,1,get:1,1,1,1,1,1:1", "cluster1,1,1,1,sing:1,1,1,1,1,1:1",
		"cluster1,1,1,1,get:1,x,1,1,1,1:1", "cluster1,1,1,1,get:1,1,1,1,1,0:1", "cluster1,1,1",
	} {
		_, err := parseTwitter(head + "\n" + row)
		require.Error(t, err, row)
	}
}

func TestKeysHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for n := range uint64(50_000) {
		for _, number := range []uint64{n, n + EpochsMax/2<<insertBits} {
			name := KeyName(number, KeyBytesMin)
			require.Len(t, name, KeyBytesMin)
			require.False(t, seen[name], "%d", number)
			seen[name] = true
		}
	}
	require.Len(t, KeyName(1, kindred.KeyBytesMax), kindred.KeyBytesMax)
	require.True(t, strings.HasSuffix(KeyName(17, 30), KeyName(17, KeyBytesMin)))
}

func TestTheSameSeedDrawsTheSameLoad(t *testing.T) {
	draw := func(seed uint64, caller int) (ops []Op) {
		s := Settings{Keys: 1000, Seed: seed}
		p, err := FindProfile("twitter-23")
		require.NoError(t, err)
		s.Use(p)
		source := NewSource(&s, NewKeys(s.Keys, 1), NewValues(s.ValueBytes, s.Seed), caller)
		for range 100 {
			ops = append(ops, source.Next())
		}
		return ops
	}
	require.Equal(t, draw(1, 0), draw(1, 0))
	require.NotEqual(t, draw(1, 0), draw(2, 0))
	require.NotEqual(t, draw(1, 0), draw(1, 1))
}

// A key is asked for when its insert has ended, and all before it.
func TestInsertsAreSeenInTheirOrder(t *testing.T) {
	k := NewKeys(10, 3)
	a, b, c := k.begin(), k.begin(), k.begin()
	require.Equal(t, []uint64{10, 11, 12}, []uint64{a, b, c})
	k.Inserted(b)
	require.EqualValues(t, 10, k.Count())
	k.Inserted(a)
	require.EqualValues(t, 12, k.Count())
	k.Inserted(c)
	require.EqualValues(t, 13, k.Count())
	require.Equal(t, KeyName(9, 20), k.name(9, 20))
	require.NotEqual(t, k.name(10, 20), NewKeys(10, 4).name(10, 20), "each run inserts keys of its own")
}

func TestArrivalsDoNotDependOnTheStore(t *testing.T) {
	start := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	even := NewArrivals(start, 100, Even, 1)
	for i := range 5 {
		require.Equal(t, start.Add(time.Duration(i)*10*time.Millisecond), even.Next())
	}
	require.EqualValues(t, 95, even.Before(start.Add(time.Second)))
	require.Zero(t, even.Before(start))

	random, last, square := NewArrivals(start, 1000, Poisson, 1), start, 0.0
	const n = 100_000
	random.Next()
	for range n {
		at := random.Next()
		gap := at.Sub(last).Seconds() * 1000
		square, last = square+gap*gap, at
	}
	require.InDelta(t, n/1000, last.Sub(start).Seconds(), 2, "the rate")
	require.InDelta(t, 2, square/n, 0.1, "and the spread of Poisson's gaps, whose square is 2 on average")
}
