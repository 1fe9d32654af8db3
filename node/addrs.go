package node

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"syscall"

	"github.com/kindredkv/kindred/storage"
)

// listened is one address that a node listens on.
type listened struct {
	setting, addr string
	// locked says that strangers do not come in here; lacks is what would lock it.
	locked bool
	lacks  string
}

const needTLS, needKey = "no TLS", "no gossip key"

// listens are all of them.
func (c Config) listens() [4]listened {
	tls, key := c.Security.TLS(), c.Security.GossipKeys != ""
	return [...]listened{
		{"client-addr", c.ClientAddr, tls, needTLS}, {"peer-addr", c.PeerAddr, tls, needTLS},
		{"gossip-addr", c.GossipAddr, key, needKey}, {"http-addr", c.HTTPAddr, tls, needTLS},
	}
}

// checkAddrs wants addresses that can be, each its own, and whatever others can
// reach to be locked, or to be open by choice.
func (c Config) checkAddrs() error {
	fix := map[string]string{
		needTLS: "give it certificates (--tls-cert, --tls-key, --tls-ca)",
		needKey: "give it a --gossip-key",
	}
	users := map[string]string{}
	var mistakes []error
	for _, a := range c.listens() {
		host, port, err := net.SplitHostPort(a.addr)
		other := users[a.addr]
		var reason string
		switch {
		case err != nil:
			reason = fmt.Sprintf("%q is not host:port, such as %s", a.addr, defaultOf(a.setting))
		case !isPort(port, 0):
			reason = fmt.Sprintf("%q has no port from 1 to 65535, nor 0 for any that is free: use one, such as %s", a.addr, defaultOf(a.setting))
		case other != "" && port != "0":
			reason = fmt.Sprintf("%s is the --%s too: give each a port of its own", a.addr, other)
		case !loopback(host) && !a.locked && !c.Insecure:
			reason = fmt.Sprintf("%s is reachable from other machines and this node has %s: %s, or listen on 127.0.0.1, or pass --insecure on a network you trust", a.addr, a.lacks, fix[a.lacks])
		}
		if reason != "" {
			mistakes = append(mistakes, &ConfigError{a.setting, reason})
		}
		users[a.addr] = a.setting
	}
	return errors.Join(mistakes...)
}

// Uses names the setting of the address that this node listens on, "" if there is none.
func (c Config) Uses(addr string) (setting string) {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "0" {
		return ""
	}
	for _, a := range c.listens() {
		if a.addr == addr {
			return a.setting
		}
	}
	return ""
}

// checkOthers checks how this node finds others, and others this one.
func (c Config) checkOthers() error {
	for _, seed := range c.Join {
		if _, port, err := net.SplitHostPort(seed); err != nil || !isPort(port, 1) {
			return &ConfigError{"join", fmt.Sprintf("%q is not host:port of a gossip address, such as 10.0.0.2:7402", seed)}
		}
	}
	if host, _, err := net.SplitHostPort(c.Advertise); err == nil {
		return &ConfigError{"advertise", fmt.Sprintf("%q has a port: give the host alone, %s; the ports are those of the addresses listened on", c.Advertise, host)}
	}
	return nil
}

// defaultOf is the address that a setting has by itself.
func defaultOf(setting string) string {
	for _, a := range DefaultConfig().listens() {
		if a.setting == setting {
			return a.addr
		}
	}
	return ""
}

func isPort(text string, least uint64) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n >= least
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// tryAddrs finds out whether the node could listen everywhere. It is asked before a
// start begins an incarnation, which would stay in every clock.
func (c Config) tryAddrs() error {
	for _, a := range c.listens() {
		l, err := net.Listen("tcp", a.addr)
		if err != nil {
			return listenError(a.setting, a.addr, err)
		}
		l.Close()
	}
	return nil
}

func listenError(setting, addr string, err error) error {
	fix := "use an address of this machine"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		fix = "another process uses the port, which `ss -ltnp` names: end it, or use another port"
	case errors.Is(err, syscall.EACCES):
		fix = "ports below 1024 are for the privileged: use a higher one"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		fix = "this machine has no such address: use one of its own, and --advertise for the one that others know"
	}
	return fmt.Errorf("--%s: cannot listen on %s: %w: %s", setting, addr, err, fix)
}

// refusals are how the system refuses a folder.
var refusals = [...]syscall.Errno{syscall.ENOTDIR, syscall.ENOENT, syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENAMETOOLONG}

// folderError says what to do about a folder that the system refuses. What is wrong
// inside a store that is there is another matter.
func folderError(err error) error {
	var damaged *storage.DamagedError
	if errors.As(err, &damaged) || !slices.ContainsFunc(refusals[:], func(e syscall.Errno) bool { return errors.Is(err, e) }) {
		return err
	}
	return fmt.Errorf("--data-dir: %w: name a folder that this user may make and write to", err)
}
