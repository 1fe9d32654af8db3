package memstore

// Crash closes the store without a sync and returns what a restart would find:
// all that was synced and the first keep(u) of the u unsynced batches. An answer
// below 0 or above u counts as 0 or u. The store that crashed, its snapshots and
// its faults are gone; rot stays on the disk.
func (s *Store) Crash(keep func(unsynced int) int) *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	after := New()
	after.current.rows = s.current.rows.Clone()
	after.rotten, s.rotten = s.rotten, nil
	if kept := min(max(keep(len(s.starts)), 0), len(s.starts)); kept < len(s.starts) {
		after.undo(s.unsynced[s.starts[kept]:])
	}
	s.closed = true
	s.unsynced, s.starts = nil, nil
	return after
}

// undo takes changes back, the newest first (M1).
func (s *Store) undo(changes []before) {
	for i := len(changes) - 1; i >= 0; i-- {
		if was := changes[i]; was.existed {
			s.current.rows.ReplaceOrInsert(was.row)
		} else {
			s.current.rows.Delete(was.row)
		}
	}
}

// FailApply makes every Apply return err, until it is called with nil: a full
// disk, for example. Reads go on.
func (s *Store) FailApply(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applyErr = err
}

// FailSync makes every Sync, and the sync of Close, return err, until it is
// called with nil. Real engines never recover from that (S4); a test that wants
// a lasting failure leaves it on.
func (s *Store) FailSync(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.syncErr = err
}

// Rot makes the row at key unreadable, in snapshots too, until it is written or
// deleted. It survives a crash.
func (s *Store) Rot(key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rotten == nil {
		s.rotten = map[string]struct{}{}
	}
	s.rotten[string(key)] = struct{}{}
}
