package vclock

import "strconv"

// Order is the answer to comparing two things that need not be ordered.
type Order int

// The four answers. The zero Order is none of them.
const (
	Equal      Order = iota + 1 // both know the same
	Before                      // the other knows all of this, and more
	After                       // this knows all of the other, and more
	Concurrent                  // each knows something that the other does not
)

func (o Order) String() string {
	switch o {
	case Equal:
		return "equal"
	case Before:
		return "before"
	case After:
		return "after"
	case Concurrent:
		return "concurrent"
	default:
		return "Order(" + strconv.Itoa(int(o)) + ")"
	}
}
