package ring

// order puts the owners of each partition in order.
func order(l *Layout, sets, kept [][]int) []uint16 {
	owners := make([]uint16, 0, len(sets)*l.copies)
	for _, set := range sets {
		for _, o := range set {
			owners = append(owners, uint16(o))
		}
	}
	return owners
}
