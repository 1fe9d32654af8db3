package netns

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// wireName is the interface in each namespace.
const wireName = "wire"

// wireMTU is larger than that of Ethernet: fewer packets pass through this program.
const wireMTU = 9000

// newWire makes a namespace with a wire whose end has an address. The namespace
// lives while the file that stands for it is open, or a process is in it.
func newWire(at netip.Addr) (wire, space *os.File, err error) {
	// The thread changes its namespace and cannot always go back: then it is thrown
	// away with the goroutine.
	type made struct {
		wire, space *os.File
		err         error
	}
	done := make(chan made)
	go func() {
		runtime.LockOSThread()
		m := made{}
		if m.err = unix.Unshare(unix.CLONE_NEWNET); m.err == nil {
			m.space, m.err = os.Open("/proc/thread-self/ns/net")
		}
		if m.err == nil {
			m.wire, m.err = layWire(at)
		}
		done <- m // and the thread ends, as it is locked
	}()
	m := <-done
	if m.err != nil {
		m.err = fmt.Errorf("netns: a wire to %v: %w", at, m.err)
	}
	return m.wire, m.space, m.err
}

// layWire makes the wire of the namespace that this thread is in, and lets its
// loopback interface work.
func layWire(at netip.Addr) (*os.File, error) {
	fd, err := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	flags, err := unix.NewIfreq(wireName)
	if err == nil {
		flags.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, flags)
	}
	if err == nil {
		err = furnish(at)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), wireName), nil
}

// furnish gives the wire its address and puts it and the loopback interface up.
func furnish(at netip.Addr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	for _, step := range []struct {
		name    string
		request uint
		fill    func(*unix.Ifreq) error
	}{
		{wireName, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(at.AsSlice()) }},
		{wireName, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{wireName, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(wireMTU); return nil }},
		{wireName, unix.SIOCSIFFLAGS, up},
		{"lo", unix.SIOCSIFFLAGS, up},
	} {
		r, err := unix.NewIfreq(step.name)
		if err != nil {
			return err
		}
		if err := step.fill(r); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(s, step.request, r); err != nil {
			return fmt.Errorf("interface %s, request %#x: %w", step.name, step.request, err)
		}
	}
	return nil
}

func up(r *unix.Ifreq) error {
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return nil
}
