package vclock

import (
	"fmt"
	"testing"
)

// benchClock is the clock of a partition that has seen some restarts: live
// actors with bases, many closed ones, and a few gaps.
func benchClock(closed int) DotSet {
	var clock DotSet
	for i := range closed {
		clock.Close(Actor{Disk: uint64(i%5 + 1), Nonce: uint64(i + 100)})
	}
	for disk := uint64(1); disk <= 5; disk++ {
		clock.AddSpan(Actor{Disk: disk, Nonce: 9}, Span{1, 100_000 * disk})
	}
	clock.AddSpan(Actor{Disk: 2, Nonce: 9}, Span{200_005, 200_009})
	return clock
}

func sizes(b *testing.B, run func(b *testing.B, clock DotSet)) {
	for _, closed := range []int{0, 20, 500} {
		b.Run(fmt.Sprintf("closed=%d", closed), func(b *testing.B) {
			b.ReportAllocs()
			run(b, benchClock(closed))
		})
	}
}

// The common path: a write replaces the one version that it saw, and the clock
// has no gap for its actor.
func BenchmarkMergeReplace(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		actor := Actor{Disk: 1, Nonce: 9}
		last := Dot{actor, clock.Base(actor)}
		key := New(last, 0, DotSet{})
		delta := Delta[int]{Siblings: New(last, 1, key.Fill(clock).Seen()), Dots: NewDotSet(last)}
		for b.Loop() {
			delta.Context.Add(last)
			last.Counter++
			delta.Versions[0].Dot = last
			delta.Dots.runs[0].Span = Span{last.Counter, last.Counter}
			key.Merge(&clock, delta)
		}
		if len(key.Versions) != 1 || key.Versions[0].Dot != last {
			b.Fatal("the key does not hold the last write")
		}
	})
}

// The other common path: the delta brings nothing new.
func BenchmarkMergeRepeat(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		actor := Actor{Disk: 1, Nonce: 9}
		key := New(Dot{actor, clock.Base(actor)}, 0, DotSet{})
		delta := Delta[int]{Siblings: key.Fill(clock), Dots: key.Dots()}
		for b.Loop() {
			key.Merge(&clock, delta)
		}
	})
}

func BenchmarkContains(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		d := Dot{Actor{Disk: 3, Nonce: 9}, 4711}
		for b.Loop() {
			if !clock.Contains(d) {
				b.Fatal("the dot is in the base")
			}
		}
	})
}

func BenchmarkUnionOneDot(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		actor := Actor{Disk: 1, Nonce: 9}
		next := NewDotSet(Dot{actor, clock.Base(actor)})
		for b.Loop() {
			next.runs[0].Lo++
			next.runs[0].Hi++
			clock.Union(next)
		}
	})
}

func BenchmarkUnionClocks(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		other := clock.Clone()
		other.Add(Dot{Actor{Disk: 9, Nonce: 9}, 1})
		for b.Loop() {
			both := clock.Clone()
			both.Union(other)
		}
	})
}

func BenchmarkBases(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		for b.Loop() {
			clock.Bases()
		}
	})
}

func BenchmarkFill(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		key := New(Dot{Actor{Disk: 1, Nonce: 9}, 5}, 0, DotSet{})
		for b.Loop() {
			key.Fill(clock)
		}
	})
}

func BenchmarkJoin(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		object := New(Dot{Actor{Disk: 1, Nonce: 9}, 5}, 0, DotSet{}).Fill(clock)
		for b.Loop() {
			Join(object, object)
		}
	})
}

func BenchmarkEncodeClock(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		var form []byte
		for b.Loop() {
			form = clock.AppendTo(form[:0])
		}
		b.ReportMetric(float64(len(form)), "bytes")
	})
}

func BenchmarkDecodeClock(b *testing.B) {
	sizes(b, func(b *testing.B, clock DotSet) {
		form := clock.AppendTo(nil)
		for b.Loop() {
			if _, _, err := DecodeDotSet(form); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func quietKey() Siblings[string] { return New(dotA(100_000), "milk", DotSet{}) }

func BenchmarkEncodeQuietKey(b *testing.B) {
	b.ReportAllocs()
	key, form := quietKey(), []byte(nil)
	for b.Loop() {
		form = AppendSiblings(form[:0], key, appendText)
	}
	b.ReportMetric(float64(len(form)), "bytes")
}

func BenchmarkDecodeQuietKey(b *testing.B) {
	b.ReportAllocs()
	form := AppendSiblings(nil, quietKey(), appendText)
	for b.Loop() {
		if _, _, err := DecodeSiblings(form, decodeText); err != nil {
			b.Fatal(err)
		}
	}
}

// The cost ledger: what timings cannot guard in a shared machine, allocations
// can.
func TestCommonPathsDoNotAllocate(t *testing.T) {
	clock := benchClock(20)
	actor := Actor{Disk: 1, Nonce: 9}
	last := Dot{actor, clock.Base(actor)}
	key := New(last, "milk", DotSet{})
	delta := Delta[string]{Siblings: New(last, "eggs", key.Fill(clock).Seen()), Dots: NewDotSet(last)}
	form := make([]byte, 0, 4096)
	for name, step := range map[string]func(){
		"a write replaces what it saw": func() {
			delta.Context.Add(last)
			last.Counter++
			delta.Versions[0].Dot = last
			delta.Dots.runs[0].Span = Span{last.Counter, last.Counter}
			key.Merge(&clock, delta)
		},
		"a write comes twice": func() { key.Merge(&clock, delta) },
		"is this dot known":   func() { clock.Contains(last) },
		"strip":               func() { key.Strip(clock) },
		"compare clocks":      func() { clock.Compare(clock) },
		"encode a clock":      func() { clock.AppendTo(form) },
		"encode a key":        func() { AppendSiblings(form, key, appendText) },
	} {
		if allocations := testing.AllocsPerRun(100, step); allocations != 0 {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
	if got := key.Values(); len(got) != 1 || got[0] != "eggs" {
		t.Errorf("the key holds %v", got)
	}
}
