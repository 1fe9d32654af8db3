package merges

import "slices"

// shorten gives a plan that still fails and from which nothing can be taken away:
// no step, no two steps; and whose parts are as simple as can be.
func shorten(plan []step, fails func([]step) bool) []step {
	for {
		next, smaller := smaller(plan, fails)
		if !smaller {
			return plan
		}
		plan = next
	}
}

// smaller makes one change for the better.
func smaller(plan []step, fails func([]step) bool) ([]step, bool) {
	for _, candidates := range []func([]step, func([]step) bool) bool{without1, without2, simpler} {
		var found []step
		if candidates(plan, func(p []step) bool {
			if fails(p) {
				found = p
			}
			return found != nil
		}) {
			return found, true
		}
	}
	return nil, false
}

func without1(plan []step, try func([]step) bool) bool {
	for i := range slices.Backward(plan) {
		if try(slices.Delete(slices.Clone(plan), i, i+1)) {
			return true
		}
	}
	return false
}

func without2(plan []step, try func([]step) bool) bool {
	for i := range plan {
		for j := range i {
			if try(slices.Delete(slices.Delete(slices.Clone(plan), i, i+1), j, j+1)) {
				return true
			}
		}
	}
	return false
}

// simpler tries changes of single steps, and of all steps at once.
func simpler(plan []step, try func([]step) bool) bool {
	tryAll := func(change func(s *step)) bool {
		next := slices.Clone(plan)
		for i := range next {
			change(&next[i])
		}
		return shorter(next, plan) && try(next)
	}
	for i := range drawsMax { // clocks that have to show the same
		if tryAll(func(s *step) { s.levels[i] = smallest }) {
			return true
		}
	}
	for a := range clients {
		for b := range a {
			if tryAll(func(s *step) { s.client = swapped(s.client, a, b) }) {
				return true
			}
		}
	}
	for a := range replicas {
		for b := range a {
			if tryAll(func(s *step) { s.at, s.via = swapped(s.at, a, b), swapped(s.via, a, b) }) {
				return true
			}
		}
	}
	for i := range plan {
		for _, change := range changes(plan[i]) {
			next := slices.Clone(plan)
			next[i] = change
			if shorter(next, plan) && try(next) {
				return true
			}
		}
	}
	return false
}

var allSmallest = func() (all [drawsMax]level) {
	for i := range all {
		all[i] = smallest
	}
	return all
}()

func swapped(n, a, b int) int {
	switch n {
	case a:
		return b
	case b:
		return a
	}
	return n
}

// changes are the ways in which one step may be simpler.
func changes(s step) (all []step) {
	add := func(change func(s *step)) {
		next := s
		change(&next)
		all = append(all, next)
	}
	add(func(s *step) { s.expires = false })
	add(func(s *step) { s.do = update })
	add(func(s *step) {
		s.levels = allSmallest
	})
	for i := range s.levels {
		for _, l := range []level{smallest, small, larger, largest} {
			add(func(s *step) { s.levels[i] = l })
		}
	}
	for v := range min(s.value, 8) {
		add(func(s *step) { s.value = v })
	}
	for c := range clients {
		add(func(s *step) { s.client = c })
	}
	if s.do != sync {
		add(func(s *step) { s.via = s.at })
		for at := range replicas {
			add(func(s *step) { s.at, s.via = at, at })
		}
	}
	return all
}

// shorter reports whether a has fewer steps than b, or simpler ones.
func shorter(a, b []step) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return burden(a) < burden(b)
}

// burden is how much a plan asks of who reads its story.
func burden(plan []step) (n int) {
	for i, s := range plan {
		n += 50 * plainness[s.do]
		if s.expires {
			n += 20
		}
		if s.via != s.at && s.do != sync {
			n += 20
		}
		n += min(s.value, 9) + s.client*(len(plan)-i) + max(0, s.at-i) + max(0, s.via-i)
		for _, l := range s.levels {
			n += int(smallest - l)
		}
		n += 6 * moves(plan[:i], s)
	}
	return n
}

// plainness says how little an action has to be explained: 0 least of all.
var plainness = map[action]int{update: 0, put: 1, resolve: 1, sync: 2, deliver: 3, remove: 2, retry: 3, expire: 3}

// moves counts the earlier steps in which the client of s was at another replica.
// Stories are easier to follow if clients stay where they are.
func moves(earlier []step, s step) (n int) {
	for _, e := range earlier {
		if e.hasClient() && s.hasClient() && e.client == s.client && (e.at != s.at || e.via != s.via) {
			n++
		}
	}
	return n
}

func (s *step) hasClient() bool { return s.do != sync && s.do != deliver && s.do != expire }
