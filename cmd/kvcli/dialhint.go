package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
		return &result{exitError, string(kindred.CodeUnauthenticated), fmt.Sprintf("%v (tried these because of %s)", err, p.why)}
	}
	if files, bad := a.shown(p); bad == nil && files.None() {
		if addr := speaksTLS(ctx, p.addrs); addr != "" {
			return &result{exitError, string(kindred.CodeUnauthenticated), fmt.Sprintf("%s speaks TLS, and kvcli was given no keys: "+
				"name the cluster's authority (--tls-ca) and a certificate (--tls-cert, --tls-key) or a token (--token-file); of a local cluster: its folder (--dir)", addr)}
		}
	}
	return fmt.Errorf("%w (tried these because of %s)", err, p.why)
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
