package core

import "time"

// silences remembers which peers have linked and say nothing: frozen ones, and those
// behind a cut that the link has not noticed yet. Nobody is refused for it. A silent
// peer is asked all the same; but who stands in for it is asked at once, and
// what goes to one node only goes to another. The node itself is no peer: nothing
// would ever be heard from it, however soon its disk is quick again.
type silences struct {
	self   string
	heard  map[string]time.Time
	silent map[string]bool
}

func newSilences(self string) silences {
	return silences{self: self, heard: map[string]time.Time{}, silent: map[string]bool{}}
}

// hear notes that a peer has said something, whatever it was.
func (q *silences) hear(now time.Time, peer string) {
	q.heard[peer] = now
	if len(q.silent) > 0 {
		delete(q.silent, peer)
	}
}

// relink forgets what was known of a peer whose link has changed.
func (q *silences) relink(peer string) { delete(q.silent, peer) }

// waited notes that nodes have not answered for so long. Those that have said
// nothing else either are silent.
func (q *silences) waited(now time.Time, nodes []string, wait time.Duration) {
	for _, n := range nodes {
		if n != q.self && !q.heard[n].After(now.Add(-wait)) {
			q.silent[n] = true
		}
	}
}
