//go:build linux || darwin

package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// sendLate keeps what is not yet on its way out of the system's buffers, which grow
// to megabytes: a heartbeat would wait behind it, and a slow link would look dead.
// What is on its way has all the room that the network needs.
func sendLate(_, _ string, raw syscall.RawConn) error {
	var err error
	if bad := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMax)
	}); bad != nil {
		return bad
	}
	return err
}
