package hintedhandoff

import (
	"time"

	"github.com/kindredkv/kindred/pace"
)

// Pace is how fast hints are delivered. Delivery shares its node with the requests
// of clients, and its target does too.
type Pace struct {
	// HintsPerSecond and BytesPerSecond bound a shard's deliveries, whichever is
	// met first. Raising them ends debts sooner after a cut and is felt by clients.
	HintsPerSecond, BytesPerSecond int
	// PageHints and PageBytes bound what is delivered at once. Larger pages cost
	// less for each hint and delay requests by more.
	PageHints, PageBytes int
	// Sessions is the number of pages on their way at once.
	Sessions int
	// Patience is how long a page waits for its target, and Again how long a line
	// rests after its end, or after a failure, before it is begun anew.
	Patience, Again time.Duration
	// Busy is the number of requests in progress at which delivery runs at half of
	// its pace; at three times as many, at a quarter.
	Busy int
}

// DefaultPace drains 100,000 hints of small values from one node of two shards in a
// minute, while it serves nobody.
func DefaultPace() Pace {
	return Pace{
		HintsPerSecond: 850, BytesPerSecond: 16 << 20, PageHints: 32, PageBytes: 256 << 10,
		Sessions: 2, Patience: 5 * time.Second, Again: time.Second, Busy: 128,
	}
}

// Courier decides which line is served next. It holds a place for each line that
// was begun; a line without a debt has none.
type Courier struct {
	pace   Pace
	places map[Line]*place
	// meter says when the pace allows the next page.
	meter   pace.Meter
	running int
	// last is the line that was served last: all get their turn.
	last Line
}

// place is how far a line was served.
type place struct {
	after   []byte
	since   time.Time // the oldest hint that was seen on this way through
	rest    time.Time
	running bool
}

// NewCourier serves lines at that pace.
func NewCourier(p Pace) *Courier {
	rate := pace.Rate{ItemsPerSecond: p.HintsPerSecond, BytesPerSecond: p.BytesPerSecond, Busy: p.Busy}
	return &Courier{pace: p, meter: pace.NewMeter(rate), places: map[Line]*place{}}
}

// Next gives the page to read now, or nil. Reachable says whether the node that
// has the slot of a line can be sent to.
func (c *Courier) Next(now time.Time, lines []Line, reachable func(Line) bool) *Ask {
	if c.running >= c.pace.Sessions || c.meter.Ahead(now) > 0 {
		return nil
	}
	line, ok := c.choose(now, lines, reachable)
	if !ok {
		return nil
	}
	p := c.place(line)
	p.running, c.last = true, line
	c.running++
	return &Ask{Line: line, After: p.after, Limit: c.pace.PageHints, Bytes: c.pace.PageBytes}
}

// choose takes the first line after the last one that can be served.
func (c *Courier) choose(now time.Time, lines []Line, reachable func(Line) bool) (Line, bool) {
	var first Line
	found := false
	for _, line := range lines {
		if p := c.places[line]; p != nil && (p.running || now.Before(p.rest)) || !reachable(line) {
			continue
		}
		if compareLines(line, c.last) > 0 {
			return line, true
		}
		if !found {
			first, found = line, true
		}
	}
	return first, found
}

func (c *Courier) place(line Line) *place {
	p := c.places[line]
	if p == nil {
		p = &place{}
		c.places[line] = p
	}
	return p
}

// Wake is when Next is worth asking again, if at all: not before the pace allows
// it and the first line that can be served has rested.
func (c *Courier) Wake(now time.Time, lines []Line, reachable func(Line) bool) (time.Time, bool) {
	if c.running >= c.pace.Sessions {
		return time.Time{}, false // the end of a session will ask
	}
	var at time.Time
	found := false
	for _, line := range lines {
		p := c.places[line]
		if p != nil && p.running || !reachable(line) {
			continue
		}
		rest := now
		if p != nil && p.rest.After(now) {
			rest = p.rest
		}
		if !found || rest.Before(at) {
			at, found = rest, true
		}
	}
	if free := c.meter.Free(); found && at.Before(free) {
		at = free
	}
	return at, found
}

// Charge pays for a page that was read, at a moment with that many requests in
// progress.
func (c *Courier) Charge(now time.Time, hints, bytes, busy int) {
	c.meter.Charge(now, hints, bytes, busy)
}

// Patience is how long a page may wait for its target.
func (c *Courier) Patience() time.Duration { return c.pace.Patience }

// Saw notes the age of a hint on the way through a line.
func (c *Courier) Saw(line Line, since time.Time) {
	if p := c.place(line); p.since.IsZero() || since.Before(p.since) {
		p.since = since
	}
}

// Done ends a page that was delivered, and goes on behind it. At the end of the
// line it begins anew after a rest, and tells the age of the oldest hint.
func (c *Courier) Done(now time.Time, line Line, last []byte, more bool) (oldest time.Time, through bool) {
	p := c.end(line)
	if more {
		p.after = last
		return time.Time{}, false
	}
	oldest = p.since
	*p = place{rest: now.Add(c.pace.Again)}
	return oldest, true
}

// Failed ends a page that was not delivered; it is tried again after a rest.
func (c *Courier) Failed(now time.Time, line Line) { c.end(line).rest = now.Add(c.pace.Again) }

// Passed goes on behind a page that its home cannot take now, after a rest: what is
// behind it may be of use to others.
func (c *Courier) Passed(now time.Time, line Line, last []byte, more bool) {
	p := c.end(line)
	p.rest = now.Add(c.pace.Again)
	if p.after = last; !more {
		p.after, p.since = nil, time.Time{}
	}
}

func (c *Courier) end(line Line) *place {
	p := c.place(line)
	if p.running {
		p.running = false
		c.running--
	}
	return p
}

// Rest lets a line wait: its target is about to answer by itself.
func (c *Courier) Rest(now time.Time, line Line) {
	if p := c.place(line); p.rest.IsZero() && p.after == nil && !p.running {
		p.rest = now.Add(c.pace.Again)
	}
}

// Hurry ends the rest of a line whose target has come back.
func (c *Courier) Hurry(line Line) {
	if p := c.places[line]; p != nil {
		p.rest = time.Time{}
	}
}

// Forget drops the place of a line that owes nothing.
func (c *Courier) Forget(line Line) {
	if p := c.places[line]; p != nil && !p.running {
		delete(c.places, line)
	}
}

// Running is the number of pages on their way.
func (c *Courier) Running() int { return c.running }
