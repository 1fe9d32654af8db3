package core

// Taken is what this shard has taken over: the partitions that its node owns by the tip
// and of which it has all that was acknowledged before (R25).
func (s *Shard) Taken() (partitions []int) {
	for _, x := range s.exchange.order {
		if id := x.replica.ID(); s.owns(id) && s.complete(id) {
			partitions = append(partitions, int(id.Partition))
		}
	}
	return partitions
}
