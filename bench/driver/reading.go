package driver

import "context"

// Reading is what a process had used at one moment.
type Reading struct {
	// Seconds of processor time since it started.
	Seconds float64
	// Identity tells it from a later process with the same number.
	Identity string
}

// Read says what the process has used so far, for those who do not measure with a
// [Run].
func (p Process) Read(ctx context.Context) (Reading, error) {
	seconds, identity, err := p.read(ctx)
	return Reading{Seconds: seconds, Identity: identity}, err
}
