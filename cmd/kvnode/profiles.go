package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/kindredkv/kindred/node"
	"github.com/kindredkv/kindred/server"
)

const (
	profilesSetting = "pprof-addr"
	// profilesHeaderTimeout bounds how long a caller may take to ask.
	profilesHeaderTimeout = 5 * time.Second
)

// checkProfiles refuses to show profiles to other machines: they hold keys and
// values, whoever asks can make the node work, and nothing asks who that is.
func checkProfiles(addr string, c node.Config) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return &node.ConfigError{Setting: profilesSetting, Reason: fmt.Sprintf("%q is not host:port", addr)}
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return &node.ConfigError{Setting: profilesSetting, Reason: fmt.Sprintf(
			"%s may be reachable from other machines, and profiles show what is in memory: use 127.0.0.1:PORT and, from afar, a tunnel (ssh -L)", addr)}
	}
	if other := c.Uses(addr); other != "" {
		return &node.ConfigError{Setting: profilesSetting, Reason: fmt.Sprintf("%s is the --%s too: give each a port of its own", addr, other)}
	}
	return nil
}

// serveProfiles serves them until it is closed; an empty address serves none.
func serveProfiles(addr string, log *slog.Logger) (*http.Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	s := &http.Server{Handler: server.OwnHost(mux), ReadHeaderTimeout: profilesHeaderTimeout}
	if addr == "" {
		return s, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--%s: cannot listen on %s: %w: use a free port of 127.0.0.1", profilesSetting, addr, err)
	}
	log.Info("profiles are served", "url", "http://"+l.Addr().String()+"/debug/pprof/")
	go s.Serve(l)
	return s, nil
}
