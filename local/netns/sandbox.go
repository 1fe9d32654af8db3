package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideEnv marks a program that runs in a sandbox. The sandbox also shows in the
// process id: a program that was started by one that is in it is not marked.
const insideEnv = "KINDRED_SANDBOX"

// Inside reports whether this program was started by [Enter].
func Inside() bool { return os.Getenv(insideEnv) != "" && os.Getpid() == 1 }

const tunDevice = "/dev/net/tun"

// MissingError says what this machine lacks for a sandbox, and what to do.
type MissingError struct {
	Problem, Remedy string
	Err             error
}

func (e *MissingError) Error() string {
	text := "namespaces: " + e.Problem
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + "; " + e.Remedy
}

func (e *MissingError) Unwrap() error { return e.Err }

// Missing says why there can be no sandbox here, nil if there can be one.
func Missing() error {
	if Inside() {
		return nil
	}
	if os.Geteuid() != 0 {
		return &MissingError{Problem: "only root may make them", Remedy: "run this as root, for instance with sudo"}
	}
	tun, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	if err != nil {
		return &MissingError{"there are no virtual wires", "load the kernel module tun, or give the container " + tunDevice, err}
	}
	tun.Close()
	probe := exec.Command("true")
	probe.SysProcAttr = attributes()
	if err := probe.Run(); err != nil {
		return &MissingError{"the kernel makes none", "run this where CLONE_NEWNET, CLONE_NEWNS and CLONE_NEWPID are allowed (a container needs CAP_SYS_ADMIN)", err}
	}
	return nil
}

func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL, // N2
	}
}

// Enter runs this program again in a sandbox, with these arguments and with env
// added to its environment, and waits until it ends. The error is an
// *exec.ExitError if it ends with another code than 0.
func Enter(args []string, env ...string) error {
	if Inside() {
		return errors.New("netns: this is a sandbox already")
	}
	// The kernel takes the end of this thread for the end of the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := exec.Command(self, args...)
	c.Env = append(append(os.Environ(), env...), insideEnv+"=1")
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.SysProcAttr = attributes()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return fmt.Errorf("netns: entering a sandbox: %w", err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = c.Process.Signal(s)
			case <-ended:
				return
			}
		}
	}()
	return c.Wait()
}

// settle makes the mounts of a sandbox its own (N1), and lets it see its own
// processes.
func settle() error {
	if !Inside() {
		return errors.New("netns: this is no sandbox: see Enter")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("netns: making the mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("netns: mounting /proc: %w", err)
	}
	return nil
}
