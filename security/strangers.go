package security

import (
	"sync"
	"time"
)

// Limits on what strangers make a node write.
const (
	strangersEvery    = time.Second
	strangersReminder = time.Minute
)

// Strangers counts those who were refused before they had proven a name, and says
// which of them is worth a line in the log: anybody can send anything, and is not
// to fill it. The zero value is ready; methods may be called from any goroutine.
type Strangers struct {
	mu    sync.Mutex
	total uint64
	last  string
	at    time.Time
}

// Met counts one of a kind and reports whether it is worth a line: news at most
// once a second, and what goes on once a minute.
func (s *Strangers) Met(now time.Time, kind string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	since := now.Sub(s.at)
	if since < strangersEvery || kind == s.last && since < strangersReminder {
		return false
	}
	s.last, s.at = kind, now
	return true
}

// Count is how many were met.
func (s *Strangers) Count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}
