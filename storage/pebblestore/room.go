package pebblestore

import "github.com/kindredkv/kindred/storage"

// Room measures the free space and returns the *storage.FullError with which an
// ordinary batch would be refused now, or nil. An owner that must not be refused
// halfway asks this before it begins, and marks what it has begun as essential.
func (s *Store) Room() error { return s.space.room() }

func (g *spaceGuard) room() error {
	if g.floor == 0 {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.measure(0)
	if g.free >= g.floor {
		return nil
	}
	return &storage.FullError{Dir: g.dir, FreeBytes: g.free, NeedBytes: g.floor}
}
