package security

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"
	"time"
)

// provenMax bounds the certificates that are remembered as verified. Beyond it
// they are verified every time.
const provenMax = 4096

// provenLeaves remembers certificates that lead to an authority, until they
// expire. It lives as long as the authorities that it was made with.
type provenLeaves struct {
	mu     sync.RWMutex
	leaves map[[sha256.Size]byte]time.Time
}

func (p *provenLeaves) verify(chain []*x509.Certificate, roots *x509.CertPool, now time.Time) error {
	id := sha256.Sum256(chain[0].Raw)
	p.mu.RLock()
	until, known := p.leaves[id]
	p.mu.RUnlock()
	if known && now.Before(until) {
		return nil
	}
	if err := verify(chain, roots, now); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leaves == nil {
		p.leaves = map[[sha256.Size]byte]time.Time{}
	}
	if len(p.leaves) < provenMax || known {
		p.leaves[id] = soonest(chain)
	}
	return nil
}

// soonest is when the first certificate of a chain expires.
func soonest(chain []*x509.Certificate) time.Time {
	first := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}
