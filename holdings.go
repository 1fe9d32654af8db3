package kindred

import "time"

// Holding is a set of write events of one partition, of which a node holds some or is
// asked whether it does.
type Holding struct {
	Partition, N int
	// Guest says that the node owes the events to homes, and keeps them as hints.
	Guest bool
	// Dots are the events, in the binary form of package vclock.
	Dots []byte
	// Since is when the oldest of them was there at the latest; zero if nobody knows.
	Since time.Time
}

// Holdings is what a node says of what it holds. All of it was on its disk when it
// answered.
type Holdings struct {
	// Unknown says why this could not be found out, empty if it could. The rest is
	// then not the whole truth (I12).
	Unknown string
	// At is when it was put together, by the clock of the node.
	At       time.Time
	Holdings []Holding
}

// HoldingsBytesMax bounds the write events of one question about them, and of one
// answer. Events are told as spans: this is enough for 100,000 of these.
const HoldingsBytesMax = 4 << 20
