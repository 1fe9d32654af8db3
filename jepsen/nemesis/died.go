package nemesis

import (
	"fmt"
	"strings"

	"github.com/kindredkv/kindred/local"
)

// DiedError is a process that has ended by itself. That is no failure of the storm, but
// of the store.
type DiedError struct {
	Node string
	// Said is what it panicked with, or the end of its log.
	Said string
}

func (e *DiedError) Error() string {
	return fmt.Sprintf("the process of %s has ended by itself; it said: %s", e.Node, e.Said)
}

// died finds a process that ended although nobody has ended it (S6). What a nemesis
// takes down has a process again when it has healed.
func (s Storm) died() error {
	if s.Target.Cluster == nil {
		return nil
	}
	status, err := s.Target.Cluster.Status()
	if err != nil {
		return err
	}
	for _, n := range status.Nodes {
		if n.State == local.Stopped {
			return &DiedError{n.Name, lastWords(n.LogFile)}
		}
	}
	return nil
}

// lastLines is how far back a panic is looked for: the stacks of all goroutines come
// after it.
const lastLines = 5000

// lastWords is why a process has ended, by its log.
func lastWords(log string) string {
	lines, err := local.TailLines(log, lastLines)
	if err != nil {
		return err.Error()
	}
	last := "nothing"
	for _, line := range lines {
		switch {
		case strings.HasPrefix(line, "panic: "), strings.HasPrefix(line, "fatal error: "):
			return line
		case strings.TrimSpace(line) != "":
			last = line
		}
	}
	return last
}
