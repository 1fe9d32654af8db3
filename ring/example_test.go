package ring_test

import (
	"fmt"

	"github.com/kindredkv/kindred/ring"
)

func Example() {
	nodes := []ring.Node{
		{Name: "n1", Zone: "a", Capacity: 1},
		{Name: "n2", Zone: "a", Capacity: 1},
		{Name: "n3", Zone: "b", Capacity: 1},
		{Name: "n4", Zone: "b", Capacity: 1},
		{Name: "n5", Zone: "c", Capacity: 2},
	}
	layout, err := ring.New([16]byte{1}, 256, 3, nodes)
	if err != nil {
		fmt.Println(err)
		return
	}
	p := layout.PartitionOf("carts", "ann")
	fmt.Println("homes of partition", p, "are", layout.Homes(p, 3))

	down := layout.Homes(p, 3)[0]
	for _, place := range layout.Preference(p, 3, func(name string) bool { return name != down }) {
		if place.Home {
			fmt.Println(place.Node, "is a home")
		} else {
			fmt.Println(place.Node, "stands in for", layout.Homes(p, 3)[place.For])
		}
	}

	nodes = append(nodes, ring.Node{Name: "n6", Zone: "c", Capacity: 2})
	next, err := layout.Change(nodes)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(ring.Moves(layout, next)), "copies move to n6, its fair share")
	fmt.Println("problems:", len(next.Check()))
	// Output:
	// homes of partition 189 are [n5 n2 n4]
	// n2 is a home
	// n4 is a home
	// n3 stands in for n5
	// 128 copies move to n6, its fair share
	// problems: 0
}
