package pace

import "time"

// Rate bounds background work. All of it is more than zero.
type Rate struct {
	// ItemsPerSecond and BytesPerSecond bound it, whichever is met first. Raising
	// them ends the work sooner and is felt by clients.
	ItemsPerSecond, BytesPerSecond int
	// Busy is the number of requests in progress at which the work runs at half of
	// its rate; at three times as many, at a quarter.
	Busy int
}

// cost is the time that work takes at the rate, with that many requests in progress.
func (r Rate) cost(items, bytes, busy int) time.Duration {
	seconds := max(float64(items)/float64(r.ItemsPerSecond), float64(bytes)/float64(r.BytesPerSecond))
	return time.Duration(seconds * (1 + float64(busy)/float64(r.Busy)) * float64(time.Second))
}

// Meter keeps work to a rate.
type Meter struct {
	rate Rate
	free time.Time
}

// NewMeter is a meter of work that has not begun.
func NewMeter(rate Rate) Meter { return Meter{rate: rate} }

// Charge pays for work that was done, at a moment with that many requests in
// progress.
func (m *Meter) Charge(now time.Time, items, bytes, busy int) {
	if m.free.Before(now) {
		m.free = now
	}
	m.free = m.free.Add(m.rate.cost(items, bytes, busy))
}

// Free is when the rate has caught up with what was done.
func (m *Meter) Free() time.Time { return m.free }

// Ahead is how long the rate needs to catch up with what was done.
func (m *Meter) Ahead(now time.Time) time.Duration { return max(0, m.free.Sub(now)) }
