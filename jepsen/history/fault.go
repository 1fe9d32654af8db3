package history

import "time"

// Fault is something that was made to go wrong during a run. Times count from the
// start of the run, as those of an [Op] do.
type Fault struct {
	// Kind is the name of the nemesis, What it did in a few words.
	Kind, What string
	// Begin is when it was in force, End when it was healed, Ready when every node
	// was ready again after it. Zero means not yet.
	Begin, End, Ready time.Duration
}
