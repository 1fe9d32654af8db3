package client

import (
	"net"
	"strconv"
	"strings"

	"github.com/kindredkv/kindred"
)

// PortDefault is the port of an address that names none: where nodes listen for
// clients unless they are told otherwise.
const PortDefault = 7400

// seedAddrs completes the addresses of a dial, or says which cannot be one. Left
// to itself gRPC would take a port for them that no node has.
func seedAddrs(addrs []string) ([]string, error) {
	out := make([]string, len(addrs))
	for i, addr := range addrs {
		whole, problem := seedAddr(addr)
		if problem != "" {
			return nil, kindred.Invalid("addrs", "the address %q %s: give host:port of a node's client address, such as 127.0.0.1:%d", addr, problem, PortDefault)
		}
		out[i] = whole
	}
	return out, nil
}

func seedAddr(addr string) (whole, problem string) {
	if strings.Contains(addr, "/") {
		return "", "is a URL or a path"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return hostAlone(addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "has no port from 1 to 65535"
	}
	return net.JoinHostPort(host, port), ""
}

// hostAlone gives a name or an IP address the default port.
func hostAlone(host string) (whole, problem string) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	_, err := strconv.ParseUint(host, 10, 64)
	switch {
	case host == "":
		return "", "is empty"
	case err == nil:
		return "", "is a port without a host"
	case strings.Contains(host, ":") && net.ParseIP(host) == nil:
		return "", "is not host:port"
	}
	return net.JoinHostPort(host, strconv.Itoa(PortDefault)), ""
}
