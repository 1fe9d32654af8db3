//go:build race

package vclock

// The race detector makes the search many times slower and has little to find
// in it.
const (
	depthDefault = 5
	historiesMin = 200_000
)
