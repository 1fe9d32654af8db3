package ring

// Place is one line of a preference list.
type Place struct {
	Node string
	Home bool
	For  int // the slot of the home this fallback stands in for; -1 for homes
}

// Salts keep the lotteries apart: further homes and fallbacks of a partition
// are drawn independently.
const (
	saltHomes     = 0x686f6d6573
	saltFallbacks = 0x66616c6c
	saltPlacement = 0x706c616365
)

// Homes returns the first n owners of a partition, in order; fewer when there
// are not that many nodes with a capacity, none when the partition does not
// exist. More than Replicas are drawn by rendezvous hashing among the other
// nodes, weighted by capacity, a zone with fewer homes before one with more;
// these are fair on average only.
//
// The result is shared: do not modify it. Up to Replicas homes cost no
// allocation.
func (l *Layout) Homes(p Partition, n int) []string {
	if int(p) >= l.Partitions() || n <= 0 {
		return nil
	}
	all := l.homesOf(int(p))
	if n <= len(all) {
		return all[:n:n]
	}
	if l.copies < l.replicas {
		return all // every node with a capacity is an owner already
	}
	members := l.homeMembers(int(p), n)
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = l.members[m].Name
	}
	return names
}

// Owned returns the partitions that have the node among their first n homes,
// in ascending order.
func (l *Layout) Owned(name string, n int) []Partition {
	i, ok := l.members.find(name)
	if !ok {
		return nil
	}
	var owned []Partition
	for p := range l.Partitions() {
		for _, home := range l.homeMembers(p, n) {
			if int(home) == i {
				owned = append(owned, Partition(p))
			}
		}
	}
	return owned
}

// Preference returns where the n copies of a partition can go now: the homes
// that are up, in order, then one fallback for each home that is down, while
// nodes last. No node appears twice. A fallback has a capacity, is up and is
// no home. It lies in a zone with as few of the other places as possible, and
// if that leaves a choice, in one without another home; then rendezvous hashing
// decides, by partition and by home, so that
//
//   - the work of a node that is down spreads over many others,
//   - a fallback rarely changes when other nodes go up or down.
//
// Up must give one answer per node throughout the call.
func (l *Layout) Preference(p Partition, n int, up func(name string) bool) []Place {
	if int(p) >= l.Partitions() || n <= 0 {
		return nil
	}
	homes := l.homeMembers(int(p), n)
	places := make([]Place, 0, len(homes))
	for _, home := range homes {
		if name := l.members[home].Name; up(name) {
			places = append(places, Place{Node: name, Home: true, For: -1})
		}
	}
	if len(places) == len(homes) {
		return places
	}
	return l.appendFallbacks(places, p, homes, up)
}

func (l *Layout) appendFallbacks(places []Place, p Partition, homes []uint16, up func(string) bool) []Place {
	spare := l.spares(homes, up)
	taken := make([]int, len(l.members)) // places, by zone
	near := make([]int, len(l.members))  // homes, by zone
	for _, home := range homes {
		m := l.members[home]
		near[m.zone]++
		if up(m.Name) {
			taken[m.zone]++
		}
	}
	for slot, home := range homes {
		down := l.members[home]
		if up(down.Name) {
			continue
		}
		near[down.zone]-- // its own zone is as good as an empty one
		seed := mix(mix(uint64(p), saltFallbacks), down.id)
		i := l.best(spare, seed, func(zone int) int { return taken[zone]*len(homes) + min(1, near[zone]) })
		near[down.zone]++
		if i < 0 {
			break
		}
		m := l.members[spare[i]]
		places = append(places, Place{Node: m.Name, For: slot})
		taken[m.zone]++
		spare = append(spare[:i], spare[i+1:]...)
	}
	return places
}

func (l *Layout) homesOf(p int) []string {
	return l.homes[p*l.copies : (p+1)*l.copies]
}

// homeMembers is Homes as indexes of members.
func (l *Layout) homeMembers(p, n int) []uint16 {
	owners := l.ownersOf(p)
	if n <= len(owners) {
		return owners[:max(0, n)]
	}
	homes := append(make([]uint16, 0, n), owners...)
	spare := l.spares(owners, func(string) bool { return true })
	taken := make([]int, len(l.members)) // homes, by zone
	for _, o := range owners {
		taken[l.members[o].zone]++
	}
	seed := mix(uint64(p), saltHomes)
	for len(homes) < n && len(spare) > 0 {
		i := l.best(spare, seed, func(zone int) int { return taken[zone] })
		homes = append(homes, spare[i])
		taken[l.members[spare[i]].zone]++
		spare = append(spare[:i], spare[i+1:]...)
	}
	return homes
}

// spares lists the members with a capacity that are up and no homes.
func (l *Layout) spares(homes []uint16, up func(string) bool) []uint16 {
	isHome := make([]bool, len(l.members))
	for _, home := range homes {
		isHome[home] = true
	}
	spare := make([]uint16, 0, len(l.members))
	for i, m := range l.members {
		if m.Capacity > 0 && !isHome[i] && up(m.Name) {
			spare = append(spare, uint16(i))
		}
	}
	return spare
}

// best returns the position of the member that wins the lottery among those
// whose zone costs least, or -1 when there is none.
func (l *Layout) best(spare []uint16, seed uint64, cost func(zone int) int) int {
	best, bestCost := -1, 0
	var bestDraw draw
	for i, s := range spare {
		m := l.members[s]
		c := cost(m.zone)
		if best >= 0 && c > bestCost {
			continue
		}
		d := newDraw(seed, m.id, m.Capacity)
		if best < 0 || c < bestCost || d.before(bestDraw) {
			best, bestCost, bestDraw = i, c, d
		}
	}
	return best
}
