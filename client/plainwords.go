package client

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// wrappings are what gRPC and package net put around the reason of a dial that
// failed or a stream that ended: the address, which is named already, and who called
// whom.
var wrappings = regexp.MustCompile(`^connection error: desc = "(.*)"$|^transport: Error while dialing: |^transport: authentication handshake failed: |^dial tcp(?: \S+)?: (?:connect: )?|^read tcp \S+: (?:read: )?`)

// notClients are reasons that tell who listens there instead. The words on the left
// are those of gRPC and of its HTTP/2.
var notClients = []struct{ words, meaning string }{
	{"looked like an HTTP/1.1 header", webAddr},
	{"unexpected HTTP status code received from server", webAddr},
	{"unknown service kindred.v1.Cluster", "it speaks gRPC and is no node; " + clientAddr},
	{"http2: frame too large", peerAddr}, // the first bytes of a node at that address, as a size
	{"tls: no application protocol", peerAddr},
	{"error reading server preface: ", otherTongue},
	{"failed to write client preface: ", otherTongue},
	{"write: broken pipe", otherTongue},
	{"connection reset by peer", otherTongue},
	{"first record does not look like a TLS handshake", "it speaks no TLS: connect without certificates and tokens, or name a node that has them"},
	{"certificate signed by unknown authority", "its certificate was signed by another authority than the one given (kvcli --tls-ca): give that of its cluster"},
	{"produced zero addresses", "no such host"},
}

const (
	webAddr     = "it speaks HTTP, as the HTTP address of a node does, and not the protocol of clients; " + clientAddr
	clientAddr  = "give the client address of a node (kvnode --client-addr)"
	peerAddr    = "no client address of a node, perhaps that for its peers; " + clientAddr
	otherTongue = "it ends the connection: it does not speak the protocol of clients, or only with TLS; " + clientAddr
)

// whyNot is the reason why an address did not help, in words about that address.
func whyNot(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		if text := reason(err); strings.Contains(text, "connection error") {
			return plain(text)
		}
		return "no answer in time"
	}
	var s interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &s) {
		return err.Error()
	}
	switch st := s.GRPCStatus(); st.Code() {
	case codes.Unavailable, codes.Unimplemented:
		return plain(st.Message())
	default:
		return st.Message()
	}
}

// plain takes the wrappings off.
func plain(text string) string {
	for _, n := range notClients {
		if strings.Contains(text, n.words) {
			return n.meaning
		}
	}
	return unwrapped(text)
}

const (
	unreachable = "unreachable: "
	dialWords   = "connection error: desc = "
	streamWords = "error reading from server: "
)

// road puts what gRPC says of the way to a node that is known, and not of its
// answer, in short words; any other text stays as it is.
func road(text string) string {
	if at := strings.Index(text, dialWords); at >= 0 {
		return unreachable + unwrapped(text[at:])
	}
	if broke, ok := strings.CutPrefix(text, streamWords); ok {
		return "the connection broke: " + unwrapped(broke)
	}
	return text
}

func unwrapped(text string) string {
	for {
		bare := wrappings.ReplaceAllString(text, "$1")
		if bare == text {
			return text
		}
		text = bare
	}
}
