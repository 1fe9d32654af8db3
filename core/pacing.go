package core

import (
	"math"
	"time"

	"github.com/kindredkv/kindred/antientropy"
	"github.com/kindredkv/kindred/pace"
	"github.com/kindredkv/kindred/wire"
)

const (
	// clientsFor is how long after the last sign of a client a shard takes it that
	// clients are there. Raising it paces more exchange for nobody, lowering it lets
	// a burst of exchange in between two requests.
	clientsFor = 100 * time.Millisecond
	// pullsAhead and pagesAhead are how far pulls and rebuilds may be ahead of their
	// pace. Raising them closes small gaps in fewer steps and makes each step longer
	// for the requests behind it.
	pullsAhead = 40 * time.Millisecond
	pagesAhead = 20 * time.Millisecond
	// answersAhead is the same of answers to pulls. Peers keep to a pace of their own
	// if they see clients too, so that it seldom matters; one that is told to wait
	// waits for long.
	answersAhead = time.Second
	// slowest divides the pace at most, however many requests are in progress: a home
	// becomes equal even under a load that never ends.
	slowest = 4

	// smallerPages divides what a rebuild takes over at once, for requests wait for
	// the whole of a page.
	smallerPages = 8

	isBusy = "serves clients and has answered enough pulls for now"
)

// pacing makes exchange (R9) and rebuilds (R13) give way to clients. At both ends of a
// pull a dot costs about as much as a request, and the requests behind it wait for
// that; a key of a rebuild costs less, but comes with many others.
type pacing struct {
	pulls, answers, pages pace.Meter
	// served is when the last sign of a client was seen.
	served time.Time
	// at is when pulls go on that the pace holds back; zero if it holds back none.
	at time.Time
}

func newPacing(l Limits) pacing {
	return pacing{pulls: pace.NewMeter(l.PullPace), answers: pace.NewMeter(l.PullPace), pages: pace.NewMeter(l.RebuildPace)}
}

// hear takes what a peer asks of this shard for a client. Writes may also bring what
// a peer has kept as a hint: exchange leaves room for those too, as they bring what
// it would.
func (p *pacing) hear(now time.Time, m wire.Message) {
	switch m.(type) {
	case *wire.Write, *wire.Read, *wire.ScanRead:
		p.served = now
	}
}

// serving reports whether clients are there to be disturbed.
func (p *pacing) serving(now time.Time) bool { return now.Sub(p.served) < clientsFor }

// holdsPages reports whether a rebuild has to wait before it asks for a page, and
// until when.
func (p *pacing) holdsPages(now time.Time) (free time.Time, held bool) {
	return p.pages.Free().Add(-pagesAhead), p.serving(now) && p.pages.Ahead(now) > pagesAhead
}

// charge pays for what was done, at the pace that is left beside clients.
func (s *Shard) charge(m *pace.Meter, now time.Time, dots uint64, bytes int) {
	if s.pacing.serving(now) {
		busy := min(s.Busy(), (slowest-1)*s.cfg.Limits.PullPace.Busy)
		m.Charge(now, int(dots), bytes, busy)
	}
}

// mayPull is for how many dots peers may be asked now. If for none, pulls go on when
// the pace allows it.
func (s *Shard) mayPull(now time.Time) uint64 {
	p := &s.pacing
	p.at = time.Time{}
	if !p.serving(now) {
		return math.MaxUint64
	}
	if p.pulls.Ahead(now) > pullsAhead {
		p.at = p.pulls.Free().Add(-pullsAhead)
		return 0
	}
	return uint64(s.cfg.Limits.PullDots)
}

// pullsDue lets pulls go on that were held back.
func (s *Shard) pullsDue(now time.Time) {
	if at := s.pacing.at; !at.IsZero() && !at.After(now) {
		s.pacing.at = time.Time{}
		s.exchange.pull(s, now)
	}
}

// pulling pays for dots that were asked for, and received for the bytes that came.
func (s *Shard) pulling(now time.Time, dots uint64) { s.charge(&s.pacing.pulls, now, dots, 0) }

func (s *Shard) received(now time.Time, m *wire.Pieces) {
	s.charge(&s.pacing.pulls, now, 0, piecesWeight(m))
}

// mayAnswer reports whether a pull of a peer can be answered now.
func (s *Shard) mayAnswer(now time.Time) bool {
	return !s.pacing.serving(now) || s.pacing.answers.Ahead(now) <= answersAhead
}

// answering pays for dots that are read for a peer, and answered for their bytes.
func (s *Shard) answering(now time.Time, m *wire.Pull) {
	s.charge(&s.pacing.answers, now, antientropy.Count(m.Dots), 0)
}

func (s *Shard) answered(now time.Time, m *wire.Pieces) {
	s.charge(&s.pacing.answers, now, 0, piecesWeight(m))
}

// piecesWeight is about what an answer to a pull brings.
func piecesWeight(m *wire.Pieces) (bytes int) {
	for i := range m.Pieces {
		bytes += len(m.Pieces[i].Key)
		for j := range m.Pieces[i].Object.Versions {
			bytes += len(m.Pieces[i].Object.Versions[j].Value.Value)
		}
	}
	return bytes
}
