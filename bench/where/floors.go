package main

import (
	"cmp"
	"regexp"
	"slices"
)

// floors are told by the names of functions, innermost first.
var floors = []struct {
	name  string
	names *regexp.Regexp
}{
	{"storage", regexp.MustCompile(`cockroachdb/|kindred/storage`)},
	{"peer link", regexp.MustCompile(`kindred/transport`)},
	{"core", regexp.MustCompile(`kindred/(core|replica|vclock|wire|antientropy|hintedhandoff|membership|pace|ring)[./]|murmur3`)},
	{"server", regexp.MustCompile(`kindred/(server|api)`)},
	{"node", regexp.MustCompile(`kindred/node`)},
	{"client", regexp.MustCompile(`kindred/client`)},
	{"load", regexp.MustCompile(`kindred/(bench|cmd)`)},
}

// network is gRPC and what is below it, on goroutines of its own as well.
var network = regexp.MustCompile(`google\.golang\.org/|golang\.org/x/net`)

// asker is the program that asks.
const asker = "kvcli"

// floor is where a sample was.
func (s sample) floor() string {
	if s.has("runtime.gcBgMarkWorker", "runtime.bgsweep", "runtime.bgscavenge") {
		return "collector"
	}
	for _, name := range s.stack {
		for _, f := range floors {
			if f.names.MatchString(name) {
				return s.ours(f.name)
			}
		}
	}
	for _, name := range s.stack {
		if network.MatchString(name) {
			return s.ours("server")
		}
	}
	return "scheduler"
}

// ours is the floor, or the client where there is no server: both use package api.
func (s sample) ours(floor string) string {
	if floor == "server" && s.program == asker {
		return "client"
	}
	return floor
}

// row is the share of a floor in all samples, in percent, and parts of that share.
type row struct {
	program, floor      string
	all, calls, mallocs float64
}

// share counts samples by program and floor, the largest share first.
func share(all []sample) []row {
	type place struct{ program, floor string }
	rows := map[place]*row{}
	one := 100 / float64(len(all))
	for _, s := range all {
		at := place{s.program, s.floor()}
		if rows[at] == nil {
			rows[at] = &row{program: at.program, floor: at.floor}
		}
		r := rows[at]
		r.all += one
		if s.calls() {
			r.calls += one
		}
		if s.mallocs() {
			r.mallocs += one
		}
	}
	var sorted []row
	for _, r := range rows {
		sorted = append(sorted, *r)
	}
	slices.SortFunc(sorted, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.program, a.program), cmp.Compare(b.all, a.all), cmp.Compare(a.floor, b.floor))
	})
	return sorted
}
