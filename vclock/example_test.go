package vclock_test

import (
	"fmt"

	"github.com/kindredkv/kindred/vclock"
)

// Two replicas take a write each while they cannot hear one another; a client
// reads both, sees siblings, and settles them.
func Example() {
	left, right := vclock.Actor{Disk: 1, Nonce: 1}, vclock.Actor{Disk: 2, Nonce: 1}

	// Each replica has a clock for its partition, and here one key.
	var clockL, clockR vclock.DotSet
	var cartL, cartR vclock.Siblings[string]

	// A write is a delta: a dot, a value, and what its client had seen.
	put := func(actor vclock.Actor, counter uint64, value string, seen vclock.DotSet) vclock.Delta[string] {
		dot := vclock.Dot{Actor: actor, Counter: counter}
		return vclock.Delta[string]{Siblings: vclock.New(dot, value, seen), Dots: vclock.NewDotSet(dot)}
	}
	milk := put(left, 1, "milk", vclock.DotSet{})
	eggs := put(right, 1, "eggs", vclock.DotSet{})
	cartL.Merge(&clockL, milk)
	cartR.Merge(&clockR, eggs)

	// A read joins what the replicas send, each filled with its clock's base.
	read := vclock.Join(cartL.Fill(clockL), cartR.Fill(clockR))
	fmt.Println("a client reads", read.Values())

	// Its next write carries what it saw, and so replaces exactly that.
	both := put(left, 2, "milk and eggs", read.Seen())

	// Deltas may come late, twice and out of order.
	cartR.Merge(&clockR, both)
	cartR.Merge(&clockR, milk)
	cartR.Merge(&clockR, both)
	fmt.Println("the right replica shows", cartR.Values())
	fmt.Println("the key itself remembers", cartR.Context)
	fmt.Println("the clock has all of left up to", clockR.Base(left))

	// Output:
	// a client reads [milk eggs]
	// the right replica shows [milk and eggs]
	// the key itself remembers {}
	// the clock has all of left up to 2
}

// A delete is an event like any other. Once the clock has no gap below it,
// nothing of the key remains, and still nothing comes back.
func ExampleSiblings_Merge_delete() {
	actor := vclock.Actor{Disk: 1, Nonce: 1}
	first, second := vclock.Dot{Actor: actor, Counter: 1}, vclock.Dot{Actor: actor, Counter: 2}
	put := vclock.Delta[string]{Siblings: vclock.New(first, "milk", vclock.DotSet{}), Dots: vclock.NewDotSet(first)}

	var clock vclock.DotSet
	var key vclock.Siblings[string]
	key.Merge(&clock, put)
	seen := key.Fill(clock).Seen()
	key.Merge(&clock, vclock.Delta[string]{Siblings: vclock.Siblings[string]{Context: seen}, Dots: vclock.NewDotSet(second)})
	fmt.Println("gone:", key.IsGone())

	key.Merge(&clock, put) // a copy that was under way all the time
	fmt.Println("still gone:", key.IsGone())

	// Output:
	// gone: true
	// still gone: true
}
