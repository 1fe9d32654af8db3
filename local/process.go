package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// State is what a node's process does.
type State string

const (
	Running State = "running"
	Paused  State = "paused"
	Stopped State = "stopped"
)

// process names one process for ever (L1): process ids are reused, a pair of
// id and start time is not while the machine stays up. The zero value is no
// process.
type process struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"`
	Boot       string `json:"boot"`
}

// identify names the process that now has the id.
func identify(pid int) (process, error) {
	boot, err := bootID()
	if err != nil {
		return process{}, err
	}
	_, ticks, err := procStat(pid)
	if err != nil {
		return process{}, err
	}
	return process{PID: pid, StartTicks: ticks, Boot: boot}, nil
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("which boot is this: %w (local clusters need Linux and /proc)", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// procStat reads the state letter and the start time of a process. The second
// field is the command in parentheses and may hold anything, so the fields are
// counted from the last one.
func procStat(pid int) (letter byte, startTicks uint64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	return parseStat(b)
}

func parseStat(b []byte) (letter byte, startTicks uint64, err error) {
	const startField = 22 - 3 // counted from the state, which is field 3
	i := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[i+1:]))
	if i < 0 || len(fields) <= startField {
		return 0, 0, fmt.Errorf("malformed process status %q", b)
	}
	startTicks, err = strconv.ParseUint(fields[startField], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("malformed start time in process status %q: %w", b, err)
	}
	return fields[0][0], startTicks, nil
}

// state looks the process up. One that ended and was not yet collected by its
// parent (a zombie) is stopped.
func (p process) state() State {
	letter, ok := p.letter()
	switch {
	case !ok || letter == 'X' || letter == 'x':
		return Stopped
	case letter == 'Z' && !p.dying():
		return Stopped
	case letter == 'T' || letter == 't':
		return Paused
	}
	return Running
}

// letter is the kernel's state of this very process (L1).
func (p process) letter() (byte, bool) {
	if p.PID == 0 {
		return 0, false
	}
	boot, err := bootID()
	if err != nil || boot != p.Boot {
		return 0, false
	}
	letter, ticks, err := procStat(p.PID)
	return letter, err == nil && ticks == p.StartTicks
}

// dying reports whether a process whose first thread is a zombie has others
// that are not: until they are gone its ports and files are in use.
func (p process) dying() bool {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.PID))
	return err == nil && len(threads) > 1
}

// signal sends to this very process (L1) and reports whether it was there.
func (p process) signal(sig syscall.Signal) (bool, error) {
	if p.state() == Stopped {
		return false, nil // a zombie would take the signal and do nothing
	}
	fd, err := p.open()
	if fd < 0 || err != nil {
		return false, err
	}
	defer unix.Close(fd)
	err = unix.PidfdSendSignal(fd, sig, nil, 0)
	if errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	return err == nil, err
}

// open pins the process by a pidfd: whatever has the id afterwards, the
// descriptor means this one. It returns -1 when the process is gone.
func (p process) open() (int, error) {
	if p.PID == 0 {
		return -1, nil
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("pidfd of process %d: %w", p.PID, err)
	}
	if _, ok := p.letter(); !ok {
		unix.Close(fd)
		return -1, nil
	}
	return fd, nil
}

// waitGone returns nil when the process has ended, or the context's error.
func (p process) waitGone(ctx context.Context) error {
	fd, err := p.open()
	if fd < 0 || err != nil {
		return err
	}
	defer unix.Close(fd)
	const slice = 50 * time.Millisecond // how long a cancelled context may go unseen
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(slice.Milliseconds()))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("waiting for process %d: %w", p.PID, err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// waitState returns nil once the process is in the state. Signals that stop
// and continue act a moment after they were sent.
func (p process) waitState(ctx context.Context, want State) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		s := p.state()
		if s == want {
			return nil
		}
		if s == Stopped {
			return fmt.Errorf("process %d ended", p.PID)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d is still %s, not %s: %w", p.PID, s, want, ctx.Err())
		case <-tick.C:
		}
	}
}

// spawn starts a program in a session of its own (L2), its output appended to
// the log, and in a network namespace if one is named. The child is collected when
// it ends, for as long as this program lives.
func spawn(program string, args []string, logPath, namespace string) (process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return process{}, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = withoutKindred(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := Within(namespace, cmd.Start); err != nil {
		return process{}, err
	}
	p, err := identify(cmd.Process.Pid)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return process{}, err
	}
	go cmd.Wait()
	return p, nil
}

// Within calls do on a thread that is in a network namespace, named by a file, and
// stays there for as long: the processes and sockets that do makes belong to it. With
// an empty name it calls do.
func Within(namespace string, do func() error) error {
	if namespace == "" {
		return do()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := os.Open(namespace)
	if err != nil {
		return fmt.Errorf("the network namespace of the node is gone: %w", err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the network namespace %s: %w", namespace, err)
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		runtime.LockOSThread() // this thread is good for nothing else
		err = errors.Join(err, back)
	}
	return err
}

// withoutKindred drops the settings meant for the caller: KINDRED_NAME would
// give every node the same name.
func withoutKindred(env []string) []string {
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "KINDRED_") {
			out = append(out, kv)
		}
	}
	return out
}
