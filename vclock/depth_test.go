//go:build !race

package vclock

const (
	depthDefault = 6
	historiesMin = 5_000_000
)
