package core

// Taken is what this shard has taken over: the partitions that its node owns by the tip
// and of which it has all that was acknowledged before (R25), and the bytes that rebuilds
// have brought since the shard was made.
func (s *Shard) Taken() (partitions []int, bytes uint64) {
	for _, x := range s.exchange.order {
		if id := x.replica.ID(); s.owns(id) && s.complete(id) {
			partitions = append(partitions, int(id.Partition))
		}
	}
	return partitions, s.rebuilds.stats.Bytes
}
