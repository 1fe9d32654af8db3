package ownership

// rules are what a broken implementation does otherwise, each against one clause. The
// zero value keeps all of them.
type rules struct {
	// Layouts.
	noVote     bool // a layout is used as soon as it is heard of
	noPromise  bool // who has left a layout for a greater one uses it all the same
	noFreeze   bool // who holds a successor goes on to read from the new owners
	mixed      bool // a successor is formed though only some voters read from the new owners
	keepBase   bool // it takes over from the layout before, whatever was read meanwhile
	takeParent bool // it takes over from its parent, whether that was ever read or not

	// Writes and reads.
	oldQuorum      bool // while owners change, a quorum of the old ones is enough
	newQuorum      bool // a quorum of the new ones is enough
	readIncomplete bool // new owners are read before they are complete
	noRefusal      bool // requests of an older layout are served
	earlyAlone     bool // writes leave the old owners out while somebody may read there
	carryAcks      bool // what was acknowledged under another layout counts under this one

	// Completeness.
	noFence   bool // an old owner's clock counts though it still takes older writes
	oneSource bool // one old owner is enough
	newOnly   bool // owners that stay count as complete
	countGone bool // those that are gone are not made up for

	// Lost disks.
	keepComplete  bool // who was complete, or trusted, still is
	wipedComplete bool // to be complete is to be trusted
	trustOld      bool // only the old homes are asked

	// What may go.
	dropUnasked     bool // a removed node drops what it has when it is told
	dropUncontained bool // an old copy goes without a look at what is in it
	hintOfGone      bool // what is owed to a home that is gone is forgotten
	closeInMove     bool // a close asks only the new owners, and does not wait
}
