package main

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// timerSlack is how late the system may wake a thread that sleeps for a time.
	// Go's runtime has a thread that naps for 20 µs over and over while a process
	// works, and takes processors away from threads that are in a system call then,
	// be it as short as a write to a socket. With the naps prolonged to this a node
	// takes up to a third less processor time for an operation, and answers sooner
	// (decision 0025). Timers of the node are late by as much, when it has nothing else to do.
	timerSlack = 2 * time.Millisecond
	// usualSlack is what the system gives to every process.
	usualSlack = 50 * time.Microsecond
)

// coarseTimers gives the process timerSlack, unless somebody has given it a slack of
// their own, as TimerSlackNSec= of systemd does. Threads inherit it, and the one
// in question is older than main: so the program begins anew, as the same process.
// Where that is not possible the node only takes more processor time.
func coarseTimers() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || time.Duration(slack) != usualSlack {
		return
	}
	program, err := os.Executable()
	if err != nil || unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(timerSlack), 0, 0, 0) != nil {
		return
	}
	_ = unix.Exec(program, os.Args, os.Environ())
}
