package load

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Profile is what traffic looks like.
type Profile struct {
	Name string
	// About is one sentence for people.
	About      string
	Mix        Mix
	Popularity Popularity
	// KeyBytes and ValueBytes are sizes.
	KeyBytes, ValueBytes int
	// TTLs are how long values live, with weights. Without any they stay.
	TTLs []TTL
}

// TTL is a time to live and how often it is chosen.
type TTL struct {
	Lives  time.Duration
	Weight float64
}

// Sizes of YCSB: a key is "user" and 19 digits, a value ten fields of a hundred
// bytes.
const (
	ycsbKeyBytes   = 23
	ycsbValueBytes = 1000
)

// Profiles are all that are known: those of YCSB, those of a store with siblings,
// and those of Twitter's caches.
func Profiles() []Profile {
	scrambled := Popularity{Scrambled, ZipfYCSB}
	own := func(name, about string, m Mix, p Popularity, ttls ...TTL) Profile {
		return Profile{Name: name, About: about, Mix: m, Popularity: p, KeyBytes: ycsbKeyBytes, ValueBytes: ycsbValueBytes, TTLs: ttls}
	}
	list := []Profile{
		own("ycsb-a", "YCSB A: half reads, half updates", Mix{Get: 50, Put: 50}, scrambled),
		own("ycsb-b", "YCSB B: mostly reads", Mix{Get: 95, Put: 5}, scrambled),
		own("ycsb-c", "YCSB C: reads only", Mix{Get: 100}, scrambled),
		own("ycsb-d", "YCSB D: reads of what was inserted last", Mix{Get: 95, Insert: 5}, Popularity{Latest, ZipfYCSB}),
		own("ycsb-e", "YCSB E: short scans; here pages of keys in partition order", Mix{Scan: 95, Insert: 5}, scrambled),
		own("ycsb-f", "YCSB F: half reads, half read-modify-write", Mix{Get: 50, Update: 50}, scrambled),
		own("siblings", "writers that have seen nothing, and others that merge", Mix{Get: 60, Blind: 10, Update: 30}, scrambled),
		own("deletes", "keys that come and go", Mix{Get: 50, Put: 25, Delete: 25}, Popularity{Shape: Uniform}),
		own("expiry", "values that live for ten seconds", Mix{Get: 50, Put: 50}, scrambled, TTL{10 * time.Second, 1}),
	}
	return append(list, twitterProfiles()...)
}

// FindProfile finds a profile by its name.
func FindProfile(name string) (Profile, error) {
	all := Profiles()
	i := slices.IndexFunc(all, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, fmt.Errorf("profile %q is unknown: use ycsb-a to ycsb-f, siblings, deletes, expiry, or one of %s to %s", name,
			all[len(all)-twitterRows].Name, all[len(all)-1].Name)
	}
	return all[i], nil
}

// lifetimes draws times to live.
type lifetimes struct {
	ttls []TTL
	sum  float64
}

func newLifetimes(ttls []TTL) lifetimes {
	l := lifetimes{ttls: ttls}
	for _, t := range ttls {
		l.sum += t.Weight
	}
	return l
}

// draw returns 0 for a value that stays.
func (l *lifetimes) draw(r *rand.Rand) time.Duration {
	if len(l.ttls) == 0 {
		return 0
	}
	u := r.Float64() * l.sum
	for _, t := range l.ttls {
		if u -= t.Weight; u < 0 {
			return t.Lives
		}
	}
	return l.ttls[len(l.ttls)-1].Lives
}

// Lives tells people of times to live; it is empty for values that stay.
func (p *Profile) Lives() string {
	if len(p.TTLs) == 0 {
		return ""
	}
	shortest, longest := p.TTLs[0].Lives, p.TTLs[0].Lives
	for _, t := range p.TTLs {
		shortest, longest = min(shortest, t.Lives), max(longest, t.Lives)
	}
	if shortest == longest {
		return shortDuration(shortest)
	}
	return shortDuration(shortest) + " to " + shortDuration(longest)
}

// shortDuration leaves out zeros: 1h, not 1h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
