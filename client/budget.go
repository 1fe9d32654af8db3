package client

import "sync"

// Limits of the extra load that a client makes.
const (
	// retryRatio is how many retries each operation pays for, and retryBurst
	// how many may be saved up: enough for every caller of a busy client to
	// move to another node at once, too few to double the load of a cluster
	// that is refusing work.
	retryRatio = 0.2
	retryBurst = 1000
	// hedgeRatio and hedgeBurst bound hedges likewise.
	hedgeRatio = 0.05
	hedgeBurst = 10
)

// budget is a token bucket filled by work instead of time.
type budget struct {
	mu     sync.Mutex
	tokens float64
	ratio  float64
	burst  float64
}

func newBudget(ratio, burst float64) *budget {
	return &budget{tokens: burst, ratio: ratio, burst: burst}
}

// earn adds what one operation pays.
func (b *budget) earn() {
	b.mu.Lock()
	b.tokens = min(b.tokens+b.ratio, b.burst)
	b.mu.Unlock()
}

// spend takes a whole token, if there is one.
func (b *budget) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
