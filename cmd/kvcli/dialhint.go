package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
	"github.com/kindredkv/kindred/client"
)

// tlsProbeTime bounds how long a failed dial looks for its reason.
const tlsProbeTime = time.Second

// explainDial says why these addresses were tried, and whether keys are what is
// missing.
func (a *app) explainDial(ctx context.Context, err error, p place) error {
	var dial *client.DialError
	if errors.As(err, &dial) && dial.Unauthenticated() {
		return &result{exitError, string(kindred.CodeUnauthenticated), fmt.Sprintf("%v (asked because of %s)", err, p.why)}
	}
	if files, bad := a.shown(p); bad == nil && files.None() {
		if addr := speaksTLS(ctx, p.addrs); addr != "" {
			return &result{exitError, string(kindred.CodeUnauthenticated), fmt.Sprintf("%s speaks TLS, and kvcli was given no keys: "+
				"name the cluster's authority (--tls-ca) and a certificate (--tls-cert, --tls-key) or a token (--token-file); of a local cluster: its folder (--dir)", addr)}
		}
	}
	if dial == nil {
		return err // no address was tried
	}
	return fmt.Errorf("%w. %s%s", err, question(dial), a.whereElse(p))
}

// question asks what is likely if nobody at all was there.
func question(e *client.DialError) string {
	if strings.Contains(e.Error(), "connection refused") {
		return "Is the cluster running? "
	}
	return ""
}

// whereElse says where the addresses come from that nobody answers at, and what
// shows better ones.
func (a *app) whereElse(p place) string {
	show := fmt.Sprintf("'kvcli local status --dir %s'", a.dir)
	switch {
	case p.local:
		return fmt.Sprintf("Its nodes have processes, as %s shows", show)
	case p.why == lastWhy:
		return fmt.Sprintf("There is no --cluster and no %s, and no local cluster runs in %s: start one with 'kvcli local start', or name a node with --cluster host:port", clusterEnv, a.dir)
	}
	return fmt.Sprintf("The addresses come from %s; %s shows those of a local cluster", p.why, show)
}

// speaksTLS returns the first address that answers a TLS greeting. Nothing is
// sent there, so it does not matter who it is.
func speaksTLS(ctx context.Context, addrs []string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tlsProbeTime)
	defer cancel()
	probe := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	for _, addr := range addrs {
		if conn, err := probe.DialContext(ctx, "tcp", addr); err == nil {
			conn.Close()
			return addr
		}
	}
	return ""
}
