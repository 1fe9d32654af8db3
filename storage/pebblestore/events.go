package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/kindredkv/kindred/storage"
)

// pebbleLogger is Pebble's logger. Its Fatalf does not end the process: it fails
// the store, whose methods look at the health after every call. Pebble goes on
// after Fatalf as if the call had succeeded, which is why nobody may believe it.
type pebbleLogger struct {
	log    *slog.Logger
	health *health
}

// Infof is pebble.Logger's.
func (l *pebbleLogger) Infof(format string, args ...any) { l.write(slog.LevelDebug, format, args) }

// Errorf is pebble.Logger's.
func (l *pebbleLogger) Errorf(format string, args ...any) { l.write(slog.LevelError, format, args) }

// Fatalf is pebble.Logger's.
func (l *pebbleLogger) Fatalf(format string, args ...any) {
	l.write(slog.LevelError, format, args)
	_ = l.health.fail(causeOf(format, args))
}

func (l *pebbleLogger) write(level slog.Level, format string, args []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, fmt.Sprintf(format, args...), "dir", l.health.dir)
	}
}

// causeOf keeps the error among the arguments, so that callers can ask for it.
func causeOf(format string, args []any) error {
	text := fmt.Sprintf(format, args...)
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			return &fatal{text: text, cause: err}
		}
	}
	return errors.New(text)
}

// fatal is what Pebble said before it would have ended the process.
type fatal struct {
	text  string
	cause error
}

func (e *fatal) Error() string { return e.text }
func (e *fatal) Unwrap() error { return e.cause }

// stuckFlushes is how many tables may come from memory while no compaction goes
// well because of damage. At stopWritesTables Pebble would let writes wait, for
// ever; the store fails before that, with a reason.
const (
	stuckFlushes     = 8
	stopWritesTables = stuckFlushes + 2*tablesPerCompaction
)

// events hears what happens behind the calls, counts it, and holds back what Pebble
// would try again at once and for ever.
type events struct {
	corruptions, backgroundErrors atomic.Uint64

	compactions, tableStats backoff
	// stuck counts flushes since damage kept a compaction from ending.
	stuck atomic.Uint64
	// announced counts failures of flushes and compactions whose BackgroundError is
	// still to come.
	announced atomic.Int64

	onCorruption func(*storage.CorruptError)
	health       *health
	log          *slog.Logger
}

// listener is what Pebble reports to. Without a DataCorruption of ours, Pebble
// ends the process at the first rotten block.
func (e *events) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError:  e.backgroundError,
		DataCorruption:   e.corruption,
		CompactionEnd:    func(info pebble.CompactionInfo) { e.compacted(info.Err) },
		FlushEnd:         func(info pebble.FlushInfo) { e.flushed(info.Err) },
		TableStatsLoaded: func(pebble.TableStatsInfo) { e.tableStats.wentWell() },
	}
}

func (e *events) corruption(info pebble.DataCorruptionInfo) {
	damage := corruptError(info.Bounds.Start, &info, info.Details)
	if met := e.corruptions.Add(1); met&(met-1) == 0 { // each read that meets it says so
		e.log.Error("data on the disk is damaged", "file", damage.File, brief(info.Details), "met", met)
	}
	e.onCorruption(damage)
}

// brief keeps Pebble's stack traces, which slog asks errors for, out of the log.
func brief(err error) slog.Attr { return slog.String("error", fmt.Sprint(err)) }

// backgroundError hears of flushes and compactions, with Pebble's lock held, and
// of the statistics of tables, without it. The latter are read again and again
// while a table cannot be read; only here can that be slowed down.
func (e *events) backgroundError(err error) {
	e.backgroundErrors.Add(1)
	e.log.Error("background work of the store failed", brief(err))
	if e.announced.Add(-1) >= 0 {
		return
	}
	e.announced.Add(1)
	e.tableStats.failed()
	e.tableStats.pause()
}

func (e *events) compacted(err error) {
	switch {
	case err == nil:
		e.cured()
	case !errors.Is(err, pebble.ErrCancelledCompaction):
		e.announced.Add(1)
		e.compactions.failed()
	}
}

// cured forgets the compactions that failed.
func (e *events) cured() {
	e.compactions.wentWell()
	e.stuck.Store(0)
}

// flushed fails a store that damage keeps from compacting.
func (e *events) flushed(err error) {
	if err != nil {
		e.announced.Add(1)
		return
	}
	if e.compactions.failures.Load() == 0 {
		return
	}
	if n := e.stuck.Add(1); n >= stuckFlushes {
		_ = e.health.fail(fmt.Errorf("%d tables wait for a compaction that damage prevents", n))
	}
}

// corruptError makes Pebble's report ours.
func corruptError(key []byte, info *pebble.DataCorruptionInfo, cause error) *storage.CorruptError {
	damage := &storage.CorruptError{Key: append([]byte{}, key...), Cause: cause}
	if info == nil {
		return damage
	}
	damage.File, damage.Cause = info.Path, info.Details // what carries them is of several lines
	if end := info.Bounds.End.Key; end != nil {
		damage.Low = append([]byte{}, info.Bounds.Start...)
		damage.High = append(append([]byte{}, end...), 0) // the end may be included
	}
	return damage
}
