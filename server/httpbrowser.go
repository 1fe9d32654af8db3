package server

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kindredkv/kindred"
)

// browsers keeps the pages that somebody has open in a browser from using what
// the browser has and they have not: a way to loopback, where nobody is asked who
// he is, and the client certificate that a browser shows by itself.
type browsers struct {
	*httpDoor
	origins *http.CrossOriginProtection
}

func (b browsers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if bad := b.judge(r); bad != nil {
		b.allowTime(w)
		writeError(w, http.StatusForbidden, bad)
		return
	}
	b.httpDoor.ServeHTTP(w, r)
}

func (b browsers) judge(r *http.Request) *kindred.Error {
	switch {
	case openPath(rawPath(r.URL)):
		return nil
	case !ownHost(r):
		return foreignHost(r)
	case b.origins.Check(r) != nil:
		return kindred.Invalid("Origin", "pages of other origins may not change anything here")
	}
	return nil
}

// OwnHost lets only those through to h who meant this machine, as the HTTP door
// does: others are answered with 403.
func OwnHost(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !ownHost(r) {
			writeError(w, http.StatusForbidden, foreignHost(r))
			return
		}
		h.ServeHTTP(w, r)
	})
}

func foreignHost(r *http.Request) *kindred.Error {
	return kindred.Invalid("Host", "%q is not a name of this machine: a node on loopback in plain text answers to addresses, to localhost and to names without dots", clip(r.Host))
}

// ownHost reports whether a caller on loopback in plain text meant this machine. A
// page whose own name was made to lead to 127.0.0.1 (DNS rebinding) is of the same
// origin for its browser, and says that name. Nobody can register a name without
// dots.
func ownHost(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if r.TLS != nil || !ok || !local.IP.IsLoopback() {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return net.ParseIP(bare) != nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost")
}

// forget drops the head of a request that is refused for want of a key: HTTP/2
// keeps a request until its answer is read, and a stranger need not read.
func forget(r *http.Request) {
	r.Header, r.Trailer, r.RequestURI, r.Host, r.Pattern = nil, nil, "", "", ""
	r.URL = nil
}

// strangerTimeout is how long one without a key may take to read that he is refused.
const strangerTimeout = 5 * time.Second
