package nemesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// twin starts a second process on the folder of a node.
func twin() Kind {
	return Kind{
		Name: "twin", Touches: Nodes,
		Doc:   "a second process is started on the folder of a node that runs, and has to refuse",
		Holds: "everything: the first process goes on as if nothing were",
		New:   func(t Target) Nemesis { return &twinned{t} },
	}
}

// twinMax is how long the second process may take to refuse.
const twinMax = 20 * time.Second

type twinned struct{ Target }

// TwinError is a second process that did not refuse the folder. That is no failure of
// the nemesis, but of the store.
type TwinError struct{ Node, Said string }

func (e *TwinError) Error() string {
	return fmt.Sprintf("a second process on the folder of %s did not refuse it; it said: %s", e.Node, e.Said)
}

func (n *twinned) Hurt(ctx context.Context) (string, error) {
	name := n.One()
	what := "a second process on the folder of " + name
	node, err := n.Cluster.Node(name)
	if err != nil || node.PID == 0 {
		return what, err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", node.PID))
	if err != nil {
		return what, err
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	ctx, cancel := context.WithTimeout(ctx, twinMax)
	defer cancel()
	var said bytes.Buffer
	second := exec.CommandContext(ctx, args[0], args[1:]...)
	second.Stdout, second.Stderr = &said, &said
	var refused *exec.ExitError
	switch err := second.Run(); {
	case errors.As(err, &refused) && refused.ExitCode() == 1 && strings.Contains(said.String(), node.DataDir):
		return what + " is refused", nil
	case err != nil && !errors.As(err, &refused):
		return what, err
	}
	return what, &TwinError{name, said.String()}
}

func (n *twinned) Heal(context.Context) error { return nil }
