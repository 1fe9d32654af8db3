package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kindredkv/kindred/client"
)

// screen is a terminal: what a program writes to it can be waited for, and what
// is typed is read by the program.
type screen struct {
	t        *testing.T
	person   *os.File // the end of the person
	terminal *os.File // the end of the program

	mu    sync.Mutex
	shown bytes.Buffer
	more  *sync.Cond
}

func newScreen(t *testing.T, columns uint16) *screen {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	require.NoError(t, unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: columns}))
	s := &screen{t: t, person: person, terminal: terminal}
	s.more = sync.NewCond(&s.mu)
	go s.watch()
	t.Cleanup(func() { terminal.Close(); person.Close() })
	return s
}

func (s *screen) watch() {
	buf := make([]byte, 4096)
	for {
		n, err := s.person.Read(buf)
		s.mu.Lock()
		s.shown.Write(buf[:n])
		s.more.Broadcast()
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// answer waits for a question and types a line.
func (s *screen) answer(question, line string) {
	s.t.Helper()
	s.await(question)
	_, err := s.person.WriteString(line + "\n")
	require.NoError(s.t, err)
}

// await waits until a text is shown; what is shown up to there is forgotten.
func (s *screen) await(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		shown := s.shown.String()
		if at := strings.Index(shown, text); at >= 0 {
			s.shown.Reset()
			s.shown.WriteString(shown[at+len(text):])
			return strings.ReplaceAll(shown[:at+len(text)], "\r\n", "\n")
		}
		s.more.Wait()
	}
}

// on runs a command line on a terminal, and then shows its exit code there.
func (s *screen) on(f *fakeCluster, env map[string]string, args ...string) {
	a := &app{
		in: s.terminal, out: s.terminal, errOut: s.terminal, getenv: func(name string) string { return env[name] },
		dial: func(context.Context, []string, ...client.Option) (cluster, error) { return f, nil },
	}
	go func() { fmt.Fprintf(s.terminal, "exit %d.\n", a.run(s.t.Context(), append(args, "--dir", "none"))) }()
}

// two puts two siblings under carts/bob.
func two(t *testing.T) *fakeCluster {
	t.Helper()
	f := newFakeCluster()
	require.Zero(t, runWith(t, f, "", "put", "carts", "bob", `{"tea": 1, "milk": 2}`).exit)
	require.Zero(t, runWith(t, f, "", "put", "carts", "bob", `{"tea": 3, "milk": 2}`, "--blind").exit)
	return f
}

var noColour = map[string]string{"NO_COLOR": "1"}

func TestAPersonChoosesASibling(t *testing.T) {
	s, f := newScreen(t, 80), two(t)
	s.on(f, noColour, "resolve", "carts", "bob")
	require.Equal(t, `carts/bob has 2 siblings, written concurrently.

1                                      │ 2
through n2                             │ through n3
2026-11-20 12:00:01.000 UTC            │ 2026-11-20 12:00:02.000 UTC
having seen nothing (blind)            │ having seen nothing (blind)

{                                      │ {
  "tea": 1,                            │   "tea": 3,
  "milk": 2                            │   "milk": 2
}                                      │ }

Keep which? 1 to 2; v to write another value; q to leave them all: `, s.await("leave them all: "))
	_, err := s.person.WriteString("7\n")
	require.NoError(t, err)
	s.answer("leave them all: ", "2")
	s.await("resolved carts/bob: replicated on n1, n3 (durability batch); it supersedes 2 siblings")
	s.await("exit 0.")
	require.Equal(t, `{"tea": 3, "milk": 2}`, runWith(t, f, "", "get", "carts", "bob").stdout)
}

func TestAPersonWritesAnotherValueOrLeavesThemAll(t *testing.T) {
	s, f := newScreen(t, 30), two(t)
	s.on(f, noColour, "resolve", "carts", "bob")
	s.await("1; through n2;") // one below another: the terminal is narrow
	s.answer("leave them all: ", "q")
	s.await("the siblings of carts/bob were left as they are")
	s.await("exit 3.")

	s.on(f, noColour, "resolve", "carts", "bob")
	s.answer("leave them all: ", "v")
	s.answer("The value, on one line: ", "both")
	s.await("exit 0.")
	require.Equal(t, "both", runWith(t, f, "", "get", "carts", "bob").stdout)
}

func TestColoursAreForTerminals(t *testing.T) {
	const escape = "\x1b["
	f := two(t)
	require.NotContains(t, runWith(t, f, "", "get", "carts", "bob").String(), escape)
	s := newScreen(t, 80)
	for _, c := range []struct {
		env     map[string]string
		colours bool
	}{{nil, true}, {noColour, false}, {map[string]string{"TERM": "dumb"}, false}} {
		s.on(f, c.env, "get", "carts", "bob")
		require.Equal(t, c.colours, strings.Contains(s.await("exit 3."), escape), c.env)
	}
	s.on(f, nil, "get", "carts", "bob", "-o", "json")
	require.NotContains(t, s.await("exit 3."), escape, "a document is for programs")
}

func TestAValueEndsItsLineOnATerminalOnly(t *testing.T) {
	f := newFakeCluster()
	require.Zero(t, runWith(t, f, "", "put", "b", "k", "v").exit)
	s := newScreen(t, 80)
	s.on(f, nil, "get", "b", "k")
	require.Equal(t, "v\nexit 0.", s.await("exit 0."))
}
