package gossip

import (
	"bytes"
	"context"
	"log/slog"
)

// logWriter turns memberlist's lines, "[LEVEL] memberlist: text", into records.
type logWriter struct {
	log *slog.Logger
	// strange is told of lines about packets with a foreign key; their level is
	// then debug, because anybody can cause them.
	strange func(text string)
}

var levels = []struct {
	prefix string
	level  slog.Level
}{
	{"[DEBUG] ", slog.LevelDebug},
	{"[INFO] ", slog.LevelInfo},
	{"[WARN] ", slog.LevelWarn},
	// What memberlist calls an error is a peer that is gone or garbage that
	// arrived: worth a look, but not a fault of this node.
	{"[ERR] ", slog.LevelWarn},
	{"[ERROR] ", slog.LevelWarn},
}

// Write implements io.Writer for one line.
func (w logWriter) Write(line []byte) (int, error) {
	text, level := bytes.TrimSpace(line), slog.LevelWarn
	for _, l := range levels {
		if rest, ok := bytes.CutPrefix(text, []byte(l.prefix)); ok {
			text, level = rest, l.level
			break
		}
	}
	text = bytes.TrimPrefix(text, []byte("memberlist: "))
	if bytes.HasPrefix(text, []byte("Conflicting address for ")) {
		// It repeats many times a second; NotifyConflict tells it once.
		level = slog.LevelDebug
	}
	if isForeign(string(text)) && bytes.Contains(text, []byte("from=")) {
		w.strange(string(text))
		level = slog.LevelDebug
	}
	w.log.Log(context.Background(), level, "gossip: "+string(text))
	return len(line), nil
}
