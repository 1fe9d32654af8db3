package ring

import (
	"fmt"
	"slices"
)

// Move is one copy of a partition that changes its node.
type Move struct {
	Partition Partition
	From      string // "" when the partition gains a copy
	To        string // "" when the partition loses a copy
}

// Moves lists the copies that must move when a cluster goes from one layout to
// another, by partition. It looks at the sets of owners; a change of their
// order alone is no move. Where several copies of a partition move, one that
// takes the slot of another is paired with it.
//
// Both layouts must be of one cluster; it is a fault of the caller otherwise,
// since Merge refuses such layouts, and Moves panics.
func Moves(from, to *Layout) []Move {
	if err := sameCluster(from, to); err != nil {
		panic(fmt.Sprintf("ring: moves between unrelated layouts: %v", err))
	}
	var moves []Move
	for p := range from.Partitions() {
		moves = appendMoves(moves, Partition(p), from.homesOf(p), to.homesOf(p))
	}
	return moves
}

func appendMoves(moves []Move, p Partition, old, new []string) []Move {
	leaving, coming := onlyIn(old, new), onlyIn(new, old)
	for slot := range max(len(leaving), len(coming)) {
		if slot < len(leaving) && slot < len(coming) && leaving[slot] != "" && coming[slot] != "" {
			moves = append(moves, Move{Partition: p, From: leaving[slot], To: coming[slot]})
			leaving[slot], coming[slot] = "", ""
		}
	}
	stays := func(name string) bool { return name == "" }
	leaving, coming = slices.DeleteFunc(leaving, stays), slices.DeleteFunc(coming, stays)
	for i := range max(len(leaving), len(coming)) {
		m := Move{Partition: p}
		if i < len(leaving) {
			m.From = leaving[i]
		}
		if i < len(coming) {
			m.To = coming[i]
		}
		moves = append(moves, m)
	}
	return moves
}

// onlyIn returns names with those in others replaced by "".
func onlyIn(names, others []string) []string {
	rest := slices.Clone(names)
	for i, name := range rest {
		if slices.Contains(others, name) {
			rest[i] = ""
		}
	}
	return rest
}
